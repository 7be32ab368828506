from clock import measured
from rq import Queue
from tasks import noop, queue


def enqueue(number):
    for begin in range(0, number, 1000):
        size = min(1000, number - begin)
        queue.enqueue_many([Queue.prepare_data(noop, (1, "two"), result_ttl=0) for _ in range(size)])


measured(enqueue, warm=1000)
