"""Key names, against those that Ruby left in Redis."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clues.resque.keys import Keys

GOLDEN = Path(__file__).parents[1] / "wire" / "golden"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("[a-j]*-*.json")), ids=lambda path: path.stem)
def test_every_key_that_ruby_wrote_has_a_name(path: Path) -> None:
    """No capture of plain Resque holds a key that we would not name the same."""
    keys = Keys()
    captured = json.loads(path.read_text()).get("keys", [])
    assert [key["name"] for key in captured if not _is_named(keys, key["name"])] == []


def _is_named(keys: Keys, name: str) -> bool:
    worker_id = ":".join(name.removesuffix(":started").split(":")[-3:])
    return name in {
        keys.queues, keys.queue("golden"), keys.workers, keys.worker(worker_id), keys.worker_started(worker_id),
        keys.heartbeats, keys.prune_lock, keys.pause_all, keys.stat("processed"), keys.stat("failed"),
        keys.stat_of("processed", worker_id), keys.stat_of("failed", worker_id),
        keys.failed, keys.failed_queues, keys.failed_of("golden"), keys.failed_of("second"),
    }  # fmt: skip


def test_a_namespace_is_the_prefix() -> None:
    """Every name begins with it, and with nothing when it is empty."""
    assert Keys("app").queue("a") == "app:queue:a"
    assert Keys("app").heartbeats == "app:workers:heartbeat"
    assert Keys("").queue("a") == "queue:a"
    assert Keys("").queue_prefix == "queue:"
    assert Keys("").stat_of("failed", "h:1:a") == "stat:failed:h:1:a"
