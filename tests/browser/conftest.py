"""What the tests in a browser share: browsers of this machine, driven by Playwright, and a folder.

    make browser                          JupyterLab and the playground, in Chromium and in Firefox
    make browser BROWSER_ARGS="-k 00"     what has 00 in its name: one notebook

No browser is downloaded. Where there is none, what needs it is skipped. Every page is watched: it
may ask no other host than this machine for anything, and no script of it may fail.
"""

import shutil
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: make browser")

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "browser"
# Playwright's name of each browser, how it is started, and what its program is called.
BROWSERS = {
    "chromium": ({}, ["chromium", "chromium-browser", "google-chrome"]),
    # moz-firefox: the one that Mozilla ships, by the protocol that it has
    "firefox": ({"channel": "moz-firefox"}, ["firefox", "firefox-esr"]),
}
PATIENCE = 600_000  # milliseconds for anything that is awaited: busy machines are slow


@pytest.fixture(scope="session")
def playwright():
    with sync_api.sync_playwright() as playwright:
        yield playwright


@contextmanager
def launched(playwright, name, **options):
    """The machine's browser of that name; skips where there is none."""
    channel, programs = BROWSERS[name]
    program = next(filter(None, map(shutil.which, programs)), None)
    if program is None:
        pytest.skip(f"Needs {name}, which is not on this machine.")
    started = getattr(playwright, name).launch(
        executable_path=program, timeout=PATIENCE, **channel, **options
    )
    try:
        yield started
    finally:
        started.close()


@pytest.fixture(scope="session")
def chromium(playwright):
    with launched(playwright, "chromium") as browser:
        yield browser


@contextmanager
def opened(browser, **options):
    """A page in a fresh profile; fails in the end if it asked elsewhere or a script failed.

    What a page's own policy blocks is no script's failure, though Firefox reports it as one:
    Playwright adds a style to the page for each screenshot, and the playground's policy forbids it.
    """
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    wrong = []

    def failed(error):
        if error.name != "Content-Security-Policy":
            wrong.append(f"script failed: {error}")

    page.on("pageerror", failed)
    page.on("request", lambda request: elsewhere(request.url) and wrong.append(request.url))
    try:
        yield page
        assert wrong == []
    finally:
        context.close()


def elsewhere(url):
    asked = urlsplit(url)
    return asked.scheme in ("http", "https", "ws", "wss") and asked.hostname != "127.0.0.1"
