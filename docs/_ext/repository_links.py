"""A link to a folder of the repository leads to that folder's README, as on a forge."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from sphinx.addnodes import pending_xref
from sphinx.transforms.post_transforms import SphinxPostTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class FolderLinks(SphinxPostTransform):
    """Turn links to folders into links to pages."""

    default_priority = 8  # before MyST's own resolver, 9

    def run(self, **_: Any) -> None:
        """Look at each link of a page that is none to a page."""
        for link in list(self.document.findall(pending_xref)):
            if link["reftype"] == "myst" and link.get("refdomain") != "doc":
                page = self._readme(link["reftarget"])
                if page in self.env.found_docs:
                    link.attributes.update(refdomain="doc", reftarget=page, reftargetid=None)

    def _readme(self, target: str) -> str:
        folder = posixpath.dirname(self.env.docname)
        return posixpath.normpath(posixpath.join(folder, target, "README"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Sphinx' way in."""
    app.add_post_transform(FolderLinks)
    return {"parallel_read_safe": True}
