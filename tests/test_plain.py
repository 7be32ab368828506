"""Values as JSON can hold them: what passes as it is, what becomes of the rest, and to the byte where it is cut."""

from __future__ import annotations

import json
import math
from collections import UserDict
from dataclasses import dataclass, field
from types import MappingProxyType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from clues.plain import MAX_KEY, PLAIN_SIZE, Walk, calm_copy, encoded_size, plain, plain_within, text_of
from clues.redaction import NO_SECRETS, REDACTED, SECRET_WORDS, SecretNames

SECRETS = SecretNames(SECRET_WORDS)


def size(value: Any) -> int:
    """The encoded size, in bytes."""
    return len(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode())


def walked(value: Any, most: int, secrets: SecretNames = SECRETS) -> tuple[Any, bool]:
    """What the careful way gives within a size, and whether it was cut."""
    walk = Walk(secrets, most)
    return walk.value(value), walk.cut


def needs(value: Any) -> int:
    """The smallest size in which nothing of it is cut; in all that are larger nothing is either."""
    cuts = [walked(value, most)[1] for most in range(600)]
    least = cuts.index(False)
    assert not any(cuts[least:])
    return least


def nested(kind: type, depth: int) -> Any:
    """So many containers, each in the one before."""
    value: Any = kind()
    for _ in range(depth - 1):
        value = {"k": value} if kind is dict else kind([value])
    return value


# --- the quick way ---


@pytest.mark.parametrize(
    ("value", "least"),
    [
        # 34 bytes for each list or dict, 26 for a number, two for each ASCII character, four for others and in keys.
        ([None], 60), ([True], 60), ([7], 60), ([1.5], 60), ((7,), 60), ([7, 7], 86),
        ([""], 37), (["abcd"], 45), (["é"], 41), (["éa"], 45), (["abcd", "abcd"], 56), (["pages", "a:b=c1"], 62),
        ([[]], 68), ([()], 68), ([{}], 68), ([[7]], 94), ([{}, 7], 94), ([[7], 7], 120), ([["quarterly-report"]], 103),
        ({"k": 7}, 68), ({"ké": 7}, 72), ({"k": []}, 76), ({"k": {}, "l": "a"}, 89), ({"k": {"l": 7}}, 110),
        (nested(list, 8), 8 * 34), (nested(dict, 8), 8 * 34 + 7 * 8),
    ],
)  # fmt: skip
def test_the_quick_way_copies_what_has_room_for_certain(value: Any, least: int) -> None:
    """To the byte; and there the careful way has room for it, too."""
    copied = calm_copy(value, least, SECRETS)
    assert (copied, False) == walked(value, least)
    assert calm_copy(value, least - 1, SECRETS) is None
    assert size(copied) <= least


@pytest.mark.parametrize(
    "value",
    [
        [2**63], [-(2**63) - 1], [math.inf], [math.nan], [b"x"], [object()], ["a\nb"], ["\ud800"], ["\u2028"],
        ["pwd=xx"], ["password=hunter2"], {"password": 7}, {7: 7}, {"k" * 61: 7}, {"a\nb": 7}, [UserDict(k=7)],
        nested(list, 9), nested(dict, 9), nested(list, 3000),
    ],
)  # fmt: skip
def test_what_takes_the_careful_way(value: Any) -> None:
    assert calm_copy(value, 1 << 20, SECRETS) is None


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 1.5e300, -0.0, "pwd=x", "k" * 60, None, True, False, "a-b ü😀"])
def test_what_is_shown_as_it_is(value: Any) -> None:
    """By both ways, and of the same class."""
    for shown in (calm_copy([value], 2048, SECRETS), walked([value], 2048)[0]):
        assert [(type(one), repr(one)) for one in shown] == [(type(value), repr(value))]
    assert calm_copy({"k" * 60: value}, 2048, SECRETS) == {"k" * 60: value}


@pytest.mark.parametrize("beside", [[], [b"x"]], ids=["quick", "careful"])
def test_what_is_copied_is_shared_with_nobody(beside: list[Any]) -> None:
    """Whoever changes theirs later changes no event; a tuple is a list, as in JSON."""
    own: dict[str, Any] = {"list": [1], "dict": {"k": [2]}, "tuple": ([3],), "beside": beside}
    shown, cut = plain_within(own, 2048)
    own["list"].append("later")
    own["dict"]["k"].append("later")
    own["tuple"][0].append("later")
    own["more"] = "later"
    shown.pop("beside")
    assert (shown, cut) == ({"list": [1], "dict": {"k": [2]}, "tuple": [[3]]}, False)


# --- the careful way: what takes how much ---


@pytest.mark.parametrize(
    ("value", "least"),
    [
        # A list or a dict takes 34 bytes while it is open, and two when it is done. What is last may have none left,
        # where it is small: that is what is kept back for.
        ([], 0), ([""], 37), (["abc"], 40), (["é"], 39), (['"'], 39), (["\n"], 43), (["a", "b"], 42), (["a", 7], 40),
        ([None], 35), ([None, 7], 42), ([True, False, None], 47), ([7], 36), ([-12], 38), ([1.5], 38), ([1.5, 12], 41),
        ([2**63 - 1], 54), ([2**63], 56), ([math.inf], 45), ([-math.inf], 46), ([math.nan], 40),
        ([[]], 35), ([[], 7], 39), ([[7]], 71), ([[7], 7], 71), ([[], [], []], 41),
        ({"k": 7}, 40), ({"k": None}, 40), ({"k": "a"}, 42), ({"ké": 7}, 42), ({"k": 7, "l": 7}, 46),
        ({"k": None, "l": 7}, 50), ({"k": []}, 40), ({"k": {}, "l": 7}, 47), ({7: 7}, 40), ({None: 7}, 39),
        ({"password": None, "l": 7}, 57), ({"password": "", "l": 7}, 57), ({"password": False, "l": 7}, 57),
        ({"password": "x"}, 58), ({"tokens": 12}, 46), ({"tokens": 1.5}, 47), ({"k": {7}}, 75), ([b"ab"], 39),
    ],
)  # fmt: skip
def test_nothing_is_cut_that_has_room(value: Any, least: int) -> None:
    """To the byte; and what is shown is never larger than it may be."""
    assert needs(value) == least
    for most in range(40, 200):
        assert size(walked(value, most)[0]) <= most


# --- what is left of what is cut ---


@pytest.mark.parametrize(
    ("value", "most", "shown"),
    [
        ("a" * 99, 50, "a" * 45 + "…"),
        ("a" * 41, 42, "a" * 37 + "…"),
        ("a" * 50, 42, "a" * 37 + "…"),
        ("é" * 99, 50, "é" * 22 + "…"),
        ('"' * 99, 50, '"' * 22 + "…"),
        ("\x00" * 99, 50, "\x00" * 7 + "…"),
        ("abcde", 6, "a…"),
        ("abcd", 5, "…"),
        ("abcd", 0, "…"),
        ("", 1, "…"),
        ("password=" + "x" * 99, 50, "password=[REDACTED]…"),
        ("password=" + "x" * 99 + " " + "a" * 26, 50, "password=[REDACTED] " + "a" * 25 + "…"),
        ("aé" * 40, 50, "aé" * 15 + "…"),
        (b"a" * 99, 50, "a" * 45 + "…"),
        ([10**18, 7, 7, 7, 7], 44, ["…", 7, 7, "… 2 more"]),
        ([10**18], 44, ["…"]),
        ([10**18, 7, 7], 39, ["…", "… 2 more"]),
        ([7] * 9, 34, ["… 9 more"]),
        ([7] * 9, 38, [7, 7, "… 7 more"]),
        ([[7] * 9, 7, 7], 73, [[7, 7, "… 7 more"], "… 2 more"]),
        ([[7] * 9, 7, 7], 76, [[7, 7, 7, "…", "… 5 more"], "… 2 more"]),
        ({str(number): 7 for number in range(9)}, 46, {"0": 7, "1": 7, "…": "7 more"}),
        ({str(number): 7 for number in range(9)}, 45, {"0": 7, "…": "8 more"}),
        ([{7, 8}, 7], 60, [["… 2 more"], "… 1 more"]),
        ({"password": "x" * 99}, 56, {"password": "[REDA…"}),
    ],
)
def test_as_much_is_shown_as_has_room(value: Any, most: int, shown: Any) -> None:
    """The longest beginning, and how much more there was."""
    assert walked(value, most) == (shown, True)


@pytest.mark.parametrize("kind", [list, tuple, dict])
def test_so_deep_and_no_deeper(kind: type) -> None:
    """Thirty-two levels."""
    assert not plain_within(nested(kind, 32), 1 << 20)[1]
    shown, cut = plain_within(nested(kind, 33), 1 << 20)
    assert cut
    for _ in range(32):
        (shown,) = shown.values() if kind is dict else shown
    assert shown == "<too deep>"


@dataclass
class Basket:
    things: Any
    more: list[Any] = field(default_factory=list)


@pytest.mark.parametrize("around", [UserDict, MappingProxyType, frozenset, Basket], ids=lambda kind: kind.__name__)
def test_foreign_containers_count_as_levels(around: Any) -> None:
    """However they are nested, there is an end."""
    value: Any = "bottom"
    for _ in range(40):
        value = around([value]) if around is frozenset else around({"k": value})
    shown = json.dumps(plain([value]))
    assert "<too deep>" in shown
    assert "bottom" not in shown


def test_what_stands_twice_is_no_cycle() -> None:
    """Only what holds itself is."""
    twice = [b"x"]
    assert plain_within({"a": twice, "b": [twice, twice]}, 2048) == ({"a": ["x"], "b": [["x"], ["x"]]}, False)
    assert plain_within({"a": [twice] * 2, "b": object}, 2048)[1] is False
    twice.append(twice)  # type: ignore[arg-type]
    assert plain_within([twice], 2048) == ([["x", "<cycle>"]], True)


def test_a_mebibyte_passes_whole() -> None:
    """On its way into Redis more is cut."""
    whole = {"k": "x" * (PLAIN_SIZE - 64)}
    assert plain(whole) == whole
    assert PLAIN_SIZE - 64 < size(plain({"k": "x" * PLAIN_SIZE})) <= PLAIN_SIZE
    quick = {"k": "x" * (PLAIN_SIZE // 2 - 64)}
    assert plain(quick) == quick


def test_a_long_keys_beginning_is_shown() -> None:
    """Two hundred characters of it; that it was cut is told."""
    assert plain_within({"k" * MAX_KEY: b""}, 2048) == ({"k" * MAX_KEY: ""}, False)
    assert plain_within({"k" * (MAX_KEY + 1): b""}, 2048) == ({"k" * MAX_KEY + "…": ""}, True)
    assert plain_within({(7,) * 99: 1}, 2048) == ({str((7,) * 99)[:MAX_KEY] + "…": 1}, True)
    assert plain_within({"k\ud800": 1}, 2048) == ({"k\\ud800": 1}, False)


def test_what_is_redacted_and_what_is_not() -> None:
    """From six characters on, for `pwd=x` has no value to speak of; a number of tokens is none, other numbers are."""
    assert walked("pwd=xy", 2048) == ("pwd=[REDACTED]", False)
    assert walked("pwd=x", 2048) == ("pwd=x", False)
    fields = {"pwd": 7, "max_tokens": 7, "token": "x", "tokens": [7], "secret": True, "cvv": None, "pin": 7}
    assert walked(fields, 2048)[0] == fields | {"pwd": REDACTED, "token": REDACTED, "tokens": REDACTED}
    assert walked(fields, 2048, NO_SECRETS)[0] == fields


def test_a_secret_at_the_cut_is_seen_whole() -> None:
    """What stands beyond tells that it is one."""
    for filler in range(2000, 2048):
        shown, _ = walked("x" * filler + " https://bob:hunter2@host/", 2048)
        assert "bob:h" not in shown
        shown, _ = walked(b"x" * filler + b" https://bob:hunter2@host/", 2048)
        assert "bob:h" not in shown


# --- what is no JSON ---


def test_what_a_class_declares_and_an_object_lacks() -> None:
    """It is shown as nothing; the rest is shown."""
    basket = Basket(things={2})
    del basket.more
    assert plain(basket) == {"things": [2], "more": None}


class Slotted:
    __slots__ = ("id",)

    def __init__(self) -> None:
        self.id = 7


class Row:
    def __init__(self, **own: Any) -> None:
        vars(self).update(own)

    def method(self) -> None: ...


class Stamp:
    """Like a library's own time: its text is what it says in ISO's format, where that is text."""

    def __init__(self, text: Any) -> None:
        self._text = text

    def isoformat(self) -> Any:
        return self._text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Slotted(), f"<{__name__}.Slotted>"),
        (Row(), f"<{__name__}.Row>"),
        (Row(id=7), f"<{__name__}.Row id=7>"),
        (Row(id=7, pk="a"), f"<{__name__}.Row pk=a>"),
        (Row(pk=None, id="b"), f"<{__name__}.Row id=b>"),
        (Row(pk=True), f"<{__name__}.Row>"),
        (Row(pk="k" * 999), f"<{__name__}.Row pk={'k' * MAX_KEY}>"),
        (Row, f"<{__name__}.Row>"),
        (Row.method, f"<{__name__}.Row.method>"),
        (Stamp("2026-11-21"), "2026-11-21"),
        (Stamp(7), f"<{__name__}.Stamp>"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (..., "Ellipsis"),
        (NotImplemented, "NotImplemented"),
        (2**1023, "<integer of 1024 bits>"),
        (2**1023 - 1, str(2**1023 - 1)),
        (b"\xe2\x82\xac", "€"),
        (b"a\xff", "a\\xff"),
        (memoryview(b"abc"), "abc"),
    ],
)
def test_what_an_object_is_shown_as(value: Any, shown: str) -> None:
    """Its class, and its key where it has one in itself."""
    assert plain(value) == shown


class Silent:
    """Says nothing of itself, and of its class no more than it must."""

    def __str__(self) -> str:
        raise ValueError


def test_what_keys_are_shown_as() -> None:
    assert plain({Silent(): 1, None: 2, True: 3, False: 4, 7: 5, b"x": 6}) == {
        "<unreadable Silent>": 1,
        "": 2,
        "true": 3,
        "false": 4,
        "7": 5,
        "b'x'": 6,
    }


class Refusing:
    """As pydantic makes them, with a field that can't be read."""

    __pydantic_fields__: ClassVar = {"id": None}

    @property
    def id(self) -> int:
        raise ValueError


class Attrs:
    """As attrs makes them."""

    __attrs_attrs__: ClassVar = (SimpleNamespace(name="id"),)
    id = 7


def test_what_can_not_be_read_says_so() -> None:
    """And nothing else is lost."""
    assert plain([Refusing(), Attrs()]) == ["<unreadable Refusing>", {"id": 7}]


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "another"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("own", "own"),
        (Text("own"), "own"),
        (7, "7"),
        (None, "None"),
        ([1, {"a"}], "[1, ['a']]"),
        (b"x", "x"),
        (Row(), f"<{__name__}.Row>"),
    ],
)
def test_anything_as_text(value: Any, text: str) -> None:
    """Its own, or what it looks like; short, where it is no text."""
    found = text_of(value)
    assert (type(found), found) == (str, text)
    assert text_of("password=hunter2" + "x" * 9999).endswith("x" * 9999)
    assert len(text_of([7] * 9999)) < 2 * MAX_KEY
    assert text_of(b"password=hunter2") == "password=hunter2"


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("", 2), ("ab", 4), ("a-b", 5), ("é", 4), ("€", 5), ("😀", 6), ('"', 4), ("\\", 4), ('a"b\\', 8), ("\n", 8),
        ("\x00", 8), ("\x1f", 8), ("\x7f", 8), ("é\n", 10), ("\u2028", 5), ("\ud800", 5), (" ", 3),
    ],
)  # fmt: skip
def test_what_a_text_takes(text: str, most: int) -> None:
    """In any encoder's JSON, at most."""
    assert encoded_size(text) == most
    if text != "\ud800":
        assert size(text) <= most


def test_text_that_no_utf_8_holds() -> None:
    """Halves of characters are spelled out."""
    assert plain("ü\ud800ü") == "ü\\ud800ü"
    assert plain(["ok", "\udcff"]) == ["ok", "\\udcff"]
