"""The shop's customers: they order for as long as this runs."""

import random
import time

import clues.demo.initializer  # noqa: F401 - where events go, and what each job carries
from clues import resque
from clues.demo.producer import Producer

WORKERS = 2

producer = Producer(resque.enqueue, workers=WORKERS, chance=random.Random())
began = time.monotonic()
while True:
    producer.catch_up(time.monotonic() - began)
    time.sleep(0.5)
