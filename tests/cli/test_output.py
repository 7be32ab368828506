"""What is printed can't harm a terminal."""

from __future__ import annotations

import json

import pytest

from clues.cli.output import clean, clean_json
from clues.cli.words import seconds, value_text


@pytest.mark.parametrize("unsafe", ["\x1b[2J", "\x9b2J", "\r", "\x00", "\x7f", "\u202e", "\u2028", "\n", "\t", "\x07"])
def test_control_characters_are_spelled_out(unsafe: str) -> None:
    shown = clean(f"a{unsafe}b")
    assert shown.isprintable()
    assert "\\" in shown


def test_other_text_is_left_alone() -> None:
    assert clean("Zoë 東京 🎉 [bold]x[/bold] :smile:") == "Zoë 東京 🎉 [bold]x[/bold] :smile:"


def test_a_json_line_keeps_its_value() -> None:
    line = json.dumps({"a": "\x9b2J \u202e \x7f"}, ensure_ascii=False)
    assert clean_json(line).isprintable()
    assert json.loads(clean_json(line)) == json.loads(line)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "-"),
        (0, "0.0ms"),
        (0.00421, "4.2ms"),
        (0.31, "310ms"),
        (0.9996, "1.00s"),
        (1.204, "1.20s"),
        (12.34, "12.3s"),
        (125, "2m05s"),
        (3720, "1h02m"),
        (-0.2, "-200ms"),
    ],
)
def test_durations(value: float | None, said: str) -> None:
    assert seconds(value) == said


def test_values() -> None:
    assert value_text("pro") == "pro"
    assert value_text("two words") == '"two words"'
    assert value_text([1, {"a": None}]) == '[1, {"a": null}]'
    assert value_text("") == '""'
