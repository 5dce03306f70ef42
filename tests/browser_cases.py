"""The Chromium of this machine."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def chromium():
    """Start the Chromium of this machine, or playwright's own; skip where there is none, unless it is required."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        path = next(filter(None, map(shutil.which, BROWSERS)), own if Path(own).is_file() else None)
        if path is None:
            reason = "no Chromium here: `apt-get install chromium`, or `.venv/bin/playwright install chromium`"
            (pytest.fail if os.environ.get("LAYERS_BROWSER") == "required" else pytest.skip)(reason)
        options = ["--disable-quic", "--disable-background-networking"]
        if os.geteuid() == 0:
            options.append("--no-sandbox")  # Chromium refuses to start as root otherwise, as in a container
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()
