"""On which Pythons and systems the app was tried, and which SDKs are released for this one.

Both are said once, in pyproject.toml (classifiers, markers of the extras); this reads what the
installed package carries of it.
"""

from __future__ import annotations

import platform
import re
from importlib.metadata import metadata, requires

from packaging.markers import default_environment
from packaging.requirements import Requirement

_PYTHON = re.compile(r"Programming Language :: Python :: 3\.(\d+)")


def tried_pythons() -> list[int]:
    """Return the minor versions of the Pythons that the app was tried on, in order."""
    classifiers = metadata("lingbot-live").get_all("Classifier") or []
    return sorted(int(found[1]) for text in classifiers if (found := _PYTHON.fullmatch(text)))


def why_not_released(extra: str) -> tuple[str, str] | None:
    """Return why pip leaves the SDK of an extra out here and what to do, None if it does not."""
    if _installs(extra, platform.python_version_tuple()[1]):
        return None
    others = [minor for minor in tried_pythons() if _installs(extra, str(minor))]
    if others:
        here = ".".join(platform.python_version_tuple()[:2])
        return f"its SDK is not released for Python {here}", f"use Python 3.{others[-1]}"
    return (
        f"its SDK is not released for {platform.system()} on {platform.machine()}",
        "use this camera on Linux or Windows with an x86-64 processor",
    )


def _installs(extra: str, minor: str) -> bool:
    here: dict[str, str] = {**default_environment(), "extra": extra}  # type: ignore[dict-item]
    here |= {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.0"}
    wanted = [Requirement(text) for text in requires("lingbot-live") or []]
    mine = [one for one in wanted if one.marker and f'extra == "{extra}"' in str(one.marker)]
    # An extra of which nothing is known here is left to pip.
    return not mine or any(one.marker.evaluate(here) for one in mine if one.marker)
