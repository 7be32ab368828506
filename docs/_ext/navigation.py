"""The navigation is what docs/index.md lists: a heading is a group, its list's links are the pages.

A link that stands below another one's is a page below that page. So the index is plain Markdown, which a forge shows as
it is, and Sphinx gets its `toctree`s from it. A page that the index does not lead to is a warning, so an error.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_HEADING = re.compile(r"## (?P<title>.+)")
_ENTRY = re.compile(r"(?P<indent> *)- \[(?P<title>[^\]]+)\]\((?P<target>[^)]+)\)")


@dataclass
class Page:
    """A page that the index names.

    Attributes:
        docname: Sphinx' name of it: the path from the top, without its ending.
        title: what the index calls it.
        group: the heading that it stands under.
        below: the pages under it.
    """

    docname: str
    title: str
    group: str
    below: list[Page] = field(default_factory=list)


def pages(index: str, folder: str) -> list[Page]:
    """What an index leads to.

    Args:
        index: its text.
        folder: where it stands, from the top.
    """
    found: list[Page] = []
    group = ""
    for line in index.splitlines():
        if heading := _HEADING.fullmatch(line):
            group = heading["title"]
        elif entry := _ENTRY.match(line):
            path = posixpath.normpath(posixpath.join(folder, entry["target"]))
            page = Page(path.removesuffix(".md"), entry["title"], group)
            (found[-1].below if entry["indent"] else found).append(page)
    return found


def toctree(listed: list[Page], caption: str = "") -> str:
    """A `toctree` that shows nothing where it stands."""
    head = ["```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join([*head, "", *(f"{page.title} </{page.docname}>" for page in listed), "```"])


class Navigation:
    """Reads the index, and adds to each page the `toctree`s of what stands under it."""

    def __init__(self) -> None:
        """Know no page yet."""
        self._listed: list[Page] = []

    def read(self, app: Sphinx) -> None:
        """Read the index, once."""
        root = app.config.root_doc
        index = (app.srcdir / f"{root}.md").read_text(encoding="utf-8")
        self._listed = pages(index, posixpath.dirname(root))

    def add(self, app: Sphinx, docname: str, content: list[str]) -> None:
        """Add to a page's source, which is the only text in a list."""
        if docname == app.config.root_doc:
            groups = dict.fromkeys(page.group for page in self._listed)
            trees = [toctree([page for page in self._listed if page.group == group], group) for group in groups]
        else:
            trees = [toctree(page.below) for page in self._listed if page.docname == docname and page.below]
        content[0] = "\n\n".join([content[0].rstrip(), *trees, ""])


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx' way in."""
    navigation = Navigation()
    app.connect("builder-inited", navigation.read)
    app.connect("source-read", navigation.add)
    return {"parallel_read_safe": True}
