"""Which files of tracks there are, by how their names end."""

from __future__ import annotations

from pathlib import Path

from lingbot_live.errors import ConfigError
from lingbot_live.export.track_picture import PictureTracks
from lingbot_live.export.tracks import CsvTracks, NpzTracks, RerunTracks, SessionTracks, TrackFile

KINDS: dict[str, type[TrackFile]] = {
    ".csv": CsvTracks,
    ".npz": NpzTracks,
    ".mcap": SessionTracks,
    ".rrd": RerunTracks,
    ".png": PictureTracks,
}


def check_track_files(paths: list[Path]) -> None:
    """Raise ConfigError where a name says no known kind, twice the same, or is taken."""
    for path in paths:
        if path.suffix.lower() not in KINDS:
            known = ", ".join(f"FILE{suffix}" for suffix in KINDS)
            raise ConfigError(f"{path}: name one of {known}")
        if path.exists():
            raise ConfigError(f"{path}: exists already; choose another name")
    if len({path.suffix.lower() for path in paths}) != len(paths):
        raise ConfigError("track: one output of each kind")
