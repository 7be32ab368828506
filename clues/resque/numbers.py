"""Numbers as Ruby spells them, and integers of any length."""

from __future__ import annotations

from decimal import Decimal

MAX_DIGITS = 100_000
"""The longest integer that is converted: time grows with the square, and one item must not hold up a worker."""

_BITS_PER_DIGIT = 3.3219280948873626


def float_text(value: float) -> str:
    """Spell a finite float as Ruby does: scientific below 1e-4 and, for whole numbers, from 1e15 up."""
    text = float.__repr__(value)
    mantissa, _, exponent = text.partition("e")
    if exponent and "." not in mantissa:
        return f"{mantissa}.0e{exponent}"
    if len(text.lstrip("-")) == _TURN and text.endswith(".0"):
        return _scientific(text)
    return text


# The length of 1000000000000000.0: Ruby turns to scientific here, Python a digit later.
_TURN = 18


def _scientific(fixed: str) -> str:
    sign = "-" if fixed.startswith("-") else ""
    digits = fixed.lstrip("-").removesuffix(".0").rstrip("0")
    return f"{sign}{digits[0]}.{digits[1:] or '0'}e+15"


def int_text(value: int) -> str:
    """Spell an integer in full; a subclass such as an IntEnum as its plain number.

    Raises:
        ValueError: it has more than MAX_DIGITS digits.
    """
    try:
        return int.__repr__(value)
    except ValueError:
        # Python itself stops at 4300 digits, Ruby doesn't; Decimal has no such limit.
        _check_length(int(value.bit_length() / _BITS_PER_DIGIT))
        return format(Decimal(value), "f")


def int_from(text: str) -> int:
    """Read an integer.

    Raises:
        ValueError: it has more than MAX_DIGITS digits.
    """
    try:
        return int(text)
    except ValueError:
        _check_length(len(text))
        return int(Decimal(text))


def _check_length(digits: int) -> None:
    if digits > MAX_DIGITS:
        message = f"an integer of more than {MAX_DIGITS} digits"
        raise ValueError(message)
