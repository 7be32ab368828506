"""A headless Chromium, driven through Playwright; skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.requirements import lacking
from tests.web.serving import Site

_SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser for a module's tests."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        lacking("chromium", "no chromium on PATH")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("chromium", "playwright is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_SWITCHES)
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """A page in a browser of its own, with whatever went wrong in it.

    Attributes:
        page: Playwright's.
        problems: errors of scripts, and what the policy refused.
    """

    def __init__(self, browser: Any, site: Site, *, width: int = 1280, theme: str = "light") -> None:
        self._site = site
        self._context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
        self.page = self._context.new_page()
        self.page.set_default_timeout(20_000)
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", self._hear)
        self.page.goto(site.url)
        self.page.wait_for_selector("#about br", state="attached")

    def _hear(self, said: Any) -> None:
        # An answer that is an error, such as of a job that is not known, is no error of the page.
        if said.type == "error" and "Failed to load resource" not in said.text:
            self.problems.append(said.text)

    def go(self, view: str, ready: str = "h1") -> None:
        """Go to a view, and wait for what says that it is there."""
        self.page.goto(f"{self._site.base}#/{view}")
        self.page.wait_for_selector(f"main {ready}")

    def text(self, selector: str = "main") -> str:
        """What is read there."""
        return str(self.page.inner_text(selector))

    @property
    def fits(self) -> bool:
        """Whether nothing makes the page wider than its window."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))

    @property
    def focused(self) -> str:
        """What has the focus, in words."""
        return str(
            self.page.evaluate(
                "(document.activeElement.ariaLabel || document.activeElement.textContent || "
                "document.activeElement.placeholder || document.activeElement.tagName).trim()"
            )
        )

    def close(self) -> None:
        """Close it; nothing may have gone wrong, and no script of a job's may have run."""
        hit = self.page.evaluate("window.hit")
        self._context.close()
        assert hit is None
        assert self.problems == []
