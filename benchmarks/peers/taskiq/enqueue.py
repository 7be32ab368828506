import uvloop
from clock import measured_async
from tasks import broker, noop


async def enqueue(number):
    for _ in range(number):
        await noop.kiq(1, "two")


async def main():
    await broker.startup()
    await measured_async(enqueue)
    await broker.shutdown()


uvloop.run(main())
