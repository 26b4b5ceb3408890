"""Drawings from vector templates, and a server of the page."""

import json
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image, ImageDraw

import mnist_estimator.playground
from mnist_estimator.playground import PlaygroundServer, load_web_runtime


@pytest.fixture(scope="session")
def page_folder():
    """Where the page's sources are."""
    return Path(mnist_estimator.playground.__file__).parent / "page"


@pytest.fixture(scope="session")
def templates(page_folder):
    """The strokes of each digit: digit → list of arrays of shape (n_points, 2), in shares."""
    samples = json.loads((page_folder / "samples.json").read_text())
    return {int(name): [np.array(points) for points in samples[name]] for name in samples}


@pytest.fixture(scope="session")
def distort():
    """``distort(strokes, rng)`` turns, stretches, slants and bends strokes as hands do."""

    def distorted(strokes, rng):
        angle, slant = rng.normal(0, 0.12, 2)
        turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        scale = np.diag(rng.uniform(0.8, 1.2, 2))
        matrix = turn @ scale @ [[1, slant], [0, 1]]
        size, shift = rng.uniform(0.5, 0.95), rng.uniform(-0.06, 0.06, 2)
        bend, phase = rng.uniform(0, 0.02, 2), rng.uniform(0, 2 * np.pi, 2)
        wave = rng.uniform(6, 18, 2)
        centred = [(points - 0.5) @ matrix.T for points in strokes]
        bent = [points + bend * np.sin(wave * points[:, ::-1] + phase) for points in centred]
        return [points * size + 0.5 + shift for points in bent]

    return distorted


@pytest.fixture(scope="session")
def draw():
    """``draw(strokes, width)`` makes a picture of 320 × 320 grey levels, dark on white."""
    side, oversampling = 320, 4

    def drawn(strokes, width):
        image = Image.new("L", (side * oversampling,) * 2, 255)
        pencil, radius = ImageDraw.Draw(image), width * oversampling / 2
        for stroke in strokes:
            points = [tuple(point) for point in stroke * side * oversampling]
            pencil.line(points, 0, round(2 * radius), joint="curve")
            for x, y in points:
                pencil.ellipse((x - radius, y - radius, x + radius, y + radius), 0)
        return np.asarray(image.resize((side, side), Image.Resampling.BOX))

    return drawn


@pytest.fixture(scope="session")
def runtime(node_project):
    """The two files of onnxruntime-web that the page loads."""
    return load_web_runtime(node_project / "node_modules" / "onnxruntime-web" / "dist")


@pytest.fixture(scope="session")
def serve():
    """``with serve(files) as server`` answers in a thread."""

    @contextmanager
    def serving(files, **options):
        with PlaygroundServer(files, **options) as server:
            thread = Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield server
            finally:
                server.shutdown()
                thread.join()

    return serving
