import asyncio

from clock import measured_async
from tasks import queue


async def enqueue(number):
    for _ in range(number):
        await queue.enqueue("noop", number=1, text="two", ttl=-1)


async def main():
    await queue.connect()
    await measured_async(enqueue)
    await queue.disconnect()


asyncio.run(main())
