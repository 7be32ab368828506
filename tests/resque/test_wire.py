"""JSON as Ruby writes it: bytes, spellings, refusals, and members cut out whole."""

from __future__ import annotations

import datetime as dt
import enum
import json
import random
import shutil
import struct
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clues.errors import DecodeError, EncodeError
from clues.resque import wire
from tests.requirements import lacking

GOLDEN = [
    (1.0, "[1.0]"),
    (1e15, "[1.0e+15]"),
    (1e16, "[1.0e+16]"),
    (1e20, "[1.0e+20]"),
    (1e-4, "[0.0001]"),
    (1e-5, "[1.0e-05]"),
    (1.5e-7, "[1.5e-07]"),
    (123456789012345680.0, "[1.2345678901234568e+17]"),
    (0.1 + 0.2, "[0.30000000000000004]"),
    (-0.0, "[-0.0]"),
    (2**70, "[1180591620717411303424]"),
    (None, "[null]"),
    ("a/b", '["a/b"]'),
    ("é世😀", '["é世😀"]'),
    ("\x01\b\f\n\r\t\x1b\x7f", '["\\u0001\\b\\f\\n\\r\\t\\u001b\x7f"]'),
    ("\u2028", '["\u2028"]'),
    ('"\\', '["\\"\\\\"]'),
    ("<&>", '["<&>"]'),
    ({1: 2}, '[{"1":2}]'),
    ({None: 1}, '[{"":1}]'),
    ([{}, [], ""], '[[{},[],""]]'),
]


@pytest.mark.parametrize(("value", "text"), GOLDEN)
def test_a_value_is_written_as_ruby_wrote_it(value: object, text: str) -> None:
    """The golden rows "JSON as Ruby writes it"."""
    assert wire.encode([value]) == text.encode()


class _Colour(enum.IntEnum):
    RED = 3


class _Name(enum.StrEnum):
    ANNA = "anna"


class _Metres(float):
    def __repr__(self) -> str:
        return "far"


@pytest.mark.parametrize("beside", [1.0, 1e-5], ids=["fast path", "slow path"])
def test_subclasses_are_plain_values(beside: float) -> None:
    """Enums, tuples and subclasses of float are what they are in JSON, on either path."""
    value = [_Colour.RED, _Name.ANNA, _Metres(2.5), (1, 2), {_Name.ANNA: _Colour.RED}, True, beside]
    assert wire.encode(value[:-1]) == b'[3,"anna",2.5,[1,2],{"anna":3},true]'
    assert wire.encode(value).startswith(b'[3,"anna",2.5,[1,2],{"anna":3},true,1.0')


def test_keys_become_strings() -> None:
    """Keys of other plain types are spelled as Ruby's to_s does; Ruby's nil is the empty string."""
    value = {1: 1, 1e16: 2, 2.5: 3, False: 4, None: 5, _Colour.RED: 6}
    assert wire.encode(value) == b'{"1":1,"1.0e+16":2,"2.5":3,"false":4,"":5,"3":6}'


def _cycle() -> list[Any]:
    value: list[Any] = []
    value.append({"again": value})
    return value


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([1, {"when": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}],
         "args[1].when is a datetime; pass a string or a number"),
        ([{"a b": {1, 2}}], "args[0]['a b'] is a set; pass a list"),
        ([b"x"], "args[0] is a bytes; pass a string"),
        ([object()], "args[0] is an object; pass a string or a number"),
        ([OSError()], "args[0] is an OSError; pass a string or a number"),
        ([float("nan")], "args[0] is nan, which JSON can't hold; pass None or a string"),
        ([[float("-inf")]], "args[0][0] is -inf, which JSON can't hold; pass None or a string"),
        (["a\ud800"], "args[0] holds half a character (\\ud800); pass text that UTF-8 can hold"),
        ([{(1, 2): 3}], "args[0] has a tuple as a key; use a string"),
        ([{float("nan"): 3}], "args[0] is nan, which JSON can't hold; pass None or a string"),
        (_cycle(), "args[0].again holds itself; pass data without cycles"),
        ([_nested(99)], "the value is nested deeper than 100 levels, which Ruby refuses; pass flatter data"),
        (_nested(3000), "the value is nested deeper than 100 levels, which Ruby refuses; pass flatter data"),
        ([10**100_001], "args[0] is an integer of more than 100000 digits; pass a string"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
def test_a_refusal_names_the_place(args: list[Any], message: str) -> None:
    """What JSON or Ruby can't hold is refused with its place and what to do."""
    with pytest.raises(EncodeError) as caught:
        wire.encode({"class": "J", "args": args})
    assert str(caught.value) == message


def test_as_deep_as_ruby_goes() -> None:
    """One hundred levels are written and read."""
    assert wire.decode(wire.encode(_nested(100))) == _nested(100)
    broad = [_nested(99), {}]  # of more brackets than levels
    assert wire.decode(wire.encode(broad)) == broad
    for deeper in (b"[[[]],%s[]%s]" % (b"[" * 99, b"]" * 99), b'{"a":' * 101 + b"1" + b"}" * 101):
        with pytest.raises(DecodeError, match="the item is nested deeper than 100 levels"):
            wire.decode(deeper)


def test_half_characters_in_keys_are_refused() -> None:
    """A key is text like any other."""
    with pytest.raises(EncodeError, match=r"^args\[0\]\['.udfff'\] holds half a character"):
        wire.encode({"args": [{"\udfff": 1}]})


@pytest.mark.parametrize("digits", [4300, 4301, 20_000])
def test_long_integers_are_whole(digits: int) -> None:
    """Python's own limit of 4300 digits is not ours."""
    value = 10 ** (digits - 1) + 7
    raw = wire.encode([value, -value])
    assert raw == b"[1%s7,-1%s7]" % (b"0" * (digits - 2), b"0" * (digits - 2))
    assert wire.decode(raw) == [value, -value]
    assert wire.members(b'{"args":%s}' % raw) == {"args": raw}
    escaped = b'[["\\ud83d\\ude00"],%s]' % raw  # which is looked at more closely
    assert wire.decode(escaped) == [["😀"], [value, -value]]


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)  # fmt: skip


@given(PLAIN)
def test_what_is_written_reads_back(value: Any) -> None:
    """Decoding undoes encoding."""
    assert wire.decode(wire.encode(value)) == value


@given(PLAIN)
def test_both_paths_write_the_same(value: Any) -> None:
    """A value next to a number that takes the slow path is written as on the fast one."""
    assert wire.encode([value, 1e-5]) == b"[" + wire.encode(value) + b",1.0e-05]"


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), PLAIN), st.sampled_from([None, 1, " "]))
def test_members_hold_each_value_as_it_is(value: dict[str, Any], indent: int | str | None) -> None:
    """Cut apart and joined again, an object is the same, whoever wrote it."""
    raw = json.dumps(value, indent=indent, ensure_ascii=isinstance(indent, int)).encode()
    parts = wire.members(raw)
    assert list(parts) == list(value)
    assert all(part in raw for part in parts.values())
    assert wire.decode(wire.join(parts)) == value
    assert wire.members(wire.join(parts)) == parts


def test_members_keep_bytes_exactly() -> None:
    """Spelling and spaces inside a value stay; the last of two equal keys wins."""
    raw = '\n{ "a" : [ 1.00, 1E5 ,{}], "\\u00e9":"\\u00e9é", "a":-0 } '.encode()
    assert wire.members(raw) == {"a": b"-0", "é": '"\\u00e9é"'.encode()}
    assert wire.members(b" { } ") == {}


BROKEN = [
    b"", b" ", b"not json", b"[NaN]", b"[Infinity]", b"[-Infinity]", b"[1,]", b'{"a":1,}', b"[1] x", b"[01]", b"[1.]",
    b"[+1]", b"{1:2}", b'["\t"]', b'["\xff"]', b"\xef\xbb\xbf[1]", b"[\x00]", b'["\\ud800"]', b'{"\\udc00":1}',
    "[1]".encode("utf-16"), b"\x0c[1]", b"[" * 101 + b"]" * 101, b"[" * 100_000, b'{"a":' * 100_000,
    b"[" + b"1" * 100_001 + b"]", b'[1,{"a":["b","\\ud83d"]}]',
]  # fmt: skip


@pytest.mark.parametrize("raw", BROKEN, ids=lambda raw: repr(raw[:20]))
def test_what_ruby_refuses_is_refused(raw: bytes) -> None:
    """Broken items are a DecodeError that holds them, never another error."""
    with pytest.raises(DecodeError) as caught:
        wire.decode(raw)
    assert caught.value.raw == raw
    assert str(caught.value).startswith("the item ")
    with pytest.raises(DecodeError):
        wire.members(raw)
    with pytest.raises(DecodeError):
        wire.members(b'{"args":' + raw + b"}")


@pytest.mark.parametrize("raw", [b"[1]", b'"a"', b"1", b"null", b'{"a" 1}', b"{,}", b'{"a":1 "b":2}', b'{"a":1}}'])
def test_members_wants_an_object(raw: bytes) -> None:
    """JSON of another kind, or half an object, has no members."""
    with pytest.raises(DecodeError):
        wire.members(raw)


@pytest.mark.parametrize(
    ("raw", "why"), [(b"[1]", "Expecting '{'"), (b"{1:2}", "a string as the key"), (b'{"a":1}}', "Extra data")]
)
def test_why_it_has_no_members(raw: bytes, why: str) -> None:
    """The message says it."""
    with pytest.raises(DecodeError, match=f"^the item is not JSON: .*{why}"):
        wire.members(raw)


@given(st.binary())
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Reading never raises anything but DecodeError."""
    for read in (wire.decode, wire.members):
        try:
            read(raw)
        except DecodeError:
            continue


def test_reading_follows_ruby() -> None:
    """A float too large is infinite, the last of two equal keys wins, scalars are JSON."""
    assert wire.decode(b"[1e400]") == [float("inf")]
    assert wire.decode(b'{"a":1,"a":2}') == {"a": 2}
    assert wire.decode(b"1") == 1
    assert wire.decode(b'["\\ud83d\\ude00"]') == ["😀"]


RUBY = """
require 'json'
STDIN.set_encoding('UTF-8')
STDIN.each_line { |line| STDOUT.puts JSON.generate(JSON.parse(line)) }
"""


def _floats(chance: random.Random) -> list[float]:
    spread = [chance.uniform(-1, 1) * 10.0 ** chance.randint(-20, 20) for _ in range(2000)]
    bits = [struct.unpack("d", chance.randbytes(8))[0] for _ in range(2000)]
    round_ones = [sign * digit * 10.0**power for sign in (1, -1) for digit in (1, 2, 9.5) for power in range(-30, 31)]
    near = [1e15 + n / 8 for n in range(-20, 20)] + [1e16 + 2 * n for n in range(-20, 20)]
    halves = [chance.randint(10**15, 2**52) + chance.choice([0, 0.25, 0.5]) for _ in range(500)]
    return [value for value in spread + halves + bits + round_ones + near if value - value == 0]


def test_real_ruby_writes_the_same() -> None:
    """Thousands of floats, and strings of every kind of character, are the bytes that Ruby writes."""
    ruby = shutil.which("ruby") or lacking("ruby", "it is not on PATH")
    chance = random.Random(7)
    ranges = [(0, 0x7F), (0x80, 0xD7FF), (0xE000, 0x10FFFF)]
    strings = ["".join(chr(chance.randint(*chance.choice(ranges))) for _ in range(8)) for _ in range(2000)]
    values: list[Any] = [[value] for value in [*_floats(chance), *strings]] + [[{text: 1}] for text in strings]
    lines = "\n".join(json.dumps(value) for value in values)
    answer = subprocess.run([ruby, "-e", RUBY], input=lines.encode(), capture_output=True, check=True)
    written = answer.stdout.split(b"\n")[:-1]
    assert [wire.encode(value) for value in values] == written
