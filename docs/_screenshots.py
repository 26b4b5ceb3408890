"""Pictures of pages for the docs, taken by the build in headless Chromium."""

import shutil
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Error, sync_playwright

FOLDER = Path(__file__).parent / "_build" / "screenshots"
WHAT_TO_INSTALL = (
    "The docs' screenshots need the Chromium browser: install Debian's (apt-get install chromium) "
    "or Playwright's (playwright install --with-deps chromium)."
)


class NoBrowserError(Exception):
    """There is no Chromium; the message says what to install."""


@contextmanager
def browser():
    """Start Debian's Chromium, or Playwright's own.

    Yields
    ------
    browser : playwright.sync_api.Browser
        It ends with the context.

    Raises
    ------
    NoBrowserError
        If there is neither.
    """
    with sync_playwright() as playwright:
        try:
            # A container's user is root, whom Chromium refuses its sandbox.
            started = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
        except Error as error:
            raise NoBrowserError(f"{WHAT_TO_INSTALL} ({error.message.splitlines()[0]})") from error
        try:
            yield started
        finally:
            started.close()


def screenshots(address, name, *, width, height, before=lambda page: None):
    """Take a picture of a page in light and in dark.

    A page of the docs shows them by `_build/screenshots/NAME-light.png` and `...-dark.png`, with
    the theme's classes `only-light` and `only-dark`.

    Parameters
    ----------
    address : str
        The page: ``path.as_uri()`` or ``http://127.0.0.1:...``.
    name : str
        What the pictures are called.
    width, height : int
        The size of the window in CSS pixels; the pictures have twice as many each way.
    before : callable, default: nothing
        Called with the `playwright.sync_api.Page` when the page is loaded: to draw on it, say.

    Raises
    ------
    NoBrowserError
        If there is no Chromium.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    with browser() as chromium:
        for scheme in ("light", "dark"):
            page = chromium.new_page(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                device_scale_factor=2,
            )
            page.goto(address)
            before(page)
            page.screenshot(path=FOLDER / f"{name}-{scheme}.png")
