"""Says whether the Python that runs this is one that lingbot-live was tried on."""

import re
import sys
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
TRIED = [
    int(minor)
    for minor in re.findall(r'"Programming Language :: Python :: 3\.(\d+)"', PROJECT.read_text())
]
HERE = f"lingbot-live: Python {sys.version_info[0]}.{sys.version_info[1]}"

if sys.version_info < (3, min(TRIED)):
    sys.exit(f"{HERE} is too old: make PYTHON=python3.{max(TRIED)} takes another one")
if sys.version_info >= (3, max(TRIED) + 1):
    sys.stderr.write(
        f"{HERE} is newer than any that was tried (3.{min(TRIED)} to 3.{max(TRIED)}). If a package "
        f"has no wheel for it: make clean, then make PYTHON=python3.{max(TRIED)}\n"
    )
