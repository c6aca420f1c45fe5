"""Joins what pytest and bench left: ``python gpu_report.py OUT.json TESTS.xml BENCH.json``.

A part that is missing, as its program was stopped, is null.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree


def tests(path: Path) -> dict[str, Any] | None:
    """Return counts and, by name, what became of each test."""
    if not path.is_file():
        return None
    cases = {}
    for case in ElementTree.parse(path).iter("testcase"):
        found = next(
            (child for child in case if child.tag in ("failure", "error", "skipped")), None
        )
        told = {"result": "passed" if found is None else found.tag, "seconds": case.get("time")}
        if found is not None:
            told["why"] = (found.get("message") or "")[:2000]
        cases[f"{case.get('classname')}::{case.get('name')}"] = told
    results = [told["result"] for told in cases.values()]
    return {**{kind: results.count(kind) for kind in sorted({*results})}, "cases": cases}


def versions() -> dict[str, str]:
    """Return what it ran with."""
    import numpy
    import torch

    told = {"python": platform.python_version(), "numpy": numpy.__version__}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {**told, "torch": torch.__version__, "cuda": str(torch.version.cuda), "device": device}


def main(out: str, junit: str, bench: str) -> None:
    """Write the JSON."""
    told = Path(bench)
    data = {
        "versions": versions(),
        "tests": tests(Path(junit)),
        "bench": json.loads(told.read_text()) if told.is_file() else None,
    }
    Path(out).write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
