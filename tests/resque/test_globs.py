"""Queue patterns, against Ruby's File.fnmatch."""

from __future__ import annotations

import json
import random
import shutil
import subprocess

import pytest

from clues.resque import globs
from tests.requirements import lacking

RUBY = """
patterns, names = JSON.parse(STDIN.read)
puts JSON.generate(patterns.map { |pattern| names.map { |name| File.fnmatch?(pattern, name) } })
"""


def _texts(chance: random.Random, alphabet: str, count: int, length: int) -> list[str]:
    return ["".join(chance.choice(alphabet) for _ in range(chance.randint(0, length))) for _ in range(count)]


def test_real_ruby_matches_the_same() -> None:
    """Thousands of patterns, broken ones too, match the names that they match in Ruby."""
    ruby = shutil.which("ruby") or lacking("ruby", "it is not on PATH")
    chance = random.Random(3)
    names = _texts(chance, "abc./-!^]\\[éd\n", 120, 4)
    patterns = _texts(chance, "ab*?[]!^-\\.{},/éc", 2000, 7)
    patterns += [f"[{inner}]*" for inner in _texts(chance, "ab-!^\\]c.é", 2000, 6)]
    command = [ruby, "-Eutf-8:utf-8", "-rjson", "-e", RUBY]
    given = json.dumps([patterns, names]).encode()
    answer = subprocess.run(command, input=given, capture_output=True, check=True)
    expected = dict(zip(patterns, json.loads(answer.stdout), strict=True))
    ours = {text: [globs.compiled(text).fullmatch(name) is not None for name in names] for text in patterns}
    assert [text for text in patterns if ours[text] != expected[text]] == []


@pytest.mark.parametrize("name", ["*", "a?", "[ab]", "{a,b}", "a]"])
def test_any_wildcard_makes_a_pattern(name: str) -> None:
    """Braces too, though they match nothing but themselves."""
    assert globs.is_pattern(name)
    assert not globs.is_pattern("a/b.c!")
