"""Fail if the wheel holds anything but the package, or the sdist lacks a part of the project."""

import re
import sys
import tarfile
import zipfile
from pathlib import Path

folder = Path(sys.argv[1])
(wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")

tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
foreign = {top for top in tops if top != "mnist_estimator" and not top.endswith(".dist-info")}
if foreign:
    sys.exit(f"the wheel holds more than the package: {sorted(foreign)}")
for needed in ("py.typed", "playground/page/index.html"):
    if f"mnist_estimator/{needed}" not in zipfile.ZipFile(wheel).namelist():
        sys.exit(f"the wheel lacks {needed}")

with tarfile.open(sdist) as archive:
    names = archive.getnames()
parts = {name.split("/")[1] for name in names if "/" in name}
missing = {"mnist_estimator", "tests", "docs", "pyproject.toml", "README.md", "LICENSE"} - parts
if missing:
    sys.exit(f"the sdist lacks {sorted(missing)}")
made = [
    name for name in names if re.search(r"/docs/(_build|gallery|reference)/|/node_modules/", name)
]
if made:
    sys.exit(f"the sdist holds what a build made: {made[:5]}")
