"""Redaction, caps, and values that JSON can't hold."""

# ruff: noqa: E501 - tables of samples read best as wide as they are
from __future__ import annotations

import copy
import datetime as dt
import decimal
import enum
import io
import json
import re
import sys
import uuid
from collections import OrderedDict, UserDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clues import clues_metadata
from clues.event import json_encoder
from clues.plain import Walk, calm_copy, plain, plain_within
from clues.publishers import CompositePublisher, LogPublisher, StreamPublisher
from clues.redaction import REDACTED, SECRET_WORDS, SecretNames
from clues.sanitize import Limits, Sanitizer, _name, for_log, for_terminal, one_line
from tests.stories import Stage, live

SMALL = Limits(args=200, metadata=300, message=100, backtrace=250)


def size(value: Any) -> int:
    """The encoded size, in bytes."""
    return len(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())


@contextmanager
def encoder(name: str) -> Iterator[None]:
    """Encode with orjson, or as if it were not installed."""
    with mock.patch.dict(sys.modules, {} if name == "orjson" else {"orjson": None}):
        json_encoder.cache_clear()
        json_encoder()
    try:
        yield
    finally:
        json_encoder.cache_clear()


# --- nasty values ---


class RaisesEverywhere:
    """Every method that anybody might call."""

    def _raise(self, *_: Any) -> Any:
        raise ValueError("hostile")

    __repr__ = __str__ = __eq__ = __ne__ = __bool__ = __len__ = __iter__ = __getattr__ = __int__ = __float__ = _raise
    __hash__ = object.__hash__
    __class__ = property(_raise)


class RaisingItems(dict[Any, Any]):
    def items(self) -> Any:
        raise ValueError

    keys = values = __iter__ = __len__ = items


class LyingItems(dict[Any, Any]):
    def items(self) -> Any:
        return [(1, 2, 3)]

    def __len__(self) -> int:
        return -5  # noqa: PLE0303


class LyingText(str):
    __slots__ = ()

    def __len__(self) -> int:
        return 0

    def isascii(self) -> bool:
        return True

    def encode(self, *_: Any) -> Any:
        raise ValueError

    def __getitem__(self, _: Any) -> str:
        return self

    def __str__(self) -> str:
        return self

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise ValueError


class LyingNumber(int):
    def __int__(self) -> Any:
        raise ValueError

    __repr__ = __str__ = __index__ = bit_length = __int__


class TextRepr:
    def __repr__(self) -> str:
        return LyingText("z" * 100_000)


class HugeRepr:
    def __repr__(self) -> str:
        return "r" * 1_000_000


class EndlessList(list[Any]):
    def __iter__(self) -> Iterator[Any]:
        while True:
            yield "again"


def oddly_named() -> Any:
    """Of a class whose very name can't be asked; made late, for pytest would ask."""

    class OddNames(type):
        @property
        def __name__(cls) -> str:  # type: ignore[override]
            raise ValueError

    class OddlyNamed(metaclass=OddNames):
        def __repr__(self) -> str:
            raise ValueError

    return OddlyNamed()


class Level(enum.IntEnum):
    LOW = 1


class Colour(enum.StrEnum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


def deep(kind: str, depth: int) -> Any:
    value: Any = "bottom"
    for _ in range(depth):
        value = [value] if kind == "list" else {"k": value}
    return value


def cyclic() -> Any:
    value: dict[str, Any] = {"list": []}
    value["list"].append(value)
    value["self"] = value
    return value


def laughs() -> Any:
    value: Any = ["ha"]
    for _ in range(60):
        value = [value, value, {"k": value}]
    return value


NASTY: list[Callable[[], Any]] = [
    RaisesEverywhere, lambda: RaisingItems(a=1), lambda: LyingItems(a=1), lambda: LyingText("y" * 5000),
    lambda: LyingNumber(7), TextRepr, HugeRepr, lambda: EndlessList([1]), oddly_named, cyclic, laughs,
    lambda: deep("list", 3000), lambda: deep("dict", 3000), lambda: (number for number in range(3)), object,
    lambda: {RaisesEverywhere(): 1}, lambda: {LyingText("k" * 500): 1}, lambda: {"password": RaisesEverywhere()},
    lambda: {b"\xff": 1, None: 2, True: 3, 1.5: 4, (1, 2): 5, "\ud800": 6, "k" * 10_000: 7},
    lambda: {"password": LyingText("x")}, lambda: memoryview(b"abc"), lambda: bytearray(b"\xff\xfe"), lambda: {1, "a", None},
    lambda: 10**5000, lambda: -(2**63) - 1, lambda: 2**63, lambda: 2**64, lambda: float("nan"), lambda: -float("inf"),
    lambda: decimal.Decimal("1.10"), lambda: uuid.UUID(int=5), lambda: Path("/tmp/x"), lambda: dt.datetime(2026, 1, 2),
    lambda: Level.LOW, lambda: Colour.RED, lambda: Point(1, 2), lambda: UserDict(a=1), lambda: OrderedDict(a=1),
    lambda: "\ud800" * 50, lambda: '\x00\x1f"\\' * 50, lambda: "\U0001f600" * 500, mock.MagicMock, lambda: type,
    lambda: {"": ""}, lambda: b"\xe2\x82" * 300, lambda: [""] * 1000, lambda: {str(n): None for n in range(1000)},
    lambda: [[]] * 1000, lambda: [{"a": []}] * 500, lambda: ["x" * 7] * 100,
]  # fmt: skip


@dataclass(frozen=True)
class Nasty:
    """Stands for a value that hypothesis itself could not handle."""

    number: int


def build(spec: Any) -> Any:
    """The value that a generated one stands for."""
    if isinstance(spec, Nasty):
        return NASTY[spec.number]()
    if isinstance(spec, list | tuple):
        return type(spec)(map(build, spec))
    return {key: build(value) for key, value in spec.items()} if isinstance(spec, dict) else spec


nasty: st.SearchStrategy[Any] = st.deferred(
    lambda: (
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60) | st.binary(max_size=60)
        | st.characters(categories=["Cs"]) | st.integers(0, len(NASTY) - 1).map(Nasty)
        | st.sampled_from(SECRET_WORDS).map(lambda word: f"{word}=hunter2")
        | st.lists(nasty, max_size=5) | st.tuples(nasty, nasty)
        | st.dictionaries(st.text(max_size=20) | st.integers() | st.sampled_from(SECRET_WORDS), nasty, max_size=5)
    )
)  # fmt: skip


def only_json(value: Any) -> bool:
    """Whether it holds exact JSON types alone: no subclass with ideas of its own."""
    if type(value) is dict:
        return all(type(key) is str and only_json(item) for key, item in value.items())
    if type(value) is list:
        return all(map(only_json, value))
    return value is None or type(value) in {str, int, float, bool}


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(nasty, st.sampled_from([SMALL, Limits(), Limits(64, 64, 64, 64)]))
def test_any_value_becomes_plain_and_small(value: Any, limits: Limits) -> None:
    """Exact JSON types, strict JSON, within the cap of its part, whatever came in."""
    value = build(value)
    sanitizer = Sanitizer(limits=limits)
    args, _ = sanitizer.args("Job", [value, value])
    metadata, _ = sanitizer.metadata({"a": value, "b": value})
    assert only_json(args)
    assert only_json(metadata)
    assert size(args) <= limits.args
    assert size(metadata) <= limits.metadata


@pytest.mark.parametrize("make", NASTY)
@pytest.mark.parametrize("limit", [64, 100, 300, 2048])
def test_each_nasty_value_alone(make: Any, limit: int) -> None:
    """As an argument, in metadata, as args themselves, as an item's metadata, as a name."""
    sanitizer = Sanitizer(limits=Limits(limit, limit, limit, limit))
    for args in ([make()], make(), [make()] * 50):
        cleaned, _ = sanitizer.args("Job", args)
        assert only_json(cleaned)
        assert size(cleaned) <= limit
    metadata, _ = sanitizer.metadata({"a": make()} | {str(number): make() for number in range(20)})
    assert size(metadata) <= limit
    whole = plain({"a": make()})
    assert only_json(whole)
    assert size(whole) <= 2 << 20
    name = sanitizer.name(make())
    assert type(name) is str
    assert size(name) <= 202


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(min_value=0, max_value=400), st.text(max_size=3), st.integers(min_value=64, max_value=700))
@example(200, '"', 64)
@example(60, "\U0001f600", 65)
@example(120, "\x01", 90)
def test_caps_hold_at_every_edge(count: int, text: str, limit: int) -> None:
    """Texts, messages and backtraces of any length around the cap."""
    sanitizer = Sanitizer(limits=Limits(limit, limit, limit, limit))
    message, cut = sanitizer.message(text * count)
    assert size(message) <= limit
    assert cut == message.endswith("…") or text.endswith("…")
    lines = [f"{text}{number}" * (number % 7) for number in range(count)]
    backtrace, cut = sanitizer.backtrace(lines)
    assert size(backtrace) <= limit
    assert cut == (backtrace != lines) or not text.isprintable()
    assert size(sanitizer.args("J", lines)[0]) <= limit
    assert size(sanitizer.metadata({line: line for line in lines})[0]) <= limit


def test_caps_hold_wherever_the_cut_falls() -> None:
    """Before, in and after each kind of value."""
    sanitizer = Sanitizer(limits=SMALL)
    tail: list[Any] = [
        -1.2345678901234567e-200,
        -(2**62),
        None,
        True,
        {"password": "x", "k" * 30: -1.5e-200},
        [[], {}],
        "é",
        2**80,
    ]
    for fill in range(220):
        for last in ([], tail, *([one, *range(9)] for one in tail)):
            args, _ = sanitizer.args("Job", [["x" * fill, *last], *range(12)])
            assert size(args) <= 200
    million = [0] * 1_000_000  # whose mark is long
    for fill in range(120, 170):
        assert size(sanitizer.args("Job", ["x" * fill, tail[0], *million])[0]) <= 200


def test_a_secret_whose_methods_raise_hides_nothing_else() -> None:
    """It is not even compared."""
    found, cut = Sanitizer().metadata({"a": 1, "password": RaisesEverywhere(), "token": LyingText("x")})
    assert (found, cut) == ({"a": 1, "password": REDACTED, "token": REDACTED}, False)


@pytest.mark.parametrize("letter", ["a", "é", "€", "😀", '"', "\\"])
def test_caps_hold_in_any_script(letter: str) -> None:
    """What is short and plain, and so takes a quick way, is counted in bytes too."""
    sanitizer = Sanitizer(limits=SMALL)
    for length in range(20, 250, 3):
        assert size(sanitizer.args("J", [letter * length])[0]) <= 200
        assert size(sanitizer.args("J", [letter] * length)[0]) <= 200
        assert size(sanitizer.metadata({"key": letter * length})[0]) <= 300
        assert size(sanitizer.metadata({letter * at: at for at in range(1, length // 8)})[0]) <= 300


def test_plain_values_of_any_size() -> None:
    """With whether anything was cut."""
    assert plain_within({"a": [1, None]}, 200) == ({"a": [1, None]}, False)
    found, cut = plain_within({"a": "x" * 1000}, 200)
    assert cut
    assert size(found) <= 200


@pytest.mark.parametrize("filler", [None, True, False, 7, 1.5, float("inf"), 2**70, {}, [], ()], ids=repr)
def test_caps_hold_for_many_small_values(filler: Any) -> None:
    """Beside one that takes the careful way."""
    for many in (10, 33, 34, 35, 36, 37, 38, 39, 40, 41, 500):
        assert size(Sanitizer(limits=SMALL).args("J", [{1, 2}, *[filler] * many])[0]) <= 200


def test_what_is_not_shown_says_why() -> None:
    """A list that holds itself is no deep one."""
    around: list[Any] = []
    around.extend([around] * 100)
    shown, _ = Sanitizer(limits=SMALL).args("J", [around])
    assert "<cycle>" in json.dumps(shown)
    assert "<too deep>" not in json.dumps(shown)
    assert size(shown) <= 200
    assert "<too deep>" in json.dumps(Sanitizer().args("J", [deep("list", 40)])[0])
    assert Sanitizer().args("J", [2**1023 - 1])[0] == [str(2**1023 - 1)]
    assert Sanitizer().args("J", [2**1023])[0] == ["<integer of 1024 bits>"]


def test_what_others_wrote_in_our_own_log() -> None:
    """On one line, capped, without secrets; with an application's own words where it has some."""
    assert for_log("password=hunter2\nred: \x1b[31m") == "password=[REDACTED]\\nred: \\x1b[31m"
    assert len(for_log("x" * 10_000)) <= 2048
    assert for_log("pin=hunter2") == "pin=hunter2"
    assert for_log("pin=hunter2", Sanitizer(words=("pin",))) == "pin=[REDACTED]"


def test_lone_surrogates_in_messages() -> None:
    """They have no UTF-8."""
    assert Sanitizer().message("a\ud800b")[0] == "a\\ud800b"


class HostileError(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value

    def __str__(self) -> str:
        return str(self.value)


@pytest.mark.parametrize("which", ["orjson", "stdlib"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(spec=nasty)
def test_a_whole_story_of_nasty_values(which: str, spec: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Enqueued to failed, into a log and a stream: nothing raises, nothing is lost, every line is strict JSON."""
    if which == "orjson":
        pytest.importorskip("orjson")
    value = build(spec)
    path = tmp_path_factory.getbasetemp() / f"nasty-{which}.log"
    path.unlink(missing_ok=True)
    stream = io.StringIO()
    composite = CompositePublisher(LogPublisher(path), StreamPublisher(stream))
    stage = Stage(
        options={
            "publisher": composite,
            "item_preprocessors": (lambda q, item: item["clues_metadata"].update(a=value),),
        }
    )

    def job() -> None:
        clues_metadata["written"] = value
        raise HostileError("its own words would be endless" if isinstance(spec, list | tuple | dict | Nasty) else value)

    item = {"class": "Job", "args": [value, value]}
    with encoder(which):
        live(stage.lifecycle, item, job)
    composite.close()
    json.dumps(item["clues_metadata"], allow_nan=False).encode()
    assert composite.faults.counts == {}
    assert stage.config.faults.counts.keys() <= {"clues_metadata"}  # that a cycle was cut is said
    lines = path.read_text().split("\n")  # nothing else ends a line: JSON may hold U+0085 and U+2028
    assert stream.getvalue().split("\n") == lines
    assert lines.pop() == ""
    events = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [event["event_type"] for event in events] == ["enqueued", "dequeued", "perform_started", "failed"]
    for event in events:
        assert size(event["args"]) <= 2048
        users = {key: value for key, value in event["metadata"].items() if not key.startswith("_")}
        assert size(users) <= 8192
        assert size(event["metadata"].get("_message", "")) <= 2048
        assert size(event["metadata"].get("_backtrace", [])) <= 8192
        assert "_event_id" in event["metadata"]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(nasty)
def test_both_encoders_give_equal_values(value: Any) -> None:
    """A machine without orjson writes what one with it writes."""
    pytest.importorskip("orjson")
    cleaned, _ = Sanitizer().args("Job", [build(value)])
    found = []
    for which in ("orjson", "stdlib"):
        with encoder(which):
            found.append(json.loads(json_encoder()(cleaned)))
    assert found[0] == found[1] == cleaned


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_jobs_own_objects_are_never_modified(value: Any) -> None:
    """What an event shows is a copy."""
    before = copy.deepcopy(value)
    Sanitizer(limits=SMALL).args("Job", [value])
    Sanitizer(limits=SMALL).metadata({"a": value})
    assert value == before


def test_fifty_megabytes_cost_no_more_than_their_head() -> None:
    """Texts, bytes, lists and dicts that are huge are looked at no further than could be shown."""
    huge = "x" * 50_000_000
    sanitizer = Sanitizer()
    for value in (huge, huge.encode(), [huge] * 10, {"k": huge}, range(10**9), [1] * 5_000_000, set(range(10**6))):
        assert size(sanitizer.args("Job", [value])[0]) <= 2048
    assert sanitizer.message(huge)[1]
    many = dict.fromkeys(range(10**6), 1)
    assert size(sanitizer.metadata(many)[0]) <= 8192


def test_what_was_cut_says_so() -> None:
    """In the value, and by the second answer."""
    sanitizer = Sanitizer(limits=SMALL)
    assert sanitizer.args("J", [1, "two", None]) == ([1, "two", None], False)
    args, cut = sanitizer.args("J", ["a" * 1000])
    assert cut
    assert args[0].endswith("…")
    args, cut = sanitizer.args("J", list(range(1000)))
    assert cut
    assert args[-1] == f"… {1000 - len(args) + 1} more"
    metadata, cut = sanitizer.metadata({f"key{number}": number for number in range(1000)})
    assert cut
    assert metadata["…"] == f"{1000 - len(metadata) + 1} more"
    assert sanitizer.args("J", [deep("list", 40)])[1]
    assert sanitizer.args("J", [cyclic()])[1]
    assert sanitizer.metadata({"a": 1}, spent=290) == ({}, True)
    assert sanitizer.metadata({}, spent=290) == sanitizer.metadata({}) == ({}, False)


def test_what_is_shown_as_what() -> None:
    """The readable form of values that JSON does not know."""
    given_ = [
        float("nan"), float("inf"), -float("inf"), 2**63, 10**5000, b"a\xff", decimal.Decimal("1.10"), uuid.UUID(int=5),
        dt.date(2026, 1, 2), Path("/x"), Level.LOW, Colour.RED, Point(1, 2), {3}, None, True,
    ]  # fmt: skip
    assert plain(given_) == [
        "NaN", "Infinity", "-Infinity", str(2**63), "<integer of 16610 bits>", "a\\xff", "1.10",
        "00000000-0000-0000-0000-000000000005", "2026-01-02", "/x", 1, "red", [1, 2], [3], None, True,
    ]  # fmt: skip
    assert plain({None: 1, True: 2, 5: 3}) == {"": 1, "true": 2, "5": 3}
    assert plain(RaisesEverywhere()) == f"<{RaisesEverywhere.__module__}.RaisesEverywhere>"


def test_a_proxy_object_is_not_called() -> None:
    """An object that answers for any name may do so by a call over the network."""
    asked: list[str] = []

    class Proxy:
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return lambda: asked.append(f"{name}()")

    plain([Proxy()])
    assert [name for name in asked if not name.startswith("__")] == []


def test_a_backtrace_keeps_its_head_and_its_tail() -> None:
    """Both tell something."""
    lines = [f"/app/jobs.py:{number}:in `perform'" for number in range(1000)]
    kept, cut = Sanitizer().backtrace(lines)
    assert cut
    assert (kept[0], kept[-1]) == (lines[0], lines[-1])
    [mark] = [line for line in kept if "left out" in line]
    assert mark == f"… {1000 - len(kept) + 1} lines left out …"
    assert Sanitizer().backtrace(lines[:5]) == (lines[:5], False)
    assert Sanitizer().backtrace(["x" * 5000]) == (["x" * 1019 + "…"], True)


def test_a_backtrace_is_cut_no_sooner_than_it_must() -> None:
    """A byte to spare is enough; without it, it may be cut, and fits."""
    lines = [f"/app/jobs.py:{number}:in `perform'" for number in range(6)]
    for limit in range(64, size(lines) + 4):
        kept, cut = Sanitizer(limits=Limits(backtrace=limit)).backtrace(lines)
        assert size(kept) <= limit
        assert cut == (kept != lines)
        assert not cut or limit <= size(lines)


def test_of_a_backtrace_that_is_cut_two_thirds_are_its_head() -> None:
    """That is where the error was raised."""
    lines = [f"/app/jobs.py:{number:04}:in `perform'" for number in range(1000)]
    kept, _ = Sanitizer().backtrace(lines)
    head = next(place for place, line in enumerate(kept) if "left out" in line)
    tail = len(kept) - head - 1
    assert abs(head - 2 * tail) <= 2
    assert size(kept) > 8192 - 100


def test_a_line_that_was_cut_is_told_whatever_follows_it() -> None:
    assert Sanitizer().backtrace(["x" * 5000, "y"]) == (["x" * 1019 + "…", "y"], True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("4f-1", "4f-1"), ("", ""), (7, "7"), (uuid.UUID(int=7), str(uuid.UUID(int=7))),
        ("password=hunter2", "password=hunter2"),  # a name is no text in which secrets are looked for
        ("x" * 200, "x" * 200), ("x" * 201, "x" * 195 + "…"), ("x" * 10_000, "x" * 195 + "…"), ("a\ud800", "a\\ud800"),
        ("ü", "ü"), ("ü" * 201, "ü" * 97 + "…"),
    ],
)  # fmt: skip
def test_a_foreign_systems_id(given: Any, expected: str) -> None:
    """Whatever it is: short, valid, and the same each time, so that readers can look for it."""
    found = Sanitizer().id(given)
    assert type(found) is str
    assert found == expected
    assert Sanitizer().id(LyingText("a-1")) == "a-1"


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, []), ("text", ["text"]), (5, [5]), ({"a": 1}, [{"a": 1}]), (Point(1, 2), [1, 2]), ((1, "a"), [1, "a"])],
)
def test_arguments_that_are_no_list(given: Any, expected: list[Any]) -> None:
    """A foreign item may hold anything in their place."""
    assert Sanitizer().args("Job", given) == (expected, False)


def test_one_line() -> None:
    """Nothing in it ends a line, steers a terminal, or turns the direction of text."""
    found = one_line("a\tb\nc\x1b[31m\x85\u202eü\u2028")
    assert found == r"a\tb\nc\x1b[31m\x85\u202eü\u2028"


def test_a_line_for_a_terminal() -> None:
    """What would steer it is escaped as JSON does it, so that the event is the same; its other text stays."""
    line = '{"a": "\x1b[31m\x07\x7f\x85\u202eü\u2066", "b": "\\u0007\t"}\n'.encode()
    shown = for_terminal(line)
    assert shown == '{"a": "\\u001b[31m\\u0007\\u007f\\u0085\\u202eü\\u2066", "b": "\\u0007\t"}\n'.encode()
    assert json.loads(shown, strict=False) == json.loads(line, strict=False)
    assert for_terminal(b"a\xffb") == "a\ufffdb".encode()


def test_arguments_that_can_not_be_read() -> None:
    """A list of somebody's own may raise, or be without end."""

    class Raising(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            raise ValueError

    assert Sanitizer().args("Job", Raising([1])) == (["<unreadable>"], False)
    shown, cut = Sanitizer().args("Job", EndlessList([1]))
    assert cut
    assert shown[:2] == ["again", "again"]
    assert re.fullmatch("… [0-9]+ more", shown[-1])


def test_a_job_close_to_the_recursion_limit() -> None:
    """Its event goes on without what is too deep to be walked there."""
    deep_down = deep("list", 30)

    def further(down: int) -> tuple[Any, Any]:
        if down:
            return further(down - 1)
        return Sanitizer().args("Job", deep_down), Sanitizer().metadata({"k": deep_down})

    found = []
    for down in range(sys.getrecursionlimit(), 0, -1):
        with suppress(RecursionError):
            found.append(further(down))
        if ([deep("list", 29)], False) in [args for args, _ in found]:
            break
    assert ((["<unreadable>"], True), ({}, True)) in found


@pytest.mark.parametrize("value", ["x", b"x"], ids=["quick", "careful"])
def test_how_much_room_other_fields_leave(value: Any) -> None:
    """Too little for a mark is none at all."""
    sanitizer = Sanitizer(limits=Limits(metadata=300))
    fields = {"k": value}
    assert sanitizer.metadata(fields) == ({"k": "x"}, False)
    assert sanitizer.metadata(fields, spent=300 - 64) == ({"k": "x"}, False)
    assert sanitizer.metadata(fields, spent=300 - 63) == ({}, True)
    long = {"k": "x" * 150}
    assert sanitizer.metadata(long, spent=300 - 192) == (long, False)
    shown, cut = sanitizer.metadata(long, spent=300 - 190)
    assert (cut, size(shown) <= 190) == (True, True)
    assert sanitizer.metadata({}, spent=400) == ({}, False)
    assert sanitizer.metadata(UserDict(fields)) == ({"k": "x"}, False)
    to_the_byte = {"k": "x" * (300 - 41)}
    assert sanitizer.metadata(to_the_byte) == (to_the_byte, False)
    assert sanitizer.metadata(to_the_byte, spent=1)[1]


def test_names_are_short_to_the_character() -> None:
    """Two hundred bytes of JSON, quotes included; the same the second time."""
    sanitizer = Sanitizer()
    for _ in range(2):
        assert sanitizer.name("n" * 198) == "n" * 198
        assert sanitizer.name("n" * 199) == "n" * 195 + "…"
        assert sanitizer.name("n" * 200) == "n" * 195 + "…"
        assert sanitizer.name("n" * 201) == "n" * 195 + "…"
    assert sanitizer.name("") == ""
    assert sanitizer.name(7) == "7"


def test_names_that_are_long_take_no_memory() -> None:
    """Whoever makes them up can make up many."""
    _name.cache_clear()
    Sanitizer().name("n" * 201)
    assert _name.cache_info().currsize == 0
    Sanitizer().name("n" * 200)
    assert _name.cache_info().currsize == 1


def test_a_cut_is_told_wherever_it_falls() -> None:
    """Also where the last number has no room any more."""
    sanitizer = Sanitizer(limits=Limits(args=64))
    seen = set()
    for fill in range(70):
        for last in (1.25, -(2**62), 2**80, True, None, "zz", [1], {"a": 1}):
            given_ = ["x" * fill, last]
            args, cut = sanitizer.args("J", given_)
            assert cut == (args != given_ and args != ["x" * fill, str(last)])
            seen.add(str(args[-1]))
    assert "…" in seen


def test_keys_of_all_kinds() -> None:
    """As JSON would write them, or Ruby."""

    class Named(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "another"

    given_ = {None: 1, True: 2, False: 3, 5: 4, Named("k"): 5, RaisesEverywhere(): 6}
    assert plain(given_) == {"": 1, "true": 2, "false": 3, "5": 4, "k": 5, "<unreadable RaisesEverywhere>": 6}


def test_numbers_of_other_classes_are_the_numbers_that_they_are() -> None:
    class Celsius(float):
        def __float__(self) -> float:
            return 99.0

        def __repr__(self) -> str:
            return "warm"

    (found,) = plain([Celsius(1.5)])
    assert (type(found), found) == (float, 1.5)


def test_mappings_and_bytes_of_other_classes() -> None:
    """Shown as what they are; of much, as much as has room."""
    assert plain([UserDict(a=1), OrderedDict(b=[2]), {"c": UserDict(d=UserDict(e=3))}]) == [
        {"a": 1},
        {"b": [2]},
        {"c": {"d": {"e": 3}}},
    ]
    ((shown,), cut) = Sanitizer().args("Job", [b"x" * 100_000])
    assert cut
    assert 1900 < len(shown) <= 2048


def test_what_can_not_be_asked_is_shown_by_its_class() -> None:
    """Though that is known to be harmless; a name has an end, too."""

    def broken(name: str, module: str) -> Any:
        def refuse(_: object) -> str:
            raise ValueError

        return type(name, (), {"__module__": module, "__str__": refuse, "__repr__": refuse})()

    assert plain([broken("float99", "numpy.core")]) == ["<unreadable float99>"]
    assert plain([broken("n" * 150, "decimal")]) == [f"<unreadable {'n' * 100}>"]


def test_names_are_short_and_valid() -> None:
    """A queue's name may be an enum, or anything that a foreign item holds."""
    sanitizer = Sanitizer()
    assert sanitizer.name(None) is None
    assert sanitizer.name("mail") == "mail"
    assert sanitizer.name(Colour.RED) == "red"
    assert sanitizer.name("q\ud800") == "q\\ud800"
    assert sanitizer.name("Token=abc") == "Token=abc"  # no secret is looked for in a class's name


# --- redaction ---


@pytest.mark.parametrize(
    "key",
    [
        "password", "Password", "PASSWORD", "passwords", "password1", "db_password", "dbPassword", "DBPassword", "dbpassword",
        "password_confirmation", "passwordHash", "user-password", "user.password", "user[password]", "pwd", "user_pwd",
        "passwd", "passphrase", "secret", "clientSecret", "client_secret", "clientsecret", "SECRET_KEY", "token", "authToken",
        "auth_token", "accesstoken", "refresh-token", "X-Auth-Token", "api_key", "apiKey", "API_KEY", "APIKey", "X-Api-Key",
        "XApiKey", "x_apikey", "AWS_SECRET_ACCESS_KEY", "AWSSecretAccessKey", "private_key", "Authorization", "auth",
        "Proxy-Authorization", "Cookie", "Set-Cookie", "session_id", "sessionid", "SessionID", "csrf_token", "xsrf",
        "X-Signature", "ssn", "userSsn", "credit_card", "creditCardNumber", "card_number", "cvv", "IBAN", "credentials",
    ],
)  # fmt: skip
def test_keys_that_name_a_secret(key: str) -> None:
    """At any depth, in args and metadata, in every spelling; and in text as well."""
    sanitizer = Sanitizer()
    found, cut = sanitizer.args("Job", [{"a": [{key: "hunter2"}]}])
    assert found == [{"a": [{key: REDACTED}]}]
    assert not cut
    assert sanitizer.metadata({key: {"nested": "hunter2"}})[0] == {key: REDACTED}
    for text in (f'{{"{key}": "hunter2"}}', f"{key}=hunter2", f"{key}: hunter2", f"?a=1&{key}=hunter2&b=2"):
        assert "hunter2" not in sanitizer.message(text)[0], text


@pytest.mark.parametrize(
    "key",
    [
        "author", "authority", "authors", "AUTHOR", "tokenizer", "tokenize", "passenger", "secretary", "compass", "bypass",
        "pass", "passed", "oauth", "monkey", "key", "keyboard", "access", "privates", "session", "cookies_n_cream"[9:], "card",
        "credit", "taliban", "lesson", "classname", "basic", "bearer", "design", "assign",
    ],
)  # fmt: skip
def test_ordinary_words_are_left_alone(key: str) -> None:
    """A log full of [REDACTED] is no use either."""
    sanitizer = Sanitizer()
    assert sanitizer.metadata({key: "value"})[0] == {key: "value"}
    for text in (f"{key}: value", f'{{"{key}": "value"}}', f"{key}=value"):
        assert sanitizer.message(text) == (text, False)


@pytest.mark.parametrize(
    "text",
    [
        "basic requirements are met", "Basic Authentication is off", "it takes 12:30 to http://host:80/a@b and back",
        '{"url":"http://host:80","email":"a@b.c"}', "https://host:443/@scope/pkg", "a token was lost", "no secret here",
        "SELECT * FROM tokens WHERE id = 5", "/usr/lib/python3.11/secrets.py:40:in `token_bytes'", "ratio 1:2", "x=1",
        "git@github.com:owner/repo.git", "postgres://localhost:5432/db", "2026-11-20T20:59:58Z",
    ],
)  # fmt: skip
def test_ordinary_text_is_left_alone(text: str) -> None:
    """Words, URLs, times, frames."""
    assert Sanitizer().message(text) == (text, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://me:hunter2@db/x", "postgres://me:[REDACTED]@db/x"),
        ("postgres://me:hun@ter:2@db/x", "postgres://me:[REDACTED]@db/x"),
        ("redis://:hunter2@host:6379/0", "redis://:[REDACTED]@host:6379/0"),
        ("amqp://a:hunter2@h1,amqp://b:hunter2@h2", "amqp://a:[REDACTED]@h1,amqp://b:[REDACTED]@h2"),
        ("GET /?token=hunter2&x=1 200", "GET /?token=[REDACTED]&x=1 200"),
        ("https://h/cb?access_token=hunter2#x", "https://h/cb?access_token=[REDACTED]"),
        ("Authorization: Bearer hunter2.abc", "Authorization: [REDACTED]"),
        ("Authorization: Token hunter2", "Authorization: [REDACTED]"),
        ("sent Bearer hunter2.hunter2 to", "sent Bearer [REDACTED] to"),
        ("sent Basic dXNlcjpodW50ZXIy to", "sent Basic [REDACTED] to"),
        ("Cookie: sid=hunter2; csrf=hunter2", "Cookie: [REDACTED]"),
        ('{"password":"hun\\"ter2","b":1}', '{"password":"[REDACTED]","b":1}'),
        ('{\\"password\\":\\"hunter2\\",\\"b\\":1}', '{\\"password\\":\\"[REDACTED]\\",\\"b\\":1}'),
        ("{'password': 'hunter2', 'b': 1}", "{'password': '[REDACTED]', 'b': 1}"),
        ('{"password"=>"hunter2"}', '{"password"=>"[REDACTED]"}'),
        ('{"tokens": ["hunter2", "hunter2"], "b": 1}', '{"tokens": [REDACTED], "b": 1}'),
        ("User(name='bob', password='hunter2')", "User(name='bob', password='[REDACTED]')"),
        ("Server=db;Password=hunter2;Port=5", "Server=db;Password=[REDACTED];Port=5"),
        ("DJANGO_SECRET_KEY=hunter2", "DJANGO_SECRET_KEY=[REDACTED]"),
        ("Invalid API key: hunter2", "Invalid API key: [REDACTED]"),
        ("password = 12345", "password = [REDACTED]"),
    ],
)
def test_secrets_in_text(text: str, expected: str) -> None:
    """In args, in metadata, in messages and backtraces, and in bytes."""
    sanitizer = Sanitizer()
    assert sanitizer.message(text)[0] == expected
    assert sanitizer.args("Job", [text])[0] == [expected]
    assert sanitizer.metadata({"a": text.encode()})[0] == {"a": expected}
    assert sanitizer.backtrace([text])[0] == [expected]


def test_a_form_error_loses_a_word_to_caution() -> None:
    """A judgement: what follows ``password:`` is taken for one. A lost word is cheaper than a shown password."""
    assert Sanitizer().message("the password: field is required")[0] == "the password: [REDACTED] is required"


def test_what_is_known_not_to_be_covered() -> None:
    """A user name alone in a URL, and secrets that nothing names, are shown."""
    for text in ("https://ghp_abc@github.com/x", "hunter2", "Invalid API key provided: sk-1"):
        assert Sanitizer().message(text) == (text, False)


@pytest.mark.parametrize("length", [600, 2040, 5000, 50_000])
@pytest.mark.parametrize(
    "form", ['{{"password": "{}"}}', "password={}", "Bearer {}", "password='{}'", '{{\\"password\\":\\"{}\\"}}']
)
def test_no_part_of_a_long_secret_is_left_at_the_cut(length: int, form: str) -> None:
    """Its end may lie beyond what is looked at."""
    secret = "hunter2" * (length // 7)
    for filler in (0, 1500, 2030, 2045):
        found, _ = Sanitizer().message("x" * filler + " " + form.format(secret))
        assert "hunter2" not in found


def test_whether_there_is_a_secret_may_be_known() -> None:
    """Nothing, false and empty give nothing away."""
    values = {"password": None, "token": "", "secret": False}
    assert Sanitizer().metadata(values)[0] == values


def test_positions_of_secret_args() -> None:
    """By class; other classes' are shown."""
    sanitizer = Sanitizer(args_of={"Charge": frozenset({1, 9})})
    assert sanitizer.args("Charge", ["a", {"b": 1}, "c"])[0] == ["a", REDACTED, "c"]
    assert sanitizer.args("Other", ["a", "b"])[0] == ["a", "b"]
    assert sanitizer.args(None, ["a", "b"])[0] == ["a", "b"]


@pytest.mark.parametrize(
    ("word", "hidden", "shown"),
    [
        ("pin", ["pin", "user_pin", "userPin", "PIN"], ["spin", "shipping", "pinned"]),
        ("tax-id", ["tax_id", "taxId", "Tax-ID", "taxid"], ["tax", "id"]),
        ("пароль", ["пароль", "мой_пароль", "Пароль"], ["a", "s", "x_y", ""]),
        ("contraseña", ["contraseña", "miContraseña"], ["contra"]),
        ("a.b*c", ["a.b*c", "a_b_c"], ["ab", "aXbYc"]),
    ],
)
def test_further_words(word: str, hidden: list[str], shown: list[str]) -> None:
    """Of any script; they are words and no patterns; the built-in ones still hold."""
    sanitizer = Sanitizer(words=(*SECRET_WORDS, word))
    for key in [*hidden, "password"]:
        assert sanitizer.metadata({key: "x1"})[0] == {key: REDACTED}, key
        assert "x1" not in sanitizer.message(f"{key}=x1")[0] or "." in key or "*" in key
    for key in shown:
        assert sanitizer.metadata({key: "x1"})[0] == {key: "x1"}, key


def test_redaction_off() -> None:
    """No words, no redaction, not by position either; the caps stay."""
    sanitizer = Sanitizer(words=(), args_of={"Job": {0}}, limits=SMALL)
    assert sanitizer.args("Job", ["x", {"password": "x"}])[0] == ["x", {"password": "x"}]
    assert sanitizer.message("password=x")[0] == "password=x"
    assert sanitizer.message("x" * 1000)[1]


def test_another_thread_changes_what_is_copied() -> None:
    """No secret slips in after its key was looked at."""

    class Meddling(SecretNames):
        def calm_key(self, key: str) -> bool:
            fields.pop("name", None)
            fields["password"] = "hunter2"
            return super().calm_key(key)

    fields: dict[str, Any] = {"name": "x"}
    assert calm_copy([fields], 2048, Meddling(SECRET_WORDS)) == [{"name": "x"}]


def test_what_common_values_take() -> None:
    """They need no walk: it would cost more than the rest of an event."""
    secrets = SecretNames(SECRET_WORDS)
    args = [42, "quarterly-report", {"format": "pdf", "pages": [1, 2.5, None], "customer": "Jürgen"}]
    copied = calm_copy(args, 2048, secrets)
    assert copied == args
    assert copied[2] is not args[2]
    around: list[Any] = []
    around.append(around)
    assert calm_copy(around, 2048, secrets) is None


@pytest.mark.parametrize(
    "unit",
    [
        "a-", "-a", "a_", "_", "-", "password-", "password", "auth-", "password ", "password=", 'password="', "password='\\",
        'password=\\"', '\\\\\\"', "token[", "token{[", "://", "a://b:", "://a:@", "@", "Bearer ", "basic ", "basic a", "Cookie: a=",
        "; ", ";a", "cookie:", "aA", "Aa", "api key ", "api_", "A1", " ", "=", ":", '"', "\\", "tokenAa", "x" * 50 + "://",
    ],
)  # fmt: skip
def test_hostile_text_takes_linear_time(unit: str) -> None:
    """A third of a megabyte with every trigger in it ends well within the test's timeout; quadratic time would be hours."""
    sanitizer = Sanitizer(limits=Limits(message=1 << 20))
    head = "=:@ Bearer basic cookie :// "
    for text in (head + unit * (300_000 // len(unit)), head + "password=" + unit * (300_000 // len(unit)) + "="):
        sanitizer.message(text)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["quarterly-report", "a:b", "password=x", "x=1", "https://u:p@h/", "Bearer abcdefgh", "é" * 40])
    | st.builds(object),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=2).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from(["password", "page", "k" * 61]), inner, max_size=4)
        | st.dictionaries(st.none() | st.integers(), inner, max_size=1)
    ),
    max_leaves=12,
)


@given(st.lists(PLAIN, max_size=5), st.integers(64, 800))
def test_what_needs_no_walk(args: list[Any], most: int) -> None:
    """A walk would give the same, and cut nothing; and it is a copy."""
    secrets = SecretNames(SECRET_WORDS)
    walk = Walk(secrets, most)
    walked = walk.value(args)
    copied = calm_copy(args, most, secrets)
    if copied is not None:
        assert (repr(copied), walk.cut) == (repr(walked), False)
        assert copied is not args
        args.append("more")
        assert copied != args
        args.pop()
    cleaned, cut = Sanitizer(Limits(args=most)).args("Job", args)
    assert (repr(cleaned), cut) == (repr(walked), walk.cut)


class QuerySet:
    """Like Django's: to look at it is to ask the database."""

    def __init__(self, **own: object) -> None:
        vars(self).update(own)

    def _ask(self, *_: object) -> str:
        pytest.fail("somebody asked the database")

    __repr__ = __str__ = __len__ = __iter__ = __bool__ = __eq__ = __getattr__ = _ask  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


def test_an_object_is_its_class_and_its_id_and_none_of_its_methods_is_called() -> None:
    shown, _ = Sanitizer().args("Job", [QuerySet(), QuerySet(id=42), QuerySet(pk="a-1", id=QuerySet()), QuerySet])
    name = f"{QuerySet.__module__}.QuerySet"
    assert shown == [f"<{name}>", f"<{name} id=42>", f"<{name} pk=a-1>", f"<{name}>"]


@dataclass
class Card:
    number: str
    password: str
    owner: object = None


@dataclass(slots=True)
class Slotted:
    size: int


class Model:
    """As pydantic makes them."""

    __pydantic_fields__: ClassVar = {"name": None, "api_key": None}

    def __init__(self) -> None:
        self.name, self.api_key = "Ada", "s3cr3t"


class Attrs:
    """As attrs makes them."""

    __attrs_attrs__: ClassVar = (SimpleNamespace(name="size"),)
    size = 3


def test_what_declares_its_fields_is_shown_by_them_redacted() -> None:
    shown, _ = Sanitizer().args("Job", [Card("1", "hunter2", QuerySet(id=1)), Slotted(2), Model(), Attrs(), Card])
    assert shown == [
        {"number": "1", "password": REDACTED, "owner": f"<{QuerySet.__module__}.QuerySet id=1>"},
        {"size": 2},
        {"name": "Ada", "api_key": REDACTED},
        {"size": 3},
        f"<{Card.__module__}.Card>",
    ]


class Shade(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (decimal.Decimal("1.50"), "1.50"),
        (dt.timedelta(minutes=1), "0:01:00"),
        (dt.date(2026, 11, 21), "2026-11-21"),
        (PurePosixPath("/tmp"), "/tmp"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Shade.RED, "Shade.RED"),
        (1 + 2j, "(1+2j)"),
        (range(3), "range(0, 3)"),
        (len, "<builtins.len>"),
    ],
)
def test_what_is_known_to_be_harmless_says_what_it_is(value: object, shown: str) -> None:
    assert Sanitizer().args("Job", [value])[0] == [shown]
