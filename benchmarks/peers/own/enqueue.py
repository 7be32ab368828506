from clock import measured
from jobs import noop

from clues import resque


def enqueue(number):
    for _ in range(number):
        resque.enqueue(noop, 1, "two")


measured(enqueue)
