"""Print the oldest supported releases, as pyproject.toml states them, as pip constraints."""

import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
for requirement in [*project["dependencies"], *project["optional-dependencies"]["test"]]:
    name, floor = requirement.split(">=")
    print(f"{name}=={floor}")
# Not ours: matplotlib 3.9 uses names that later releases of pyparsing warn of.
print("pyparsing<3.2")
# Nor ours: typer 0.12 uses names that later releases of click warn of.
print("click<8.2")
# Nor ours: zarr 2.18 uses a name that numcodecs 0.16 no longer has.
print("numcodecs<0.16")
