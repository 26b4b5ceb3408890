"""Train on more images than memory is to hold, and compare with training from memory.

    MNIST_ESTIMATOR_DATA=folder-of-mnist python docs/benchmarks/beyond_memory.py

makes 2,000,000 distorted images of MNIST's training set in a temporary folder (1.6 GB), and fits
the reference pipeline on them in processes of their own: on a dask array over the file, and on the
same images in memory (which takes 4 GB). It prints a table of the rates, of the accuracies on
MNIST's test images and of the memory: anonymous memory, which the system cannot take back, above
that of the process after it imported TensorFlow and fitted 5,000 images. Linux only.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

import numpy as np

BLOCK_ROWS = 10_000


def make_images(folder, n_rows):
    """Write distorted copies of MNIST's training images to a folder."""
    from PIL import Image

    from mnist_estimator import fetch_mnist

    X, y = fetch_mnist(return_X_y=True)
    pictures = [Image.fromarray(x) for x in X.reshape(-1, 28, 28)]
    rng = np.random.default_rng(0)
    chosen = rng.integers(len(X), size=n_rows)
    images = np.lib.format.open_memmap(folder / "X.npy", "w+", np.uint8, (n_rows, 784))
    for first in range(0, n_rows, BLOCK_ROWS):
        block = chosen[first : first + BLOCK_ROWS]
        for row, (index, matrix) in enumerate(
            zip(block, distortions(len(block), rng), strict=True), start=first
        ):
            picture = pictures[index].transform(
                (28, 28), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
            )
            images[row] = np.asarray(picture).ravel()
        print(f"\r{first + len(block):,} images", end="", file=sys.stderr)
    print(file=sys.stderr)
    images.flush()
    np.save(folder / "y.npy", y[chosen])


def distortions(n, rng):
    """Draw affine maps: up to 10 degrees, a tenth larger or smaller, slanted, 2 pixels aside."""
    angle, slant = rng.uniform(-np.pi / 18, np.pi / 18, n), rng.uniform(-0.15, 0.15, n)
    wider, higher = rng.uniform(0.9, 1.1, (2, n))
    a, b = np.cos(angle) * wider, (slant - np.sin(angle)) * higher
    c, d = np.sin(angle) * wider, np.cos(angle) * higher
    aside, up = rng.uniform(-2, 2, (2, n))
    centre = 13.5
    x = centre + aside - a * centre - b * centre
    y = centre + up - c * centre - d * centre
    return np.stack([a, b, x, c, d, y], axis=1).tolist()


def read(path, block_info=None):
    """Return the rows of one block as a view of the file."""
    first, last = block_info[None]["array-location"][0]
    return np.load(path, mmap_mode="r")[first:last]


def blocks_of(path, n_rows):
    """Return a file's rows as a dask array (`from_array` would load them: dask issue 11850)."""
    import dask.array as da

    lengths = [min(BLOCK_ROWS, n_rows - first) for first in range(0, n_rows, BLOCK_ROWS)]
    return da.map_blocks(read, path, chunks=(tuple(lengths), (784,)), dtype=np.uint8)


class AnonymousMemory:
    """The largest anonymous memory of this process while a block runs, in MB."""

    def __enter__(self):
        self.start = self.peak = self._now()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()

    def _watch(self):
        while not self._stop.wait(0.01):
            self.peak = max(self.peak, self._now())

    @staticmethod
    def _now():
        status = Path("/proc/self/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0]) * 1024 / 1e6


def fit_once(folder, source, n_rows, epochs, seed):
    """Fit in this process, and return what was measured."""
    from mnist_estimator import fetch_mnist, make_mnist_pipeline

    X_test, y_test = fetch_mnist(subset="test", return_X_y=True)
    X, y = np.load(folder / "X.npy", mmap_mode="r")[:n_rows], np.load(folder / "y.npy")[:n_rows]
    pipe = make_mnist_pipeline(epochs=epochs, random_state=seed)
    make_mnist_pipeline(epochs=1).fit(np.array(X[:5000]), y[:5000])
    if source == "blocks":
        import dask.array  # noqa: F401
    with AnonymousMemory() as memory:
        images = blocks_of(folder / "X.npy", n_rows) if source == "blocks" else np.array(X)
        start = time.perf_counter()
        pipe.fit(images, y)
        seconds = time.perf_counter() - start
    return {
        "source": source,
        "rate": epochs * n_rows / seconds,
        "memory": memory.peak - memory.start,
        "accuracy": pipe.score(X_test, y_test),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="seeds, the two sources in turn")
    parser.add_argument("--folder", type=Path, help="where the images are, or are to be kept")
    parser.add_argument("--one", nargs=2, metavar=("SOURCE", "SEED"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        source, seed = args.one[0], int(args.one[1])
        print(json.dumps(fit_once(args.folder, source, args.rows, args.epochs, seed)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        if not (folder / "y.npy").exists():
            make_images(folder, args.rows)
        results = []
        for seed in range(args.rounds):
            for source in ("blocks", "memory"):
                command = [sys.executable, __file__, "--folder", folder, "--one", source, str(seed)]
                command += ["--rows", str(args.rows), "--epochs", str(args.epochs)]
                run = subprocess.run(command, check=True, stdout=subprocess.PIPE)
                results.append(json.loads(run.stdout))
                print(results[-1], file=sys.stderr)
    print(table(results))


def table(results):
    """Return the figures as a Markdown table."""
    lines = [
        "| images | images/s | memory, MB | test accuracy |",
        "|---|---|---|---|",
    ]
    for source, name in (("blocks", "on disk, dask blocks"), ("memory", "in memory")):
        runs = [result for result in results if result["source"] == source]
        rates, accuracies = ([run[key] for run in runs] for key in ("rate", "accuracy"))
        lines.append(
            f"| {name} | {median(rates):,.0f} ({min(rates):,.0f} – {max(rates):,.0f}) "
            f"| {max(run['memory'] for run in runs):,.0f} "
            f"| {', '.join(f'{accuracy:.2%}' for accuracy in accuracies)} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
