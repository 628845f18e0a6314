"""Headless Chromium for tests: the system's, else playwright's own, and no network but this machine's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Error, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def open_page() -> Iterator[Page]:
    """A page while the block runs. It is used again and never closed: `Page.close` hangs after an address that failed.

    Without Chromium the test is skipped; where the variable CI is set, that is an error. No asyncio loop can run in
    this process meanwhile.
    """
    options = ["--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--no-sandbox")  # Chromium's sandbox refuses root
    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, NAMES)), None)
        try:
            browser = playwright.chromium.launch(executable_path=found, args=options)
        except Error as error:
            if "CI" in os.environ or found:
                raise
            pytest.skip(f"no Chromium; install it, or run `playwright install chromium` ({error.message[:80]})")
        try:
            yield browser.new_page()
        finally:
            browser.close()
