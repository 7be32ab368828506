"""What every job carries besides the request that has enqueued it."""


def add_release(queue, item):
    item["clues_metadata"]["release"] = "2026-11"
