"""Which files are recordings of ROS and rosbag2, and which of them are one; by their names."""

from __future__ import annotations

import re
from pathlib import Path

from lingbot_live.errors import RecordingError

MCAP, SQLITE, BAG = ".mcap", ".db3", ".bag"
METADATA = "metadata.yaml"  # which rosbag2 writes beside its files when it ends
PACKED = (".zstd", ".zst")  # of files packed whole
SUFFIXES = (MCAP, SQLITE, BAG, *PACKED)


def holds_recording(path: Path) -> bool:
    """Whether a path is that of such a file or folder, judged by names."""
    return is_bag_folder(path) if path.is_dir() else kind(path) in (MCAP, SQLITE, BAG)


def is_bag_folder(path: Path) -> bool:
    """Whether this is a folder that rosbag2 recorded into, whole or not."""
    return path.is_dir() and bool(bag_files(path))


def bag_files(folder: Path) -> list[Path]:
    """Return the parts of one recording in a folder, in order; none where it is no such folder.

    rosbag2 numbers them; its `METADATA` is not asked, since it is missing after a crash and wrong
    after files were renamed. Without it they must be parts of one name.
    """
    files = sorted((f for f in folder.iterdir() if kind(f) in (MCAP, SQLITE)), key=_part)
    names = {_part(file)[0] for file in files}
    return files if len(names) == 1 or (folder / METADATA).exists() else []


def resolve(path: Path) -> list[Path]:
    """Return the files of a recording: itself, or those in its folder.

    Raises:
        RecordingError: the folder holds no recording, or several.
    """
    if not path.is_dir():
        return [path]
    files = bag_files(path)
    if not files:
        there = ", ".join(sorted(f.name for f in path.iterdir() if kind(f) in SUFFIXES)[:5])
        raise RecordingError(
            f"{path}: the folder holds " + (f"several recordings, name one: {there}" if there
            else "no .mcap or .db3 file of rosbag2; name a recording")
        )  # fmt: skip
    return files


def kind(path: Path) -> str:
    """Return the suffix of what is in a file, packed or not."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in PACKED else suffix


def _part(path: Path) -> tuple[str, int, str]:
    """Split ``name_12.mcap`` into the recording's name and the part's number."""
    bare = path.name.split(".mcap")[0].split(".db3")[0]
    found = re.fullmatch(r"(.*)_(\d+)", bare)
    return (found[1], int(found[2]), path.name) if found else (bare, 0, path.name)
