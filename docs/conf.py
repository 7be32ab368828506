"""The documentation's site: ``make docs``. The sources are the repository's own Markdown pages, where they stand."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from sphinx.ext.autodoc.mock import _MockObject  # type: ignore[attr-defined]  # noqa: E402

import clues  # noqa: E402 - the checkout's, whatever is installed

project = "clues"
copyright = "clues contributors"  # noqa: A001 - Sphinx' name for it
version = release = clues.__version__

# The source folder is the repository, so that a link between pages, and from a page to a file, is the same on a forge
# and here.
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
include_patterns = [
    "*.md",
    "dashboards/*.md",
    "docs/**.md",
    "examples/**.md",
    "publishers/*.md",
]
exclude_patterns = [".*", "build", "clues", "dist", "out", "tests"]

extensions = [
    "docs._ext.navigation",
    "docs._ext.repository_links",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
nitpicky = True
nitpick_ignore_regex = [
    (
        "py:class",
        r"(collections\.abc|contextlib|logging|os|pathlib)\..*",
    ),  # Python's own: to link them would ask the network
    ("py:class", r"Handler|Place|PublisherLike|RedisBackend|RedisLike|Scope"),  # aliases
    ("py:class", r"clues\.(attempt|faults|metadata|publishers\.outbox|sanitize)\..*|Registry|Store"),  # not public
    ("py:exc", "ImproperlyConfigured|RedisError"),
]

default_role = "literal"  # docstrings put names in single backticks
autodoc_member_order = "bysource"
autodoc_mock_imports = [  # what adapters hook into is not needed to read their docstrings
    "arq",
    "asgiref",
    "billiard",
    "celery",
    "click",  # Flask's
    "django",
    "dramatiq",
    "flask",
    "huey",
    "kombu",
    "rq",
    "taskiq",
    "taskiq_dependencies",
]
_MockObject.__type_params__ = ()  # type: ignore[attr-defined] # what is wrapped must have one, since Python 3.12
autoclass_content = "both"  # a class says what it is for, its `__init__` what it takes
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_use_rtype = False

myst_heading_anchors = 6  # by the rule of forges: `page.md#which-question-which-command`
suppress_warnings = ["myst.header"]  # a page may begin with any heading that reads well

linkcheck_timeout = 20  # seconds
linkcheck_retries = 2
linkcheck_anchors = False  # of pages that a script makes
linkcheck_ignore = [r"https?://(localhost|127\.0\.0\.1|[\w.-]*example\.com)\b.*"]

html_theme = "furo"
html_title = f"clues {release}"
html_favicon = "../clues/web/static/icon.svg"
html_additional_pages = {"index": "forward.html"}  # the site's address shows the first page
html_show_sphinx = False
html_copy_source = False
templates_path = ["_templates"]
