"""The documentation's site: it builds without a warning, and a broken link is one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from docs._ext.navigation import Page, pages, toctree

ROOT = Path(__file__).parents[2]


def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    """No link, picture or anchor leads nowhere, and no page is missing in the index; the READMEs are among them."""
    pytest.importorskip("sphinx", reason="comes with the extra dev since the site is built")
    done = subprocess.run(
        [sys.executable, "-m", "docs", "--out", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    site = tmp_path / "html"
    assert 'href="../publishers/README.html"' in (site / "docs" / "index.html").read_text()
    assert 'href="../examples/django/README.html"' in (site / "docs" / "initializers.html").read_text()
    assert "url=docs/index.html" in (site / "index.html").read_text()


def test_the_index_is_the_navigation() -> None:
    """Headings are groups, links in lists are pages, those below another one's are below it."""
    index = (
        "# clues\n\n- [no](group.md)\n\n## Use\n\n- [One](one.md): text\n  - [Two](sub/two.md)\n- [Top](../README.md)\n"
    )
    nameless, one, top = pages(index, "docs")
    assert nameless.group == ""
    assert one == Page("docs/one", "One", "Use", [Page("docs/sub/two", "Two", "Use")])
    assert top.docname == "README"
    assert toctree([top], "Use").splitlines()[2:] == [":caption: Use", "", "Top </README>", "```"]
