"""Redaction: which keys name secrets, and where a text holds one."""

from __future__ import annotations

import re
from collections.abc import Collection

REDACTED = "[REDACTED]"

SECRET_WORDS = (
    "password", "passwd", "pwd", "passphrase", "passcode", "secret", "token", "api_key", "apikey", "access_key",
    "private_key", "auth", "authorization", "cookie", "credential", "session_id", "sessionid", "csrf", "xsrf",
    "signature", "ssn", "credit_card", "card_number", "cvv", "cvc", "iban",
)  # fmt: skip
"""Words that make a key a secret's name, wherever they stand in it: ``db_password``, ``X-Api-Key``, ``authToken``."""

# Those that people also glue to the word before them, and that no ordinary word ends with: ``dbpassword``.
_GLUED = frozenset({"password", "passwd", "passphrase", "passcode", "secret", "token", "apikey", "credential"})

_MOST_KEYS = 10_000  # that are remembered; they can be made up by users without end
_SHORT_KEY = 60

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


class SecretNames:
    """Knows whether a key names a secret; remembers keys that it has seen.

    Attributes:
        calm_keys: some for which `calm_key` holds.
    """

    def __init__(self, words: Collection[str]) -> None:
        self._known: dict[str, bool] = {}
        self.calm_keys: set[str] = set()
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
            if len(self._known) < _MOST_KEYS:
                self._known[key] = found
        return found

    def calm_key(self, key: str) -> bool:
        """Whether a key is short plain text that names no secret."""
        calm = len(key) <= _SHORT_KEY and key.isprintable() and key not in self
        if calm and len(self.calm_keys) < _MOST_KEYS:
            self.calm_keys.add(key)
        return calm

    def redact(self, text: str) -> str:
        """The text without secrets in it: ``password=…``, JSON inside strings, URLs' credentials, bearer tokens."""
        if self._inside is None:
            return text
        if "=" in text or ":" in text:
            if "://" in text and "@" in text:
                text = _URL_CREDENTIALS.sub(rf"\g<user>:{REDACTED}@", text)
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


NO_SECRETS = SecretNames(())


def _snake(key: str) -> str:
    return _WORD_BORDER.sub("_", key).lower()
