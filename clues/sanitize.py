"""Redaction, caps, and values that JSON can't hold: what an event may show, decided before any publisher sees it.

The result holds nothing but dicts with string keys, lists, strings that are valid Unicode, 64-bit integers, finite
floats, booleans and None; and its encoded size is bounded, whatever came in. No input or output here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

REDACTED = "[REDACTED]"
ELLIPSIS = "…"

SECRET_WORDS = (
    "password", "passwd", "pwd", "passphrase", "passcode", "secret", "token", "api_key", "apikey", "access_key",
    "private_key", "auth", "authorization", "cookie", "credential", "session_id", "sessionid", "csrf", "xsrf",
    "signature", "ssn", "credit_card", "card_number", "cvv", "cvc", "iban",
)  # fmt: skip
"""Words that make a key a secret's name, wherever they stand in it: ``db_password``, ``X-Api-Key``, ``authToken``."""

# Those that people also glue to the word before them, and that no ordinary word ends with: ``dbpassword``.
_GLUED = frozenset({"password", "passwd", "passphrase", "passcode", "secret", "token", "apikey", "credential"})

_MAX_DEPTH = 32
_MAX_KEY = 200
_MAX_REPR_SOURCE = 4096
_INT_LIMIT = 2**63
_MARK_SIZE = 32  # what a container keeps back to say how much of it was left out
_LINES_MARK_SIZE = 48  # the line that says how many lines were left out
_MARGIN = 512  # text beyond a cut that redaction still sees, so that half a secret is not left at its edge
_MAX_LINE = 1024
_PLAIN_SIZE = 1 << 20  # lists that share lists can grow without end when they are written out
_UNREADABLE = "<unreadable>"

_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+")
# Every pattern here must take linear time on any text: no repeat can begin at many places of one run.
_URL_CREDENTIALS = re.compile(r"(?P<user>://[^\s:/@\"'<>]*):[^\s/\"'<>]+@")
_BEARER = re.compile(
    r"\b(?P<kind>(?i:bearer)(?=\s+[\w.~+/=-]{6})"
    r"|(?i:basic)(?=\s+(?:[A-Za-z+/]*[0-9=]|[A-Za-z+/]*?[a-z][A-Z])))"  # not the English word
    r"\s+[A-Za-z0-9._~+/=-]{6,}"
)
_COOKIE = re.compile(
    r"(?P<key>(?i:cookies?)\s*[:=]\s*)(?P<secret>[^\s;,=\"']{1,100}=[^\s;,\"']*(?:;[ ]?[^\s;,=\"']+(?:=[^\s;,\"']*)?)*)"
)
_ASSIGNED = (
    r"(?P<key>(?:{glued}|(?:(?<![^\W_])|(?<=[a-z0-9])(?=[A-Z]))(?:{apart}))"
    r"[sS]?\d*(?:[_-][\w-]{{0,40}}|[A-Z][a-z]\w{{0,40}})?"  # SECRET_KEY, passwordHash
    r"\]?\\{{0,4}}[\"']?\s*(?:=>?|:)\s*)"
    r"(?P<secret>"
    r'\\"(?:[^"\\]|\\{{3}}[\s\S]|\\[^"])*+(?:\\?")?'  # JSON inside a JSON string; the end may be cut off
    r'|"(?:[^"\\]|\\[\s\S])*+"?'
    r"|'(?:[^'\\]|\\[\s\S])*+'?"
    r"|\[[^\]]*\]?|\{{[^}}]*\}}?"
    r"|(?:(?i:bearer|basic|token|apikey)\s+)?[^\s,;&\"'}}\]]+)"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest encoded size of each part of an event, in bytes. Together they bound the event.

    The sizes are ours: enough to recognise a job by, small enough for a UDP packet or two and a Kibana row.
    """

    args: int = 2048
    metadata: int = 8192
    message: int = 2048
    backtrace: int = 8192


@dataclass(frozen=True, slots=True)
class Sanitizer:
    """Makes values fit for an event.

    Attributes:
        limits: the size caps.
        words: words that make a key a secret's name; empty switches redaction off.
        args_of: positions of secret arguments by job class.
    """

    limits: Limits = field(default_factory=Limits)
    words: tuple[str, ...] = tuple(SECRET_WORDS)
    args_of: Mapping[str, Collection[int]] = field(default_factory=dict)
    _names: _SecretNames = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the words once."""
        object.__setattr__(self, "_names", _SecretNames(self.words))

    def args(self, worker_class: str | None, args: Any) -> tuple[list[Any], bool]:
        """A job's arguments, and whether anything of them was cut."""
        if type(args) not in {list, tuple}:
            args = _listed(args)
        secret = self.args_of.get(worker_class or "")
        if secret and self.words:
            args = [REDACTED if position in secret else value for position, value in enumerate(args)]
        cleaned, cut = self._walked(args, self.limits.args)
        return (cleaned if isinstance(cleaned, list) else [cleaned]), cut

    def metadata(self, metadata: Mapping[Any, Any], *, spent: int = 0) -> tuple[dict[str, Any], bool]:
        """The user's metadata, and whether anything of it was cut.

        Args:
            metadata: the fields.
            spent: bytes of the cap that other fields of the same event have used.
        """
        room = self.limits.metadata - spent
        if room < 2 * _MARK_SIZE:
            return {}, True
        cleaned, cut = self._walked(metadata, room)
        return (cleaned, cut) if isinstance(cleaned, dict) else ({}, True)

    def message(self, text: str) -> tuple[str, bool]:
        """An error's message, and whether it was cut."""
        walk = _Walk(self._names, self.limits.message)
        return walk.text(_text(text)), walk.cut

    def backtrace(self, lines: Collection[str]) -> tuple[list[str], bool]:
        """A backtrace, and whether it was cut: then its head and its tail are kept, for both tell something."""
        all_lines = list(lines)
        size = self.limits.backtrace - 2
        kept, cut = self._fitting(all_lines, size)
        if len(kept) == len(all_lines):
            return kept, cut
        size -= _LINES_MARK_SIZE
        head, _ = self._fitting(all_lines, size * 2 // 3)
        tail, _ = self._fitting(reversed(all_lines[len(head) :]), size // 3)
        left_out = len(all_lines) - len(head) - len(tail)
        return [*head, f"{ELLIPSIS} {left_out} lines left out {ELLIPSIS}", *reversed(tail)], True

    def name(self, text: Any) -> str | None:
        """A queue's or class's name: short and valid Unicode, as foreign items may hold anything."""
        return None if text is None else _Walk(_NO_SECRETS, _MAX_KEY).text(_text(text))

    def _walked(self, value: Any, size: int) -> tuple[Any, bool]:
        walk = _Walk(self._names, size)
        try:
            return walk.value(value), walk.cut
        except Exception:  # noqa: BLE001 - close to the recursion limit, or changed by another thread: the event goes on
            return _UNREADABLE, True

    def _fitting(self, lines: Iterable[str], size: int) -> tuple[list[str], bool]:
        """The lines that fit into a size, and whether one of them was cut."""
        kept = []
        cut = False
        for line in lines:
            walk = _Walk(self._names, _MAX_LINE)
            text = walk.text(_text(line))
            size -= _encoded_size(text) + 1
            if size < 0:
                break
            kept.append(text)
            cut |= walk.cut
        return kept, cut


def _listed(args: Any) -> list[Any]:
    try:
        return list(islice(args, _PLAIN_SIZE)) if isinstance(args, list | tuple) else [] if args is None else [args]
    except Exception:  # noqa: BLE001 - foreign classes may raise from any method
        return [_UNREADABLE]


_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def one_line(text: str) -> str:
    """Text as a log or a terminal may show it: control characters, and those that turn its direction, spelled out."""
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


def for_log(text: str, sanitizer: Sanitizer | None = None) -> str:
    """What somebody else wrote as our own log may show it: capped, without secrets, on one line."""
    shown, _ = (sanitizer or _STANDARD).message(text)
    return one_line(shown)


def plain(value: Any) -> Any:
    """A value as JSON can hold it, not redacted, for metadata on its way into an item; whole up to a mebibyte."""
    return _Walk(_NO_SECRETS, _PLAIN_SIZE).value(value)


class _SecretNames:
    """Knows whether a key names a secret; remembers keys that it has seen."""

    def __init__(self, words: Collection[str]) -> None:
        self._known: dict[str, bool] = {}
        self._names: re.Pattern[str] | None = None
        self._inside: re.Pattern[str] | None = None
        if words:
            snakes = list(dict.fromkeys(map(_snake, words)))
            glued = "|".join(word for word in snakes if word in _GLUED) or r"(?!)"
            apart = "|".join(re.escape(word).replace("_", "_?") for word in snakes if word not in _GLUED) or r"(?!)"
            self._names = re.compile(rf"(?:{glued}|(?:^|_)(?:{apart}))s?\d*(?:_|$)")
            apart = apart.replace("_?", "[_ -]?")
            self._inside = re.compile(_ASSIGNED.format(glued=f"(?i:{glued})", apart=f"(?i:{apart})"))

    def __contains__(self, key: str) -> bool:
        if self._names is None:
            return False
        found = self._known.get(key)
        if found is None:
            found = self._names.search(_snake(key)) is not None
            if len(self._known) < 10_000:  # noqa: PLR2004 - keys can be made up by users without end
                self._known[key] = found
        return found

    def redact(self, text: str) -> str:
        """The text without secrets in it: ``password=…``, JSON inside strings, URLs' credentials, bearer tokens."""
        if self._inside is None:
            return text
        if "://" in text and "@" in text:
            text = _URL_CREDENTIALS.sub(rf"\g<user>:{REDACTED}@", text)
        if "=" in text or ":" in text:
            if "ookie" in text:
                text = _COOKIE.sub(_hide, text)
            text = self._inside.sub(_hide, text)
        if "earer" in text or "asic" in text:
            text = _BEARER.sub(rf"\g<kind> {REDACTED}", text)
        return text


def _hide(found: re.Match[str]) -> str:
    secret = found["secret"]
    quote = re.match(r"\\?[\"']", secret)
    mark = quote[0] if quote else ""
    return f"{found['key']}{mark}{REDACTED}{mark}"


_NO_SECRETS = _SecretNames(())


def _snake(key: str) -> str:
    return _WORD_BORDER.sub("_", key).lower()


class _Walk:
    """One pass over one value: every step spends of the size that is left, and says when it had to cut.

    What overdraws the size (a mark, the last value) is small, and each container has kept `_MARK_SIZE` back for it.
    """

    __slots__ = ("_above", "_left", "_secrets", "cut")

    def __init__(self, secrets: _SecretNames, size: int) -> None:
        self._secrets = secrets
        self._left = size
        self._above: set[int] = set()
        self.cut = False

    def value(self, value: Any, depth: int = 0) -> Any:
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
        left = max(self._left, 0)
        over = len(text) > left
        if over:
            text = text[: left + _MARGIN]
        if len(text) > 5:  # noqa: PLR2004 - `pwd=x` is the shortest that could hide something
            text = self._secrets.redact(text)
        text = _valid(text)
        size = _encoded_size(text)
        if over or size > left:
            self.cut = True
            text = _shortened(text, left)
            size = _encoded_size(text)
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
        self._left -= 2 + _MARK_SIZE
        try:
            return self._object(value, depth) if isinstance(value, dict) else self._array(value, depth)
        finally:
            self._above.discard(mark)
            self._left += 0 if self.cut else _MARK_SIZE

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
            size = _encoded_size(name) + 2
            if size >= self._left:
                self.cut = True
                done[ELLIPSIS] = f"{len(value) - len(done)} more"
                break
            self._left -= size
            done[name] = self._secret(item) if name in self._secrets else self.value(item, depth + 1)
        return done

    def _enough(self, values: Iterable[Any]) -> list[Any]:
        """As many as could fit and one more, copied in one step, so that another thread can't change them halfway."""
        return list(islice(values, max(self._left, 0) + 1))

    def _key(self, key: Any) -> str:
        name = key if type(key) is str else _key_text(key)
        if len(name) > _MAX_KEY:
            self.cut = True
            name = name[:_MAX_KEY] + ELLIPSIS
        return _valid(name)

    def _secret(self, value: Any) -> Any:
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
        if isinstance(value, bool | int | float | str) or value is None:
            return self.value(_base_value(value), depth)
        if isinstance(value, bytes | bytearray | memoryview):
            return self.text(bytes(value[: max(self._left, 0) + _MARGIN]).decode("utf-8", "backslashreplace"))
        if isinstance(value, Mapping):
            return self._container(dict(value), depth)
        if isinstance(value, set | frozenset | list | tuple):
            return self._container(self._enough(value), depth)
        return self.text(_shown(value))


def _base_value(value: Any) -> Any:
    """An IntEnum, a str subclass and the like as the plain value that it is."""
    # The base classes' own methods: a subclass may have overridden them with anything.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    return float.__float__(value)


def _text(value: Any) -> str:
    """A plain string: the value's own, or what it looks like."""
    if type(value) is str:
        return value
    if issubclass(type(value), str):
        return str.__str__(value)
    short = _Walk(_NO_SECRETS, _MAX_KEY).value(value)  # a list's repr may be endless
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


def _shown(value: Any) -> str:
    """An object as text: what ``str`` says of dates, decimals, UUIDs, paths; else its repr."""
    kind = type(value)
    try:
        # Asked of the class: a proxy object would answer for any name, with a call over the network for instance.
        text = value.isoformat() if hasattr(kind, "isoformat") else None
        if not isinstance(text, str):
            quiet = kind.__module__ in {"decimal", "uuid", "pathlib", "fractions", "ipaddress"}
            text = str(value) if quiet else repr(value)
        return str.__str__(text)
    except Exception:  # noqa: BLE001 - users write __repr__
        return _unreadable(value)


def _unreadable(value: object) -> str:
    return f"<unreadable {type.__dict__['__name__'].__get__(type(value))[:100]}>"


def _valid(text: str) -> str:
    """The text without lone surrogates, which no UTF-8 can hold."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f]')


def _encoded_size(text: str) -> int:
    """How many bytes a valid string takes at most as JSON, quotes included."""
    size = (len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))) + 2
    if text.isalnum() or (text.isprintable() and '"' not in text and "\\" not in text):
        return size
    return size + sum(1 if found in '"\\' else 5 for found in _ESCAPED.findall(text))


def _shortened(text: str, size: int) -> str:
    """A beginning that fits into an encoded size, with an ellipsis; the longest one where all characters are alike."""
    room = size - 5  # quotes and the ellipsis' three bytes
    while text and (taken := _encoded_size(text) - 2) > room:
        text = text[: min(len(text) * room // taken, len(text) - 1)] if room > 0 else ""
    return text + ELLIPSIS


_STANDARD = Sanitizer()
