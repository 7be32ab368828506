from clock import measured
from jobs import noop

from clues import resque


def enqueue(number):
    resque.enqueue_many((noop, 1, "two") for _ in range(number))


measured(enqueue, warm=1000)
