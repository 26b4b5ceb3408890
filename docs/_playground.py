"""The playground of the docs: the page, the reference network, and the runtime, by npm."""

import json
import shutil
import subprocess
from pathlib import Path
from threading import Thread

from _screenshots import screenshots

from mnist_estimator.playground import PlaygroundServer, load_web_runtime, page_files

FOLDER = Path(__file__).parent / "playground"
DIST = FOLDER / "node_modules" / "onnxruntime-web" / "dist"
NPM = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
# So many points of a 5's bar are left out: with a short one it might become a 3.
N_POINTS_OF_BAR = 4


class NoRuntimeError(Exception):
    """The packages could not be installed; the message says why."""


def site(model):
    """Return the files of the page that the docs show.

    Parameters
    ----------
    model : Path
        A model file for MNIST's images.

    Returns
    -------
    files : dict of str to bytes
        Name and content of each; nothing else is needed to serve it.

    Raises
    ------
    NoRuntimeError
        If onnxruntime-web is not there and npm cannot install it.
    """
    if not DIST.exists():
        try:
            subprocess.run(NPM, cwd=FOLDER, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = getattr(error, "stderr", None) or error
            raise NoRuntimeError(f"'npm ci' in docs/playground: {reason}") from error
    return page_files(model, offline=True) | load_web_runtime(DIST)


def picture(files):
    """Take pictures of the page with a digit on it.

    Parameters
    ----------
    files : dict of str to bytes
        The page, as `site` gives it.

    Raises
    ------
    NoBrowserError
        If there is no Chromium.
    """
    (stroke,) = json.loads(files["samples.json"])["5"]

    def draw(page):
        page.wait_for_selector("html[data-ready]")
        box = page.locator("#pad").bounding_box()
        for i, (x, y) in enumerate(stroke[N_POINTS_OF_BAR:]):
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
            if i == 0:
                page.mouse.down()
        page.wait_for_selector('#answer[aria-busy="false"]')

    with PlaygroundServer(files) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            screenshots(server.url, "playground", width=960, height=700, before=draw)
        finally:
            server.shutdown()
            thread.join()


def write(files, folder):
    """Put the page into the built docs.

    Parameters
    ----------
    files : dict of str to bytes
        The page, as `site` gives it.
    folder : Path
        Where; what is there is replaced.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
