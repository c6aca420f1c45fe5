"""Says whether the Python that runs this is one that lingbot-live was tried on."""

import re
import sys
from pathlib import Path

TRIED = re.findall(
    r'"Programming Language :: Python :: 3\.(\d+)"',
    (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"),
)
oldest, newest = min(map(int, TRIED)), max(map(int, TRIED))
here = "Python %d.%d" % sys.version_info[:2]  # noqa: UP031 - an older Python must get this far

if sys.version_info < (3, oldest):
    sys.exit(f"lingbot-live: {here} is too old; make PYTHON=python3.{newest} takes another one")
if sys.version_info >= (3, newest + 1):
    print(
        f"lingbot-live: warning: {here} is newer than any that was tried (3.{oldest} to 3.{newest}); "
        f"if a package has no wheel for it, make clean, then make PYTHON=python3.{newest}",
        file=sys.stderr,
    )
