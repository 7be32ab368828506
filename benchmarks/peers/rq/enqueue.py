from clock import measured
from tasks import noop, queue


def enqueue(number):
    for _ in range(number):
        queue.enqueue(noop, 1, "two", result_ttl=0)


measured(enqueue)
