"""arq's own `enqueue_job`, a hundred at a time."""

import asyncio

from arq import create_pool
from clock import measured_async
from tasks import WorkerSettings


async def main():
    pool = await create_pool(WorkerSettings.redis_settings)

    async def enqueue(number):
        for begin in range(0, number, 100):
            await asyncio.gather(*(pool.enqueue_job("noop", 1, "two") for _ in range(min(100, number - begin))))

    await measured_async(enqueue, warm=100)
    await pool.aclose()


asyncio.run(main())
