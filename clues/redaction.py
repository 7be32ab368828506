"""Redaction: which keys name secrets, and where a text holds one."""

from __future__ import annotations

import re
from collections.abc import Collection

REDACTED = "[REDACTED]"

SECRET_WORDS = (
    "password", "passwd", "pwd", "passphrase", "passcode", "secret", "token", "api_key", "apikey", "access_key",
    "private_key", "auth", "authorization", "cookie", "credential", "session_id", "sessionid", "csrf", "xsrf",
    "signature", "sig", "ssn", "credit_card", "card_number", "cvv", "cvc", "iban", "jwt", "otp", "account_key",
    "encryption_key", "signing_key",
)  # fmt: skip
"""Words that make a key a secret's name, wherever they stand in it: ``db_password``, ``X-Api-Key``, ``authToken``."""

# Those that people also glue to the word before them, and that no ordinary word ends with: ``dbpassword``.
_GLUED = frozenset({"password", "passwd", "passphrase", "passcode", "secret", "token", "apikey", "credential"})

_MOST_KEYS = 10_000  # that are remembered; they can be made up by users without end
_SHORT_KEY = 60

_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+")
# Every pattern here must take linear time on any text: no repeat can begin at many places of one run.
_URL_CREDENTIALS = re.compile(r"(?P<user>://[^\s:/@\"'<>]*):[^\s/\"'<>]+@")
_SHORTEST_BEARER = 12
_SHORTEST_TOKEN = 20
# Tokens whose form tells what they are, wherever they stand: who gives them out made them so, for just this.
_TOKENS = re.compile(
    r"(?<![A-Za-z0-9])"
    r"(?:gh[pousr]_[A-Za-z0-9]{30}|github_pat_\w{20}|[srp]k_(?:live|test)_[A-Za-z0-9]{10}|whsec_[A-Za-z0-9+/]{16}"
    r"|npm_[A-Za-z0-9]{30}|hf_[A-Za-z0-9]{30}"
    r"|glpat-[\w-]{20}|xox[a-z]-[\w-]{10}|sk-[A-Za-z0-9_-]{20}|pypi-AgE[\w-]{20}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])|AIza[\w-]{35}"
    r"|(?<!-)eyJ[\w-]{8,4096}\.eyJ[\w-]{2,4096}\.|SG\.[\w-]{16,64}\.[\w-]{16})[\w+/=.-]*"
)
_SLACK_HOOK = re.compile(r"(?P<place>hooks\.slack\.com/(?:services|workflows)/)[\w/-]+")
_PRIVATE_KEY = re.compile(
    r"(?P<begin>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)"
    r"(?:(?!-----END )[\s\S])*+(?P<end>-----END [A-Z0-9 ]{0,40}-----)?"
)
_OPTION = r"""(?P<key>(?<![\w-])--(?:[A-Za-z0-9]+-){{0,6}}(?i:{words})s?["']?,?\s+["']?)(?P<secret>[^\s"'-][^\s"']*)"""
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
    r"(?:\]?\\{{0,4}}[\"']?\s*(?:=>?|:)\s*|>(?=[^<>]{{1,500}}</)))"
    r"(?P<secret>"
    r'\\"(?:[^"\\]|\\{{3}}[\s\S]|\\[^"])*+(?:\\?")?'  # JSON inside a JSON string; the end may be cut off
    r'|"(?:[^"\\]|\\[\s\S])*+"?'
    r"|'(?:[^'\\]|\\[\s\S])*+'?"
    r"|\[[^\]]*\]?|\{{[^}}]*\}}?"
    r"|(?i:digest|aws4-hmac-sha256)\s[^\r\n]*"
    r"|(?:(?i:bearer|basic|token|apikey)\s+)?[^\s,;&\"'}}\]<]+)"
)


_NOTHING = re.compile(r"(?!)")


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
        self._option = _NOTHING
        self._stems: tuple[str, ...] = ()
        if words:
            snakes = list(dict.fromkeys(map(_snake, words)))
            glued = "|".join(word for word in snakes if word in _GLUED) or r"(?!)"
            apart = "|".join(re.escape(word).replace("_", "_?") for word in snakes if word not in _GLUED) or r"(?!)"
            self._names = re.compile(rf"(?:{glued}|(?:^|_)(?:{apart}))s?\d*(?:_|$)")
            self._stems = _stems(snakes)
            self._option = re.compile(_OPTION.format(words=f"{glued}|{apart}".replace("_?", "-?")))
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
        """The text without secrets in it: ``password=…``, JSON inside strings, URLs' credentials, tokens."""
        if self._inside is None:
            return text
        if "=" in text or ":" in text or "<" in text:
            text = self._without_named(text, self._inside)
        size = len(text)
        if size >= _SHORTEST_BEARER and ("earer" in text or "asic" in text):
            text = _BEARER.sub(rf"\g<kind> {REDACTED}", text)
        # What tokens begin with is looked for in every text, and a regular expression takes much longer.
        if size >= _SHORTEST_TOKEN and (
            (
                "_" in text
                and (
                    "k_" in text
                    or "gh" in text
                    or "_pat_" in text
                    or "whsec" in text
                    or "npm_" in text
                    or "hf_" in text
                )
            )
            or ("-" in text and ("sk-" in text or "--" in text or "xox" in text or "pat-" in text or "pypi-" in text))
            or ("A" in text and ("AKIA" in text or "ASIA" in text or "AIza" in text))
            or ("J" in text and "eyJ" in text)
            or ("G" in text and "SG." in text)
        ):
            text = self._without_tokens(text)
        return text

    def _without_named(self, text: str, inside: re.Pattern[str]) -> str:
        """The text without what a secret's name stands before, and without URLs' credentials."""
        if "://" in text:
            if "@" in text:
                text = _URL_CREDENTIALS.sub(rf"\g<user>:{REDACTED}@", text)
            if "hooks.slack" in text:
                text = _SLACK_HOOK.sub(rf"\g<place>{REDACTED}", text)
        if "ookie" in text:
            text = _COOKIE.sub(_hide, text)
        # Most texts name no secret, and to find that out word by word is many times quicker.
        folded = text.lower() if text.isascii() else text.casefold()
        for stem in self._stems:
            if stem in folded:
                return inside.sub(_hide, text)
        return text

    def _without_tokens(self, text: str) -> str:
        """The text without what is a secret by its form, and without those that are arguments of a command."""
        text = _TOKENS.sub(REDACTED, text)
        text = _PRIVATE_KEY.sub(rf"\g<begin>{REDACTED}\g<end>", text)
        if "--" in text:
            text = self._option.sub(_hide, text)
        return text


def _hide(found: re.Match[str]) -> str:
    secret = found["secret"]
    if secret.isdecimal() and is_count(found["key"]):
        return found[0]
    quote = re.match(r"\\?[\"']", secret)
    mark = quote[0] if quote else ""
    return f"{found['key']}{mark}{REDACTED}{mark}"


def is_count(key: str) -> bool:
    """Whether a number under a key that names tokens is no secret: ``max_tokens``, ``token_count``, of texts."""
    return "token" in key.lower()


def _stems(words: Collection[str]) -> tuple[str, ...]:
    """Of each word the longest part, one of which stands in every text that names a secret; none holds another."""
    longest = {max(word.split("_"), key=len) for word in words}
    return tuple(sorted(one for one in longest if not any(other in one for other in longest if other != one)))


NO_SECRETS = SecretNames(())


def _snake(key: str) -> str:
    return _WORD_BORDER.sub("_", key).lower()
