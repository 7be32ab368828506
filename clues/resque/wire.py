"""JSON, byte for byte as Ruby's json writes it, and back.

Bytes matter: Ruby removes a job from a queue by the exact bytes it would have written itself (LREM).
"""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, TypeVar

from clues.errors import DecodeError, EncodeError
from clues.resque.numbers import float_text, int_from, int_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_T = TypeVar("_T")

MAX_DEPTH = 100
"""How deep Ruby's json nests, both ways."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

# What Ruby spells otherwise: 1e-05 (1.0e-05), 1000000000000000.0 (1.0e+15), the key "null" (the empty string).
# A string that looks alike only costs the slow path. Parts of it are looked for first, as that is many times faster.
_UNLIKE_RUBY = re.compile(r'(?:^|["\[,:])-?(?:\de[-+]|\d{16}\.0)|"null":')

_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")

_ADVICE = {
    "bytes": "a string",
    "bytearray": "a string",
    "set": "a list",
    "frozenset": "a list",
    "generator": "a list",
    "dict_keys": "a list",
    "dict_values": "a list",
}


def encode(value: Any) -> bytes:
    """Write a value as Ruby would: compact, keys in their order, floats in Ruby's spelling.

    Raises:
        EncodeError: JSON, or Ruby, can't hold it; the message names the place.
    """
    try:
        text = _ENCODER.encode(value)
        if _may_differ(text) or _may_be_deep(text):
            text = _write(value, "", ())
        return text.encode()
    except (TypeError, ValueError, RecursionError):
        # The slow path knows the place, and the numbers that Python refuses to spell.
        return _write(value, "", ()).encode()


def _may_differ(text: str) -> bool:
    hinted = ".0" in text or "e-" in text or "e+" in text or '"null":' in text
    return hinted and _UNLIKE_RUBY.search(text) is not None


def _may_be_deep(text: str) -> bool:
    return text.count("[") + text.count("{") > MAX_DEPTH


def _write(value: Any, place: str, around: tuple[int, ...]) -> str:
    """Write one value; `around` holds the identities of the containers that it stands in."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _write_string(value, place)
    if isinstance(value, int):
        return _write_int(value, place)
    if isinstance(value, float):
        return _write_float(value, place)
    if isinstance(value, dict | list | tuple):
        return _write_container(value, place, around)
    raise _refusal(place, f"is {_a(value)}; pass {_ADVICE.get(type(value).__name__, 'a string or a number')}")


def _write_string(value: str, place: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(value[error.start]):04x}"
        raise _refusal(place, f"holds half a character ({half}); pass text that UTF-8 can hold") from None
    return encode_basestring(value)


def _write_int(value: int, place: str) -> str:
    try:
        return int_text(value)
    except ValueError as error:
        raise _refusal(place, f"is {error}; pass a string") from None


def _write_float(value: float, place: str) -> str:
    if value - value != 0:
        raise _refusal(place, f"is {float.__repr__(value)}, which JSON can't hold; pass None or a string")
    return float_text(value)


def _write_container(value: dict[Any, Any] | list[Any] | tuple[Any, ...], place: str, around: tuple[int, ...]) -> str:
    if id(value) in around:
        raise _refusal(place, "holds itself; pass data without cycles")
    if len(around) == MAX_DEPTH:
        raise _refusal("", f"is nested deeper than {MAX_DEPTH} levels, which Ruby refuses; pass flatter data")
    around = (*around, id(value))
    if isinstance(value, dict):
        return "{" + ",".join(_write_member(key, item, place, around) for key, item in value.items()) + "}"
    return "[" + ",".join(_write(item, f"{place}[{index}]", around) for index, item in enumerate(value)) + "]"


def _write_member(key: Any, value: Any, place: str, around: tuple[int, ...]) -> str:
    name = _key_text(key, place)
    inner = f"{place}.{name}".lstrip(".") if name.isidentifier() else f"{place}[{name!r}]"
    return _write_string(name, inner) + ":" + _write(value, inner, around)


def _key_text(key: Any, place: str) -> str:
    if isinstance(key, str):
        return key
    if key is None:
        return ""  # as Ruby has it; Python would write "null"
    if isinstance(key, int | float):
        return _write(key, place, ())
    raise _refusal(place, f"has {_a(key)} as a key; use a string")


def _refusal(place: str, complaint: str) -> EncodeError:
    return EncodeError(f"{place or 'the value'} {complaint}")


def _a(value: Any) -> str:
    name = type(value).__name__
    return f"an {name}" if name[0] in "aeiouAEIOU" else f"a {name}"


def decode(raw: bytes) -> Any:
    """Read JSON, refusing what Ruby would refuse.

    Comments, escapes that JSON doesn't know and bytes that are not UTF-8 are refused too, where Ruby reads them.

    Raises:
        DecodeError: it is not JSON; the error holds the bytes.
    """
    value: Any = _parse(raw, json.JSONDecoder.decode)
    if _is_suspect(raw):
        _check(value, raw)
    return value


def members(raw: bytes) -> dict[str, bytes]:
    """Cut a JSON object into its top-level members, each value's bytes as they are, to splice and never re-encode.

    Raises:
        DecodeError: it is not a JSON object.
    """
    if _is_suspect(raw):
        decode(raw)
    return _parse(raw, _cut)


def join(members: Mapping[str, bytes]) -> bytes:
    """Put an object together from its members, as `members` cut it."""
    return b"{" + b",".join(encode(key) + b":" + value for key, value in members.items()) + b"}"


def _parse(raw: bytes, parser: Callable[[json.JSONDecoder, str], _T]) -> _T:
    try:
        text = raw.decode()
        try:
            return parser(_DECODER, text)
        except json.JSONDecodeError:
            raise
        except ValueError:
            # Python's int() gives up beyond 4300 digits, Ruby doesn't.
            return parser(_LONG_INT_DECODER, text)
    except RecursionError:
        raise _too_deep(raw) from None
    except ValueError as error:
        raise DecodeError(f"the item is not JSON: {error}", raw) from None


def _cut(decoder: json.JSONDecoder, text: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    at = _expect(text, 0, "{")
    if _next(text, at) != "}":
        at = _cut_member(decoder, text, at, found)
        while _next(text, at) == ",":
            at = _cut_member(decoder, text, _expect(text, at, ","), found)
    at = _expect(text, at, "}")
    if _next(text, at):
        raise json.JSONDecodeError("Extra data", text, at)
    return found


def _cut_member(decoder: json.JSONDecoder, text: str, at: int, found: dict[str, bytes]) -> int:
    key, at = decoder.raw_decode(text, _skip(text, at))
    if not isinstance(key, str):
        raise json.JSONDecodeError("Expecting a string as the key", text, at)
    start = _skip(text, _expect(text, at, ":"))
    _, end = decoder.raw_decode(text, start)
    found[key] = text[start:end].encode()
    return end


def _expect(text: str, at: int, character: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != character:
        raise json.JSONDecodeError(f"Expecting {character!r}", text, at)
    return at + 1


def _next(text: str, at: int) -> str:
    at = _skip(text, at)
    return text[at : at + 1]


_SPACE = re.compile(r"[ \t\r\n]*")


def _skip(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches the empty string too


def _is_suspect(raw: bytes) -> bool:
    return raw.count(b"[") + raw.count(b"{") > MAX_DEPTH or _HALF_CHARACTER.search(raw) is not None


def _check(value: Any, raw: bytes) -> None:
    if _depth(value) > MAX_DEPTH:
        raise _too_deep(raw)
    if _HALF_CHARACTER.search(raw) is not None:
        try:
            "".join(_texts(value)).encode()
        except UnicodeEncodeError:
            raise DecodeError("the item holds half a character (a lone surrogate)", raw) from None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        yield from _texts([*value.values()])
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
        depth += 1
    return depth


def _too_deep(raw: bytes) -> DecodeError:
    return DecodeError(f"the item is nested deeper than {MAX_DEPTH} levels", raw)


def _refuse_constant(name: str) -> Any:
    raise json.JSONDecodeError(f"{name} is not JSON", name, 0)


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_LONG_INT_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=int_from)
