"""Stamping an item that is about to be enqueued: its system keys, and what the item preprocessors add."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from clues.attempt import METADATA, Attempt, metadata_in, process_id
from clues.config import Config
from clues.metadata import read_attempt, read_hash, users_own
from clues.plain import plain_within
from clues.plugs import Item, ItemPreprocessor, name_of
from clues.runtime import current_job

MESSAGE_METADATA = 64 * 1024
"""Bytes of the user's metadata that an item carries to its job: brokers that bound messages take 256 KiB (SQS), events
show eight, and a queue holds the metadata once for each of its jobs."""


def stamped(  # noqa: PLR0913, PLR0917 - what job systems know differs
    config: Config,
    queue: str,
    item: Item,
    preprocess: bool,
    scheduled_time: float | None,
    system: str | None,
) -> Attempt:
    """Write the metadata into an item, and give the attempt that it is.

    Args:
        config: whose preprocessors, clock and hashes.
        queue: where the item will be pushed.
        item: ``{"class": …, "args": […]}``; gets ``clues_metadata``.
        preprocess: whether to run the item preprocessors.
        scheduled_time: when the job is due, in epoch seconds; None for at once.
        system: the job system's name, unless it is our own.
    """
    preprocess = preprocess and (bool(config.item_preprocessors) or config.propagator is not None)
    before = metadata_in(item) or {}
    own = _system_keys(config, before)
    if scheduled_time is not None:
        own["_scheduled_time"] = scheduled_time
    if not before and not preprocess:
        item[METADATA] = own
    else:
        item[METADATA] = own | users_own(before) if before else own.copy()
        if preprocess:
            _preprocess(config, queue, item)
        item[METADATA] = own | _plain_metadata(config, item.get(METADATA), before, own)
    return Attempt(config, queue, item, item[METADATA], event_hash=own["_event_hash"], system=system)


def _system_keys(config: Config, known: Mapping[str, Any]) -> dict[str, Any]:
    own = {
        "_event_hash": (read_hash(known) if known else None) or config.new_hash(),
        "_attempt": read_attempt(known) if known else 1,
        "_hostname": config.hostname,
        "_process": process_id(),
        "_enqueued_time": config.clock(),
    }
    parent = current_job()
    if parent is not None and parent.event_hash is not None and parent.event_hash != own["_event_hash"]:
        own["_parent_event_hash"] = parent.event_hash
    return own


def _preprocess(config: Config, queue: str, item: Item) -> None:
    before = dict(item)
    steps: Iterable[ItemPreprocessor] = config.item_preprocessors
    if config.propagator is not None:
        steps = [lambda _, item: config.propagator.inject(item), *steps]  # type: ignore[union-attr]
    for step in steps:
        try:
            step(queue, item)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - user code
            config.faults.report(f"item preprocessor {name_of(step)}", error, "the job is enqueued without its fields")
    damaged = {
        key: value
        for key, value in before.items()
        if item.get(key, item) is not value  # what was not touched is whole
        and (key not in item or (key in {"class", "args"} and _kind(item[key]) is not _kind(value)))
    }
    if damaged:
        wrong = TypeError(f"damaged the item's {' and '.join(map(str, damaged))}")
        config.faults.report("item preprocessor", wrong, "it was restored")
        item.update(damaged)


def _kind(value: object) -> type:
    return list if isinstance(value, tuple) else type(value)


def _plain_metadata(config: Config, found: object, before: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What the preprocessors left in ``clues_metadata``, as JSON can hold it; never what would keep the job out."""
    if not isinstance(found, Mapping):
        config.faults.report("item preprocessor", TypeError("put something else in clues_metadata's place"))
        found = before
    try:
        more = {key: value for key, value in found.items() if type(key) is not str or key not in own}
        if not more:
            return more
        cleaned: dict[str, Any]
        cleaned, cut = plain_within(more, MESSAGE_METADATA)
        if cut:
            too_much = ValueError(f"metadata of more than {MESSAGE_METADATA} bytes, or that JSON can't hold whole")
            config.faults.report("clues_metadata", too_much, "it was cut")
        if own.keys().isdisjoint(cleaned):
            return cleaned
        return {key: value for key, value in cleaned.items() if key not in own}
    except Exception as error:  # noqa: BLE001 - user code
        config.faults.report("item preprocessor", error, "its fields are left out")
        return {}
