"""Lists of images with their times: TUM's ``rgb.txt``, ``depth.txt``, ``associations.txt``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from drivers.folder.lens import read_text
from drivers.folder.stamps import Times, parse_stamps
from lingbot_live.errors import BadRecordingError

_MOST_SKEW_NS = 20_000_000


def read_list(path: Path) -> tuple[Times, list[Path]]:
    """Return stamps in nanoseconds and images of lines ``stamp path``, in order of time.

    Raises:
        BadRecordingError: a line is not written so.
    """
    stamps, names = [], []
    for number, line in _lines(path):
        try:
            stamp, name = line.split(maxsplit=1)
            parse_stamps([stamp])
        except ValueError:
            raise _wrong(path, number, line, "timestamp path") from None
        stamps.append(stamp)
        names.append(path.parent / name.strip())
    times_ns = parse_stamps(stamps)
    order = np.argsort(times_ns, kind="stable")
    return times_ns[order], [names[i] for i in order]


def read_associations(path: Path) -> tuple[Times, list[Path], list[Path]]:
    """Return depth's stamps, colour and depth of lines ``stamp path stamp path``, either first.

    Raises:
        BadRecordingError: a line is not written so.
    """
    stamps, colors, depths = [], [], []
    for number, line in _lines(path):
        try:
            first_stamp, first, second_stamp, second = line.split()
            parse_stamps([first_stamp, second_stamp])
        except ValueError:
            raise _wrong(path, number, line, "timestamp path timestamp path") from None
        depth_first = "depth" in first.lower()
        stamps.append(first_stamp if depth_first else second_stamp)
        depths.append(path.parent / (first if depth_first else second))
        colors.append(path.parent / (second if depth_first else first))
    times_ns = parse_stamps(stamps)
    order = np.argsort(times_ns, kind="stable")
    return times_ns[order], [colors[i] for i in order], [depths[i] for i in order]


def associated(color_ns: Times, depth_ns: Times) -> list[tuple[int, int]]:
    """Pair stamps within 20 ms, nearest first, each used once: indices into both, by time."""
    first = np.searchsorted(depth_ns, color_ns - _MOST_SKEW_NS, "left")
    last = np.searchsorted(depth_ns, color_ns + _MOST_SKEW_NS, "right")
    near = np.array(
        [(c, d) for c in range(len(color_ns)) for d in range(first[c], last[c])], np.intp
    ).reshape(-1, 2)
    order = np.argsort(np.abs(color_ns[near[:, 0]] - depth_ns[near[:, 1]]), kind="stable")
    pairs: dict[int, int] = {}
    used: set[int] = set()
    for c, d in near[order].tolist():
        if c not in pairs and d not in used:
            pairs[c] = d
            used.add(d)
    return sorted(pairs.items())


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line


def _wrong(path: Path, number: int, line: str, needed: str) -> BadRecordingError:
    return BadRecordingError(f"{path}: line {number} is {line[:40]!r}; `{needed}` is needed")
