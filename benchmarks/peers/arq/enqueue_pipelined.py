"""arq has no bulk of its own: what its `enqueue_job` writes, a thousand jobs in a pipeline."""

import asyncio
import time
from uuid import uuid4

from arq import create_pool
from arq.constants import default_queue_name, job_key_prefix
from arq.jobs import serialize_job
from clock import measured_async
from tasks import WorkerSettings

EXPIRES_MS = 86_400_000


async def main():
    pool = await create_pool(WorkerSettings.redis_settings)

    async def enqueue(number):
        for begin in range(0, number, 1000):
            async with pool.pipeline(transaction=False) as pipe:
                for _ in range(min(1000, number - begin)):
                    job, now = uuid4().hex, int(time.time() * 1000)
                    item = serialize_job("noop", (1, "two"), {}, None, now)
                    pipe.psetex(job_key_prefix + job, EXPIRES_MS, item)
                    pipe.zadd(default_queue_name, {job: now})
                await pipe.execute()

    await measured_async(enqueue, warm=1000)
    await pool.aclose()


asyncio.run(main())
