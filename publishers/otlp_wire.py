"""Protobuf's bytes, as far as log records and spans need them.

A message of a dozen attributes is some forty calls to protobuf's classes, and that was most of what an event cost to
deliver; put together as bytes, what is the same in many events is made once. Each function gives a field, tag and all,
and nothing for a value that protobuf leaves out as its default.
"""

from __future__ import annotations

import struct

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

_double = struct.Struct("<d").pack
_fixed64 = struct.Struct("<Q").pack
_fixed32 = struct.Struct("<I").pack


def varint(number: int) -> bytes:
    """A number, or a length, in as few bytes as it needs; negative ones are those of 64 bits."""
    number &= 0xFFFF_FFFF_FFFF_FFFF
    found = bytearray()
    while number > 0x7F:  # noqa: PLR2004 - seven bits a byte
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


SMALL = 4096
LENGTHS = tuple(map(varint, range(SMALL)))
"""The varints of numbers below `SMALL`, as most lengths and all tags are."""


def field(number: int, data: bytes) -> bytes:
    """A message, a text or bytes as a field; an empty message is there, too."""
    size = len(data)
    return LENGTHS[number << 3 | BYTES] + (LENGTHS[size] if size < SMALL else varint(size)) + data


def sized(data: bytes) -> bytes:
    """A message or a text with its length before it, for a repeated field whose tag comes between."""
    size = len(data)
    return (LENGTHS[size] if size < SMALL else varint(size)) + data


def fixed64(number: int, value: int) -> bytes:
    """A fixed64 field."""
    return LENGTHS[number << 3 | FIXED64] + _fixed64(value) if value else b""


def fixed32(number: int, value: int) -> bytes:
    """A fixed32 field."""
    return LENGTHS[number << 3 | FIXED32] + _fixed32(value) if value else b""


def enum(number: int, value: int) -> bytes:
    """An enum's field."""
    return LENGTHS[number << 3 | VARINT] + LENGTHS[value] if value else b""


def string(number: int, text: str) -> bytes:
    """A text's field."""
    return field(number, encoded(text)) if text else b""


def encoded(text: str) -> bytes:
    """A text as UTF-8; lone surrogates are replaced."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def text_value(data: bytes) -> bytes:
    """An AnyValue of a text."""
    size = len(data)
    return b"\x0a" + (LENGTHS[size] if size < SMALL else varint(size)) + data


def bool_value(value: bool) -> bytes:
    """An AnyValue of a truth value."""
    return b"\x10\x01" if value else b"\x10\x00"


def int_value(value: int) -> bytes:
    """An AnyValue of an integer of 64 bits."""
    return b"\x18" + (LENGTHS[value] if 0 <= value < SMALL else varint(value))


def double_value(value: float) -> bytes:
    """An AnyValue of a float."""
    return b"\x21" + _double(value)
