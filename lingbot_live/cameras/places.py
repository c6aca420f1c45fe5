"""Recordings that an address names: a path, and behind a # one of its cameras."""

from __future__ import annotations

from pathlib import Path

from lingbot_live.system.outputs import local_path

_SUFFIX = ".mcap#"  # where a path ends that is not there


def split_target(target: str) -> tuple[Path, str]:
    """Return path and camera of ``PATH#CAMERA``; a path that is there may itself hold a #."""
    whole = local_path(target)
    if whole.exists():
        return whole, ""
    for place in reversed([place for place, sign in enumerate(target) if sign == "#"]):
        path = local_path(target[:place])
        if path.exists():
            return path, target[place + 1 :]
    name, found, camera = target.partition(_SUFFIX)
    return (local_path(name + _SUFFIX[:-1]), camera) if found else (whole, "")
