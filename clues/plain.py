"""Values as JSON can hold them, within a size: one pass, whatever comes in.

The result holds nothing but dicts with string keys, lists, strings that are valid Unicode, 64-bit integers, finite
floats, booleans and None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import islice
from types import BuiltinFunctionType, FunctionType
from typing import Any

from clues.redaction import NO_SECRETS, REDACTED, SecretNames, is_count

ELLIPSIS = "…"
MARK_SIZE = 32
"""Bytes that a container keeps back to say how much of it was left out."""

_MAX_DEPTH = 32
_CALM_DEPTH = 8
_MAX_REPR_SOURCE = 4096
_INT_LIMIT = 2**63
_LONGEST_NUMBER = 26  # what a 64-bit integer or a float takes, and a comma
SHORTEST_SECRET = 6  # characters: `pwd=x` with a value
_MARGIN = 512  # text beyond a cut that redaction still sees, so that half a secret is not left at its edge
PLAIN_SIZE = 1 << 20  # lists that share lists can grow without end when they are written out
UNREADABLE = "<unreadable>"
MAX_KEY = 200


def plain(value: Any) -> Any:
    """A value as JSON can hold it, not redacted, for what is on its way into Redis; whole up to a mebibyte."""
    return plain_within(value, PLAIN_SIZE)[0]


def plain_within(value: Any, size: int) -> tuple[Any, bool]:
    """A value as JSON can hold it, not redacted, in no more than so many bytes; and whether it was cut."""
    if type(value) is dict and (copied := calm_copy(value, size, NO_SECRETS)) is not None:
        return copied, False
    walk = Walk(NO_SECRETS, size)
    return walk.value(value), walk.cut


class _NeedsWalk(Exception):  # noqa: N818 - said to the caller, no error
    """A value is not what `calm_copy` is for."""


def calm_copy(value: list[Any] | tuple[Any, ...] | dict[Any, Any], size: int, secrets: SecretNames) -> Any:
    """What a walk would give, where that is a mere copy: plain values, no secret, well within the size.

    It is what jobs mostly have, and takes a fifth of a walk's time.

    Args:
        value: what is to be copied.
        size: the most bytes of it as JSON.
        secrets: knows what names a secret.

    Returns:
        The copy; None if it takes a walk.
    """
    try:
        if type(value) is dict:
            return _calm(value, size, 0, secrets)[0]
        return _calm_all(value, size - 2 - MARK_SIZE, 0, secrets)[0]
    except (_NeedsWalk, RecursionError):
        return None


def _calm(value: Any, left: int, depth: int, secrets: SecretNames) -> tuple[Any, int]:
    """A copy, and how many bytes are left of the size at least."""
    if depth == _CALM_DEPTH:
        raise _NeedsWalk
    left -= 2 + MARK_SIZE
    if type(value) is not dict:
        return _calm_all(value, left, depth, secrets)
    value = value.copy()  # in one step, so that its keys are those that are looked at, whatever other threads do
    calm_keys = secrets.calm_keys
    for key in value:
        if type(key) is not str or (key not in calm_keys and not secrets.calm_key(key)):
            raise _NeedsWalk
        left -= 4 * len(key) + 4
        if left < 0:
            raise _NeedsWalk
    done, left = _calm_all(value.values(), left, depth, secrets)
    return dict(zip(value, done, strict=True)), left


def _calm_all(values: Iterable[Any], left: int, depth: int, secrets: SecretNames) -> tuple[list[Any], int]:
    done = []
    for value in values:
        kind = type(value)
        if kind is str:
            left -= (2 if value.isascii() else 4) * len(value) + 3
            # What is printable has neither halves of characters nor what JSON spells at length.
            if (
                left < 0
                or not value.isprintable()
                or (len(value) >= SHORTEST_SECRET and secrets.redact(value) != value)
            ):
                raise _NeedsWalk
        elif (
            value is None
            or kind is bool
            or (kind is int and -_INT_LIMIT <= value < _INT_LIMIT)
            or (kind is float and math.isfinite(value))
        ):
            left -= _LONGEST_NUMBER
        elif kind is dict or kind is list or kind is tuple:
            value, left = _calm(value, left, depth + 1, secrets)  # noqa: PLW2901 - its copy
        else:
            raise _NeedsWalk
        if left < 0:
            raise _NeedsWalk
        done.append(value)
    return done, left


class Walk:
    """One pass over one value: every step spends of the size that is left, and says when it had to cut.

    What overdraws the size (a mark, the last value) is small, and each container has kept `MARK_SIZE` back for it.
    """

    __slots__ = ("_above", "_left", "_secrets", "cut")

    def __init__(self, secrets: SecretNames, size: int) -> None:
        self._secrets = secrets
        self._left = size
        self._above: set[int] = set()
        self.cut = False

    def value(self, value: Any, depth: int = 0) -> Any:
        """A value made plain."""
        kind = type(value)
        if kind is str:
            return self.text(value)
        if value is None or kind is bool:
            self._left -= 5
            return value
        if kind is int:
            return self._integer(value)
        if kind is float:
            return self._float(value)
        if kind is dict or kind is list or kind is tuple:
            return self._container(value, depth)
        return self._unusual(value, depth)

    def text(self, text: str) -> str:
        """A text without secrets, valid, and no longer than what is left."""
        left = self._left
        over = len(text) > left
        if over:
            text = text[: left + _MARGIN]
        if len(text) >= SHORTEST_SECRET:
            text = self._secrets.redact(text)
        text = _valid(text)
        size = encoded_size(text)
        if over or size > left:
            self.cut = True
            text = _shortened(text, left)
            size = encoded_size(text)
        self._left -= size
        return text

    def _integer(self, value: int) -> Any:
        if -_INT_LIMIT <= value < _INT_LIMIT:
            return self._number(value, len(str(value)))
        bits = value.bit_length()
        # Some JSON readers lose digits beyond 64 bits and Python refuses to write more than 4,300: a string keeps them.
        return self.text(str(value) if bits < 1024 else f"<integer of {bits} bits>")  # noqa: PLR2004

    def _float(self, value: float) -> Any:
        if math.isfinite(value):
            return self._number(value, len(repr(value)))
        return self.text("NaN" if value != value else "Infinity" if value > 0 else "-Infinity")  # noqa: PLR0124

    def _number(self, value: float, size: int) -> Any:
        if size > self._left:
            return self._mark()
        self._left -= size
        return value

    def _mark(self) -> str:
        self.cut = True
        self._left -= 5
        return ELLIPSIS

    def _container(self, value: Any, depth: int) -> Any:
        mark = id(value)
        if mark in self._above or depth >= _MAX_DEPTH:
            self.cut = True
            return self.text("<cycle>" if mark in self._above else "<too deep>")
        self._above.add(mark)
        self._left -= 2 + MARK_SIZE
        try:
            return self._object(value, depth) if isinstance(value, dict) else self._array(value, depth)
        finally:
            self._above.discard(mark)
            self._left += 0 if self.cut else MARK_SIZE

    def _array(self, value: Any, depth: int) -> list[Any]:
        done: list[Any] = []
        for item in self._enough(value):
            if self._left <= 0:
                self.cut = True
                done.append(f"{ELLIPSIS} {len(value) - len(done)} more")
                break
            self._left -= 1
            done.append(self.value(item, depth + 1))
        return done

    def _object(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        done: dict[str, Any] = {}
        for key, item in self._enough(value.items()):
            name = self._key(key)
            size = encoded_size(name) + 2
            if size >= self._left:
                self.cut = True
                done[ELLIPSIS] = f"{len(value) - len(done)} more"
                break
            self._left -= size
            done[name] = self._secret(name, item) if name in self._secrets else self.value(item, depth + 1)
        return done

    def _enough(self, values: Iterable[Any]) -> list[Any]:
        """As many as could fit and one more, copied in one step, so that another thread can't change them halfway."""
        return list(islice(values, max(self._left, 0) + 1))

    def _key(self, key: Any) -> str:
        name = key if type(key) is str else _key_text(key)
        if len(name) > MAX_KEY:
            self.cut = True
            name = name[:MAX_KEY] + ELLIPSIS
        return _valid(name)

    def _secret(self, name: str, value: Any) -> Any:
        if type(value) in {int, float} and is_count(name):
            return self.value(value)
        if value is None or type(value) is bool or (type(value) is str and not value):
            self._left -= 5
            return value  # whether there is one is worth knowing and gives nothing away
        return self.text(REDACTED)

    def _unusual(self, value: Any, depth: int) -> Any:
        try:
            return self._converted(value, depth)
        except Exception:  # noqa: BLE001 - foreign classes may raise from any method
            return self.text(_unreadable(value))

    def _converted(self, value: Any, depth: int) -> Any:
        kind = type(value)  # by isinstance, request.user would be asked for its class, and so the database for the user
        if issubclass(kind, int | float | str):
            return self.value(_base_value(value))
        if issubclass(kind, bytes | bytearray | memoryview):
            return self.text(bytes(value[: self._left + _MARGIN]).decode(errors="backslashreplace"))
        if issubclass(kind, Mapping):
            return self._container(dict(value), depth)
        if issubclass(kind, set | frozenset | list | tuple):
            return self._container(self._enough(value), depth)
        if not issubclass(kind, type) and (fields := _fields_of(kind)):
            return self._container({name: getattr(value, name, None) for name in fields}, depth)
        return self.text(_shown(value))


def _base_value(value: Any) -> Any:
    """An IntEnum, a str subclass and the like as the plain value that it is."""
    # The base classes' own methods: a subclass may have overridden them with anything.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    return float.__float__(value)


def text_of(value: Any) -> str:
    """A plain string: the value's own, or what it looks like."""
    if issubclass(type(value), str):
        return str.__str__(value)
    short = Walk(NO_SECRETS, MAX_KEY).value(value)  # a list's repr may be endless
    return short if type(short) is str else repr(short)


def _key_text(key: Any) -> str:
    if key is None:
        return ""  # as Ruby writes a nil key
    if key is True or key is False:
        return "true" if key else "false"
    try:
        return str.__str__(key if isinstance(key, str) else str(key))[:_MAX_REPR_SOURCE]
    except Exception:  # noqa: BLE001 - users write __str__
        return _unreadable(key)


def _fields_of(kind: type) -> Iterable[str]:
    """The names of what a class was declared to hold: dataclasses, pydantic's models, attrs' classes."""
    found = getattr(kind, "__dataclass_fields__", None) or getattr(kind, "__pydantic_fields__", None)
    return found if found is not None else [one.name for one in getattr(kind, "__attrs_attrs__", ())]


def _shown(value: Any) -> str:
    """An object as text: what it says of itself where that is known to be harmless, else its class, and its id."""
    kind = type(value)
    try:
        # Asked of the class: a proxy object would answer for any name, with a call over the network for instance.
        text = value.isoformat() if hasattr(kind, "isoformat") else None
        if not isinstance(text, str):
            text = str(value) if _is_harmless(kind) else _labelled(value)
        return str.__str__(text)
    except Exception:  # noqa: BLE001 - users write __str__
        return _unreadable(value)


def _is_harmless(kind: type) -> bool:
    """Whether ``str`` of it is quick and asks nobody: the ``repr`` of a QuerySet goes to the database."""
    return kind.__module__.partition(".")[0] in _HARMLESS or kind in _HARMLESS_KINDS or issubclass(kind, Enum)


_HARMLESS = frozenset({"datetime", "decimal", "fractions", "ipaddress", "numpy", "pathlib", "re", "uuid", "zoneinfo"})
_HARMLESS_KINDS = frozenset({complex, range, type(Ellipsis), type(NotImplemented)})


def _labelled(value: Any) -> str:
    """``<shop.models.Order id=42>``: no method of it is called."""
    kind = type(value)
    if issubclass(kind, type | FunctionType | BuiltinFunctionType):
        return f"<{value.__module__}.{value.__qualname__}>"
    name = f"{kind.__module__}.{kind.__qualname__}"
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return f"<{name}>"
    for key in ("pk", "id"):
        if type(found := own.get(key)) in {int, str}:
            return f"<{name} {key}={str(found)[:MAX_KEY]}>"
    return f"<{name}>"


def _unreadable(value: object) -> str:
    return f"<unreadable {type.__dict__['__name__'].__get__(type(value))[:100]}>"


def _valid(text: str) -> str:
    """The text without lone surrogates, which no UTF-8 can hold."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text


_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f]')


def encoded_size(text: str) -> int:
    """How many bytes a valid string takes at most as JSON, quotes included."""
    size = (len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))) + 2
    if text.isalnum() or (text.isprintable() and '"' not in text and "\\" not in text):
        return size
    return size + sum(1 if found in '"\\' else 5 for found in _ESCAPED.findall(text))


def _shortened(text: str, size: int) -> str:
    """A beginning that fits into an encoded size, with an ellipsis; the longest one where all characters are alike."""
    room = size - 5  # quotes and the ellipsis' three bytes
    while text and (taken := encoded_size(text) - 2) > room:
        text = text[: len(text) * max(room, 0) // taken]
    return text + ELLIPSIS
