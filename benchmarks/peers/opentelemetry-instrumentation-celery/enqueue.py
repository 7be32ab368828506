from clock import measured
from tasks import noop


def enqueue(number):
    for _ in range(number):
        noop.delay(1, "two")


measured(enqueue)
