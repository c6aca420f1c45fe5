"""Files that others wrote, read with care: what is no file, what is too long, what is too deep."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_PIXELS = 1 << 24  # of a picture; of the largest camera, 4096x3072, there are 1.3 in it
MOST_TEXT = 64 << 20  # bytes; a list of images for days has less
_LONGEST_NUMBER = 400  # digits; a float has 309 before its point


def refuse_special(path: Path | str) -> None:
    """Raise OSError for a pipe, a device or a socket, which may never end, before it is opened."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return  # opening it says why
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kind = "a pipe" if stat.S_ISFIFO(mode) else "a device or a socket"
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))


def read_text(path: Path) -> str:
    """Return a text file's content, UTF-8.

    Raises:
        OSError: it cannot be read, is no file, or far too long to be a text.
        UnicodeDecodeError: it is no text.
    """
    refuse_special(path)
    with path.open("rb") as file:
        data = file.read(MOST_TEXT + 1)
    if len(data) > MOST_TEXT:
        raise OSError(errno.EFBIG, f"it is longer than {MOST_TEXT >> 20} MB", str(path))
    return data.decode("utf-8")


def from_json(text: str) -> Any:
    """Return JSON's value; ValueError where it is none, too deep, or has numbers that are none."""
    try:
        return json.loads(text, parse_constant=_no_number, parse_int=_whole, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def from_toml(text: str) -> dict[str, Any]:
    """Return TOML's table; ValueError where it is none or too deep."""
    try:
        found: dict[str, Any] = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if abs(value) == float("inf"):
        raise ValueError(f"{text[:20]} is too large")
    return value


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:  # Python before 3.11 takes a minute for a million digits
        raise ValueError(f"{text[:20]}... is too large")
    return int(text)
