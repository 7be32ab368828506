"""Everything that reads foreign data, with what hypothesis makes of it."""

from __future__ import annotations

import pytest
from hypothesis import given

from tests.fuzz.examples import examples
from tests.fuzz.hostile import EVIL, RAW, foreign
from tests.fuzz.targets import TARGETS, Target

URLS = (
    b"otlp://bob:hunter2@[", b"tcp://bob:hunter2@host:99999999999", b"log://", b"://", b"a" * 5000 + b"://x", b"otlp://\xff",
    b"elasticsearch://bob:hunter2@host:9200/x?api_key=hunter2&verify_certs=maybe",
)  # fmt: skip


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_what_was_found_once(target: Target) -> None:
    for data in (*RAW, *URLS, EVIL[:40].encode()):
        target(data)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_any_bytes(target: Target) -> None:
    examples(25)(given(foreign)(target))()
