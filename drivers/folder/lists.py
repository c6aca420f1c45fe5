"""Lists of images with their times: TUM's ``rgb.txt``, ``depth.txt``, ``associations.txt``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from drivers.folder.lens import read_text
from drivers.folder.stamps import Times, parse_stamps
from lingbot_live.errors import BadRecordingError

_MOST_SKEW_NS = 20_000_000
_NEIGHBOURS = 8  # on either side: 400 images a second within the skew
ALLOW_OUTSIDE = "LINGBOT_LIVE_ALLOW_OUTSIDE"  # set by the option --allow-outside


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
    _check_inside(path, names)
    times_ns = _times(path, stamps)
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
    _check_inside(path, colors + depths)
    times_ns = _times(path, stamps)
    order = np.argsort(times_ns, kind="stable")
    return times_ns[order], [colors[i] for i in order], [depths[i] for i in order]


def associated(color_ns: Times, depth_ns: Times) -> list[tuple[int, int]]:
    """Pair stamps within 20 ms, nearest first, each used once: indices into both, by time."""
    # Neighbours by rank, not all within reach: of n equal stamps those would be n * n.
    ranks = np.searchsorted(depth_ns, color_ns)
    beside = np.add.outer(ranks, np.arange(-_NEIGHBOURS, _NEIGHBOURS)).ravel()
    near = np.stack((np.repeat(np.arange(len(color_ns)), 2 * _NEIGHBOURS), beside), axis=1)
    near = near[(beside >= 0) & (beside < len(depth_ns))]
    away_ns = np.abs(color_ns[near[:, 0]] - depth_ns[near[:, 1]])
    near, away_ns = near[away_ns <= _MOST_SKEW_NS], away_ns[away_ns <= _MOST_SKEW_NS]
    order = np.argsort(away_ns, kind="stable")
    pairs: dict[int, int] = {}
    used: set[int] = set()
    for c, d in near[order].tolist():
        if c not in pairs and d not in used:
            pairs[c] = d
            used.add(d)
    return sorted(pairs.items())


def _times(path: Path, stamps: list[str]) -> Times:
    try:
        return parse_stamps(stamps)
    except ValueError as error:
        raise BadRecordingError(f"{path}: a time stamp is {error}; correct the list") from error


def _check_inside(listing: Path, images: list[Path]) -> None:
    """Refuse a list of images that names files elsewhere on the disk."""
    if os.environ.get(ALLOW_OUTSIDE):
        return
    home = listing.parent.resolve()
    folders = {image.parent: image for image in images}
    for image in (*folders.values(), *(image for image in images if image.is_symlink())):
        if not image.resolve().is_relative_to(home):
            raise BadRecordingError(
                f"{listing}: it names {image}, which lies outside of its folder; "
                "if that is meant, add --allow-outside"
            )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line


def _wrong(path: Path, number: int, line: str, needed: str) -> BadRecordingError:
    return BadRecordingError(f"{path}: line {number} is {line[:40]!r}; `{needed}` is needed")
