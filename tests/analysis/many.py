"""A large log, made up: jobs that wait, run for log-normal times, fail, are retried, are lost, and are told twice."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

START = 1_795_000_000.0
CLASSES = (
    ("PdfGeneration", "pdf", 0.8),
    ("SendWelcome", "mailers", 0.05),
    ("ChargeCard", "payments", 0.3),
    ("Import", "imports", 5.0),
)
BAD_LINES = (
    b"garbage\n",
    b'{"level":"info","message":"another program\'s"}\n',
    b'{"event_type":"perform_fin\n',
    b"\xff\xfe\x00 not UTF-8\n",
    b'["a", "list"]\n',
)
"""One of them after each thousandth job."""

PASSED_OVER = (b"# Logfile created\n", b"\n", b"  \r\n")
"""Neither events nor bad."""


def lines(jobs: int, seed: int = 1) -> Iterator[bytes]:
    """The lines of so many jobs, about four for each."""
    random_ = random.Random(seed)
    for number in range(jobs):
        yield from _job(number, random_)
        if number % 1000 == 999:
            yield BAD_LINES[number // 1000 % len(BAD_LINES)]
            yield PASSED_OVER[number // 1000 % len(PASSED_OVER)]


def _job(number: int, random_: random.Random) -> Iterator[bytes]:
    worker_class, queue, mean = CLASSES[int(random_.random() ** 2 * len(CLASSES))]
    event_hash = f"{random_.getrandbits(128):032x}"
    at = START + number * 0.05 + random_.random()
    attempt, system = 1, ',"_system":"celery"' if number % 7 == 0 else ""
    while True:
        waited, ran = random_.random() ** 4 * 30, random_.lognormvariate(-1, 1) * mean
        host, process = f"worker-{int(random_.random() * 6)}", 1000 + int(random_.random() * 40)

        def line(
            kind: str,
            end: str,
            when: float,
            more: str = "",
            host: str = host,
            process: int = process,
            attempt: int = attempt,
        ) -> bytes:
            return (
                f'{{"event_type":"{kind}","timestamp":"{stamp(when)}","queue":"{queue}","metadata":{{'
                f'"_event_hash":"{event_hash}","_event_id":"{event_hash}:{attempt}:{end}","_attempt":{attempt},'
                f'"_hostname":"{host}","_process":{process}{system},"customer_id":{number % 5000}{more}}},'
                f'"worker_class":"{worker_class}","args":[{number}]}}\n'
            ).encode()

        yield line("enqueued", "enqueued", at, host="web-1", process=77)
        fate = random_.random()
        if fate < 0.002:
            return
        if fate < 0.003:
            yield line("destroyed", "end", at + 1)
            return
        wait = f',"_time_in_queue":{waited:.6f}'
        yield line("dequeued", "dequeued", at + waited, wait)
        yield line("perform_started", "perform_started", at + waited, wait)
        if fate < 0.005:
            return
        ended, took = at + waited + ran, f'{wait},"_time_to_perform":{ran:.6f}'
        if fate < 0.05:
            retrying = ',"_retrying":true' if fate < 0.02 else ""
            yield line(
                "failed", "end", ended, f'{took},"_exception":"shop.Declined","_message":"no {number % 9}"{retrying}'
            )
            if not retrying:
                return
            attempt, at = attempt + 1, ended + 1
            continue
        end = line("perform_finished", "end", ended, f'{took},"pages":{number % 90}')
        yield end
        if fate > 0.995:  # at-least-once delivery
            yield end
        return


def stamp(when: float) -> str:
    """A timestamp."""
    whole, micro = divmod(round(when * 1_000_000), 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{micro:06d}Z"
