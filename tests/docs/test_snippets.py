"""Every snippet of every page is run, or checked: `tests.docs.snippets` says what becomes of which."""

from __future__ import annotations

import ast
import configparser
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from clues.plugs import publisher_class, split_url
from clues.publishers.query import options_of
from tests.docs.reading import Reader
from tests.docs.snippets import DATA, PAGES, ROOT, RUN, SHOWN, Snippet, snippets
from tests.docs.typed_commands import mistakes, typed

EVERY = [snippet for page in PAGES for snippet in snippets(page)]


@pytest.mark.parametrize("page", sorted({one.page for one in EVERY if one.is_run} - {"README.md"}))  # tests.test_readme
@pytest.mark.usefixtures("duckdb")
def test_a_page_is_done(page: str, tmp_path: Path, redis_url: str) -> None:
    """Word by word, as a reader would."""
    with Reader(tmp_path, redis_url, snippets(page)) as reader:
        reader.read()


@pytest.mark.parametrize("snippet", EVERY, ids=str)
def test_a_snippet_has_a_language(snippet: Snippet) -> None:
    """One that says what becomes of it."""
    assert snippet.language in RUN | DATA | SHOWN | {"sh"}, snippet
    if snippet.is_left:
        assert snippet.what, "a mark has its reason"
    if snippet.mark == "tried by":
        page = Path(snippet.page)
        named = page.parent.name if page.name == "README.md" else page.name
        assert named in (ROOT / snippet.what).read_text(), f"{snippet.what} does not name the page"


@pytest.mark.parametrize("snippet", [one for one in EVERY if one.language == "python"], ids=str)
def test_python_is_python(snippet: Snippet) -> None:
    """It compiles, and what it imports of clues is there."""
    for node in ast.walk(ast.parse(snippet.text, str(snippet))):
        if isinstance(node, ast.ImportFrom):
            for name in node.names:
                assert _is_there(node.module or "", name.name), f"{snippet}: {name.name}"
        elif isinstance(node, ast.Import):
            for name in node.names:
                assert _is_there(name.name), f"{snippet}: {name.name}"


def _is_there(module: str, name: str = "") -> bool:
    """Whether clues has such a module, or a name in it; by its text, for what it hooks into may be missing."""
    if module.partition(".")[0] != "clues":
        return True
    file = _file(module)
    return bool(file and (not name or _file(f"{module}.{name}") or name in _defined(file.read_text())))


def _file(module: str) -> Path | None:
    place = ROOT.joinpath(*module.split("."))
    return next((file for file in (place / "__init__.py", place.with_suffix(".py")) if file.exists()), None)


def _defined(text: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.ImportFrom() | ast.Import():
                names.update(alias.asname or alias.name for alias in node.names)
            case ast.Assign():
                names.update(target.id for target in node.targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Constant(value=str(name)):  # of a table of names that are imported when they are asked for
                names.add(name)
    return names


@pytest.mark.parametrize("snippet", [one for one in EVERY if one.language in {"sh", "console"}], ids=str)
def test_a_shell_can_read_it(snippet: Snippet) -> None:
    done = subprocess.run(["bash", "-n"], input=snippet.commands, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr


@pytest.mark.parametrize("snippet", [one for one in EVERY if one.language in DATA], ids=str)
def test_data_can_be_read(snippet: Snippet) -> None:
    match snippet.language:
        case "ini":
            configparser.RawConfigParser().read_string(snippet.text)
        case "json":
            json.loads(snippet.text)
        case "toml":
            tomllib.loads(snippet.text)
        case "yaml":
            yaml = pytest.importorskip("yaml")
            assert all(document is not None for document in yaml.safe_load_all(snippet.text))


@pytest.mark.parametrize("page", PAGES)
def test_its_commands_are_commands(page: str) -> None:
    """Of clues, with options that they have: in shells' blocks, and within the text."""
    text = (ROOT / page).read_text()
    shells = [one.commands for one in snippets(page) if one.language in {"console", "sh"}]
    inline = re.findall(r"`(clues [^`]+)`", text)
    assert not [found for block in [*shells, *inline] for words in typed(block) for found in mistakes(words)]


def test_a_mistaken_command_is_found() -> None:
    """Wherever a shell would run it."""
    text = "A=1 clues tail --folow x | clues tale\n$(clues failed list --nope) && echo clues nothing\nclues trace -f\n"
    assert [found for words in typed(text) for found in mistakes(words)] == [
        "clues tail has no option --folow",
        "no command: clues tale",
        "clues failed list has no option --nope",
    ]


@pytest.mark.parametrize("page", PAGES)
def test_its_urls_are_publishers(page: str) -> None:
    """What it gives CLUES_PUBLISHERS has schemes that are, and options that they have."""
    for given in re.findall(r"CLUES_PUBLISHERS=('[^'`]*'|[^\s`]+)", (ROOT / page).read_text()):
        for url in given.strip("'").split(","):
            parts = split_url(url.strip())
            options_of(parts, getattr(publisher_class(parts.scheme), "url_options", {}))
