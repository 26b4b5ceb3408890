"""The targets of the fuzzing run, without its engine, on what they start from."""

import importlib.util
import random
import sys
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("fuzz", Path(__file__).with_name("fuzz.py"))
fuzz = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fuzz)

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured by Linux"
)


def mutated(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice([1, 4])):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_targets_take_what_they_start_from_and_what_becomes_of_it(name, capsys):
    rng = random.Random(0)
    target = fuzz.TARGETS[name]()
    seeds = target.seeds()
    inputs = [*seeds, b"", *(mutated(rng.choice(seeds), rng) for _ in range(60))]
    watched = fuzz.Watched(target, len(inputs))
    for data in inputs:
        mutate = getattr(target, "mutate", lambda data, *rest: data)
        watched(mutate(data, 8192, rng.randrange(100), lambda data, size: data))
    assert 0 < watched.n_right < len(inputs)
    assert f"{len(inputs)} inputs, {watched.n_right} right" in capsys.readouterr().out


def test_what_takes_too_long_or_too_much_stops_the_run(monkeypatch):
    class Patient:
        def seeds(self):
            return []

        def run(self, data):
            return bool(bytearray(50_000_000))

    monkeypatch.setattr(fuzz, "MAX_MEGABYTES", 20)
    watched = fuzz.Watched(Patient(), 10)
    for _ in range(9):
        watched(b"")
    with pytest.raises(AssertionError, match=r"one of 10 took \d+ MB"):
        watched(b"")
    monkeypatch.setattr(fuzz, "MAX_SECONDS", 0.0)
    with pytest.raises(AssertionError, match=r"it took .* s"):
        fuzz.Watched(Patient(), 1)(b"")


def test_a_changed_png_gets_its_checksums():
    png = next(seed for seed in fuzz.Pictures().seeds() if seed.startswith(b"\x89PNG"))
    assert fuzz.with_png_checksums(png) == png
    broken = png.replace(b"IHDR\0\0\0", b"IHDR\1\0\0")
    assert fuzz.with_png_checksums(broken) != broken
    assert fuzz.with_png_checksums(png[:50]) == png[:50]
    assert fuzz.with_png_checksums(b"GIF89a") == b"GIF89a"
    assert "atheris" not in sys.modules
