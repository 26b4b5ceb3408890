"""Fuzzing of what reads files of strangers, by atheris (coverage-guided, libFuzzer's engine).

    python tests/fuzz/fuzz.py idx|check|models|pictures --runs 100000 [--seed 0]

Each input must give our error or a right answer, within 2 seconds of processor time and 200 MB of
memory above what the process held before it. The first that does not stops the run, and lies in
the folder that is named. The starting inputs are made here; nothing is kept between runs.
"""

import argparse
import gzip
import hashlib
import importlib.util
import io
import random
import re
import struct
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np

MAX_SECONDS = 2.0
MAX_MEGABYTES = 200
# A look at the memory takes as long as a small input.
INPUTS_PER_LOOK = 10

TESTS = Path(__file__).parents[1]


class Idx:
    """The reader of MNIST's files, as `fetch_mnist` uses it."""

    instrumented = ("mnist_estimator.datasets._idx", "mnist_estimator.datasets._remote")
    n_changes = 5  # made to an input, one after the other

    def __init__(self):
        from mnist_estimator.datasets._remote import RemoteFile

        self.folder = Path(tempfile.mkdtemp())
        self.images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
        self.content = struct.pack(">4B3I", 0, 0, 8, 3, 2, 3, 4) + self.images.tobytes()
        sha256 = hashlib.sha256(self.content).hexdigest()
        self.file = RemoteFile("images", len(self.content), sha256)

    def seeds(self):
        labels = struct.pack(">4BI", 0, 0, 8, 1, 5) + bytes(range(5))
        liar = struct.pack(">4B3I", 0, 0, 8, 3, 10**9, 28, 28) + bytes(40)
        compressed = gzip.compress(self.content, mtime=0)
        return [self.content, compressed, compressed * 2, labels, gzip.compress(liar, mtime=0)]

    def run(self, data):
        from mnist_estimator.datasets._idx import parse_idx
        from mnist_estimator.datasets._remote import read_file
        from mnist_estimator.exceptions import DatasetError

        try:
            values = parse_idx(data)
            assert data.endswith(values.tobytes())
            assert values.size == len(data) - 4 - 4 * values.ndim
        except ValueError:
            pass
        (self.folder / "images").write_bytes(data)
        try:
            np.testing.assert_array_equal(read_file(self.file, self.folder), self.images)
        except DatasetError:
            return False
        return True


class Check:
    """The look through a model file's bytes before onnxruntime sees them."""

    instrumented = ("mnist_estimator.runtime._file_check", "mnist_estimator.runtime._metadata")
    n_changes = 1

    def __init__(self):
        self.hostile = load("test_hostile_models")
        self.originals = [load("conftest").make_network((8, 4, 3)), self.hostile.make_table()]

    def seeds(self):
        return [model.SerializeToString() for model in self.originals]

    def mutate(self, data, max_size, seed, mutate_bytes):
        """Change fields of a model that is one, and bytes of anything else."""
        rng = random.Random(seed)
        if rng.random() < 0.3:
            return mutate_bytes(data, max_size)
        from google.protobuf.message import DecodeError
        from onnx import ModelProto

        try:
            model = ModelProto.FromString(data)
            return self.hostile.damage_fields(model, rng)[:max_size]
        except (DecodeError, IndexError, ValueError):
            return mutate_bytes(data, max_size)

    def run(self, data):
        from mnist_estimator.runtime._file_check import FileCheck
        from mnist_estimator.runtime._metadata import parse_classes, parse_metadata

        try:
            parse_classes(parse_metadata(FileCheck(data).metadata))
        except ValueError:
            return False
        return True


class Models(Check):
    """Opening a whole model file and reading rows with it."""

    instrumented = ("mnist_estimator.runtime",)

    def run(self, data):
        from mnist_estimator.exceptions import ModelFileError
        from mnist_estimator.runtime import OnnxModel

        try:
            model = OnnxModel(data)
            if model.input_dtype is None or model.n_features > 10_000:
                return True
            labels, probabilities = model.run(np.ones((3, *model.input_shape), model.input_dtype))
        except ModelFileError:
            return False
        assert labels.shape == (3,)
        assert probabilities.shape == (3, len(model.classes))
        return True


class Pictures:
    """Pictures as strangers send them."""

    instrumented = ("mnist_estimator.images._reading", "PIL")
    n_changes = 1

    def seeds(self):
        from PIL import Image, ImageDraw

        picture = Image.new("L", (36, 40), 230)
        ImageDraw.Draw(picture).line([(9, 8), (26, 8), (16, 33)], 40, 3)
        forms = [("L", "PNG"), ("RGB", "PNG"), ("P", "PNG"), ("1", "PNG"), ("LA", "PNG")]
        forms += [("L", "TIFF"), ("F", "TIFF"), ("CMYK", "TIFF"), ("I;16", "PNG"), ("P", "GIF")]
        forms += [("RGB", "BMP"), ("L", "JPEG"), ("RGB", "WEBP"), ("L", "PPM")]
        seeds = [encoded(picture.convert(mode), form) for mode, form in forms]
        seeds.append(encoded(picture, "JPEG", progressive=True))
        methods = ("tiff_lzw", "tiff_adobe_deflate", "packbits")
        seeds += [encoded(picture, "TIFF", compression=method) for method in methods]
        exif = Image.Exif()
        exif[0x0112] = 6
        return [*seeds, encoded(picture, "PNG", exif=exif), encoded(picture, "JPEG", exif=exif)]

    def mutate(self, data, max_size, seed, mutate_bytes):
        """Mend the checksums of a changed PNG, which otherwise is refused for them alone."""
        data = mutate_bytes(data, max_size)
        return with_png_checksums(data) if seed % 4 else data

    def run(self, data):
        from mnist_estimator import prepare_digits
        from mnist_estimator.exceptions import ImageError
        from mnist_estimator.images._reading import read_grey

        try:
            if zlib.crc32(data) % 8:
                # Looking for the digit takes twenty times as long as decoding.
                grey = read_grey(io.BytesIO(data))
                assert grey.ndim == 2
                assert np.isfinite(grey).all()
                return True
            rows = prepare_digits(io.BytesIO(data))
        except ImageError:
            return False
        assert rows.shape == (1, 784)
        assert rows.dtype == np.uint8
        assert rows.max() == 255
        return True


TARGETS = {"idx": Idx, "check": Check, "models": Models, "pictures": Pictures}


def load(name):
    """Return a module of the tests, which are no package."""
    spec = importlib.util.spec_from_file_location(name, TESTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def encoded(picture, form, **options):
    """Return the bytes of a picture's file."""
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def with_png_checksums(data):
    """Return a PNG file with the right checksum behind each chunk; other files as they are."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return data
    chunks, start = [data[:8]], 8
    while start + 12 <= len(data):
        stop = start + 8 + int.from_bytes(data[start : start + 4], "big")
        if stop + 4 > len(data):
            break
        chunk = data[start:stop]
        chunks += [chunk, struct.pack(">I", zlib.crc32(chunk[4:]))]
        start = stop + 4
    return b"".join([*chunks, data[start:]])


def peak_megabytes():
    """Return the most memory that this process has held since `forget_peak`."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def forget_peak():
    """Count the peak of memory from now on; return the present use."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_megabytes()


class Watched:
    """A target under its limits, and what came of the inputs so far.

    Parameters
    ----------
    target : object
        Its `run` returns whether an input was right, and fails on what must not be.
    n_runs : int
        After so many inputs the result is printed.
    """

    def __init__(self, target, n_runs):
        self.target, self.n_runs = target, n_runs
        self.n_inputs = self.n_right = 0
        self.slowest = self.most_memory = 0.0
        for seed in target.seeds():
            target.run(seed)

    def __call__(self, data):
        if self.n_inputs % INPUTS_PER_LOOK == 0:
            # The engine's own collection of inputs grows: that is not the target's.
            self.memory = forget_peak()
        start = time.process_time()
        self.n_right += self.target.run(data)
        seconds = time.process_time() - start
        self.n_inputs += 1
        self.slowest = max(self.slowest, seconds)
        assert seconds < MAX_SECONDS, f"it took {seconds:.1f} s"
        if self.n_inputs % INPUTS_PER_LOOK == 0:
            above = peak_megabytes() - self.memory
            self.most_memory = max(self.most_memory, above)
            assert above < MAX_MEGABYTES, f"one of {INPUTS_PER_LOOK} took {above:.0f} MB"
        if self.n_inputs == self.n_runs:
            print(
                f"{type(self.target).__name__}: {self.n_inputs:,} inputs, {self.n_right:,} right, "
                f"the others refused; slowest {self.slowest:.3f} s, at most {self.most_memory:.0f} "
                "MB above the memory before",
                flush=True,
            )


def main():
    import atheris

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    kind = TARGETS[options.target]
    with atheris.instrument_imports(include=list(kind.instrumented)):
        watched = Watched(kind(), options.runs)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    (folder / "corpus").mkdir()
    for i, seed in enumerate(watched.target.seeds()):
        (folder / "corpus" / str(i)).write_bytes(seed)
    print(f"What stops the run will be in {folder}")
    arguments = [
        *(f"-runs={options.runs}", f"-seed={options.seed + 1}", "-max_len=8192"),
        # For what never ends: our own limit is of processor time, and stops the rest.
        *("-timeout=120", "-rss_limit_mb=0", "-verbosity=0"),
        *(f"-mutate_depth={kind.n_changes}", f"-artifact_prefix={folder}/"),
    ]
    hooks = {}
    if hasattr(kind, "mutate"):
        hooks["custom_mutator"] = lambda data, size, seed: watched.target.mutate(
            data, size, seed, atheris.Mutate
        )
    atheris.Setup([sys.argv[0], *arguments, str(folder / "corpus")], watched, **hooks)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
