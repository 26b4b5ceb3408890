"""Measure this package against its peers: ``python docs/benchmarks/run.py``.

Reads real MNIST as `fetch_mnist` does. Takes about half an hour on two cores; `--only training
epoch` measures some of it, and keeps the rest of an earlier run. Writes results/speed.json,
results/speed.md (the tables that the docs show) and results/*.svg. PyTorch and skorch are
optional peers: ``pip install torch skorch``.
"""

import argparse
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from measure import SECTIONS
from present import draw, tabulate
from threadpoolctl import threadpool_info

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("numpy", "scikit-learn", "tensorflow", "keras", "scikeras", "onnxruntime", "torch")


def describe_machine():
    """Return what the figures depend on."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = f"{len(models)} × {models[0].split(':')[1].strip()}" if models else cpu
    kernels = sorted({pool["architecture"] for pool in threadpool_info() if "architecture" in pool})
    python = platform.python_version()
    return {"cpu": cpu, "python": python, "versions": versions, "kernels": kernels}


def main():
    """Measure, write the results, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parsed = parser.parse_args()

    RESULTS.mkdir(exist_ok=True)
    store = RESULTS / "speed.json"
    results = json.loads(store.read_text()) if store.exists() else {}
    results["machine"] = describe_machine()
    for name in parsed.only:
        print(f"measuring {name} ...", flush=True)
        results[name] = SECTIONS[name](parsed.rounds)
        store.write_text(json.dumps(results, indent=1) + "\n")
    tables = tabulate(results)
    (RESULTS / "speed.md").write_text(tables)
    draw(results, RESULTS)
    print(tables)


if __name__ == "__main__":
    main()
