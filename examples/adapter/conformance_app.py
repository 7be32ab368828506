"""The conformance suite's jobs, as a tinyq has them."""

from tinyq import Queue

from tests.conformance.apps import common

common.configure()
queue = Queue("conformance", common.REDIS_URL)
if not common.BARE:
    from tinyq_clues import install

    install(queue)

for job in (common.succeed, common.fail, common.fail_first, common.hang, common.mark):
    queue.job(job)


def enqueue(job, *args, **options):
    """What the suite's producer calls; gives the system's own id of the job."""
    if job == "fail_first":
        options.setdefault("retries", 1)
    return queue.enqueue(job, *args, **options)


if __name__ == "__main__":
    queue.work()
