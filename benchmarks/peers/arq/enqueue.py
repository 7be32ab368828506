import asyncio

from arq import create_pool
from clock import measured_async
from tasks import WorkerSettings


async def main():
    pool = await create_pool(WorkerSettings.redis_settings)

    async def enqueue(number):
        for _ in range(number):
            await pool.enqueue_job("noop", 1, "two")

    await measured_async(enqueue)
    await pool.aclose()


asyncio.run(main())
