"""A headless Chromium for tests of web pages."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

SCRIPT = Path(__file__).parents[2] / "scripts" / "browser.sh"
SIZE = {"width": 1440, "height": 900}


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page of a browser of its own; skips where there is no Chromium."""
    found = subprocess.run([SCRIPT], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.skip("no Chromium on this machine")
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found.stdout.strip(), args=arguments)
        try:
            yield browser.new_page(viewport=SIZE)
        finally:
            browser.close()
