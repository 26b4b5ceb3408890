"""Fail if a test was skipped that continuous integration has to run.

A test may skip only for a reason that starts with one of `ALLOWED`.
"""

import sys
from xml.etree import ElementTree

ALLOWED = ("SCIPY_ARRAY_API is not set",)  # a check of scikit-learn's own, for array API inputs

skipped = [
    (case.get("classname"), case.get("name"), node.get("message") or "")
    for case in ElementTree.parse(sys.argv[1]).iter("testcase")
    for node in case.findall("skipped")
    if node.get("type") != "pytest.xfail"
]
refused = [row for row in skipped if not row[2].startswith(ALLOWED)]
for place, name, reason in refused:
    print(f"skipped in CI: {place}::{name}: {reason}")
sys.exit(bool(refused))
