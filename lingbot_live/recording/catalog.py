"""All sessions below a folder as one table: a Parquet file that is brought up to date.

A row is a camera of a session. Parquet by pyarrow, not a database: it is one file that replaces
itself whole, needs no server and no lock, DuckDB, pandas and Polars read it as it lies, and
pyarrow comes with other exports anyway.
"""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lingbot_live.cameras.previews import shrink
from lingbot_live.errors import LingbotLiveError, RecordingError
from lingbot_live.frame import ColorImage
from lingbot_live.quality.measures import fill_share
from lingbot_live.quality.meter import change_numbers
from lingbot_live.recording.encode import encode_jpeg
from lingbot_live.recording.format import SESSION
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.tracks import Track
from lingbot_live.system.outputs import MARK
from lingbot_live.system.scratch import scratch_folder
from lingbot_live.system.writing import writing

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

NAME = "sessions.parquet"
INSTALL = 'pip install "lingbot-live[learning]"'
_SUFFIX = ".mcap"
_LOOKED_AT = 5  # frames, for the quality numbers
_JPEG = 80
_CHANGES = ("kept", "changed", "filled")

Progress = Callable[[int, int], None]  # sessions looked at, sessions in all
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Catalog:
    """What an update found."""

    path: Path
    sessions: int
    rows: int
    read_anew: int  # sessions that are new or changed
    gone: int
    unreadable: tuple[str, ...]  # in words


def update(
    folder: Path, out: Path | None = None, on_progress: Progress = lambda done, total: None
) -> Catalog:
    """Bring the table of all sessions below ``folder`` up to date, and return what was found.

    Only files that are new, or of another size or time than in the table, are read. ``out`` is
    ``folder / NAME`` unless given.

    Raises:
        RecordingError: no such folder, or the table cannot be written.
    """
    check_available()
    folder = folder.expanduser()
    if not folder.is_dir():
        raise RecordingError(f"{folder}: no such folder; check the path")
    out = out or folder / NAME
    known = _known(out)
    found = (path.relative_to(folder) for path in folder.rglob(f"*{_SUFFIX}") if path.is_file())
    files = [folder / name for name in sorted(found) if not _is_hidden(name)]
    rows: list[Row] = []
    anew, unreadable = 0, []
    for number, file in enumerate(files):
        on_progress(number, len(files))
        name, stat = file.relative_to(folder).as_posix(), file.stat()
        old = known.get((name, stat.st_size, stat.st_mtime_ns))
        if old is None:
            anew += 1
            old = list(_rows_of(file, name))
        unreadable += [f"{name}: {row['error']}" for row in old if row["error"]]
        rows += old
    on_progress(len(files), len(files))
    names = {file.relative_to(folder).as_posix() for file in files}
    gone = len({name for name, _, _ in known} - names)
    if anew or gone or not out.exists():
        _write(out, rows)
    return Catalog(out, len(files), len(rows), anew, gone, tuple(unreadable))


def read(path: Path) -> list[Row]:
    """Return the rows of a table.

    Raises:
        RecordingError: it is none of `update`.
    """
    check_available()
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        if not set(_schema().names) <= set(table.column_names):
            raise RecordingError(f"{path}: it is no table of sessions; make it by `index`")
        rows: list[Row] = table.to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise RecordingError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    return rows


def check_available() -> None:
    """Raise RecordingError with what to install where pyarrow is missing."""
    if importlib.util.find_spec("pyarrow") is None:
        raise RecordingError(f"index needs pyarrow, which is not installed. Run: {INSTALL}")


# ---- one session -----------------------------------------------------------------------------


def _rows_of(file: Path, name: str) -> Iterator[Row]:
    stat = file.stat()
    row: Row = dict.fromkeys(_schema().names)
    row |= {"session": name, "bytes": stat.st_size, "modified_ns": stat.st_mtime_ns, "error": ""}
    try:
        with Recording(file) as recording:
            for track in recording.tracks.values():
                yield row | _session(recording) | _camera(recording, track)
    except (LingbotLiveError, OSError) as error:
        log.info("%s: %s", file, error)
        yield row | {"error": " ".join(str(error).split())}


def _session(recording: Recording) -> Row:
    events = recording.events
    about = recording.metadata.get(SESSION, {})
    return {
        "start_ns": recording.start_ns,
        "duration_s": recording.duration_s,
        "made_by": about.get("version", ""),
        "settings": json.dumps(recording.metadata.get(f"{SESSION}.settings", {})),
        "refiners": ", ".join(dict.fromkeys(e.text for e in events if e.kind == "refiner")),
        "markers": sum(event.kind == "marker" for event in events),
        "damage": "; ".join(recording.damage),
    }


def _camera(recording: Recording, track: Track) -> Row:
    steps_ns = np.diff(track.times_ns)
    info = track.info
    drops = sum(e.count for e in recording.events if e.kind == "drop" and e.camera == track.name)
    return {
        "camera": track.name,
        "name": info.name if info else "",
        "serial": info.serial if info else "",
        "frames": len(track),
        "refined": len(track.refined_times_ns),
        "fps": 1e9 / float(np.median(steps_ns)) if len(steps_ns) else 0.0,
        "imu": len(track.imu_times_ns),
        "drops": drops,
        **_quality(track),
    }


def _quality(track: Track) -> Row:
    """Return the means over a few frames, and the picture of the middle one."""
    rows = np.unique(np.linspace(0, len(track) - 1, _LOOKED_AT).round().astype(int))
    numbers: dict[str, list[float]] = {}
    size, picture = (0, 0), b""
    for row in rows:
        try:
            frame = track.frame(int(row))
            refined = track.refined_of(frame, int(row))
        except LingbotLiveError as error:
            log.info("%s: frame %d passed over: %s", track.name, row, error)
            continue
        valid = frame.depth_m[frame.depth_m > 0]
        found = {"raw_fill": fill_share(frame.depth_m)}
        if valid.size:
            found["median_depth_m"] = float(np.median(valid))
        if refined is not None:
            found["refined_fill"] = fill_share(refined.depth_m)
            changes = change_numbers(refined, stride=2)
            found |= {name: changes[f"{name}_share"] for name in _CHANGES}
        for name, value in found.items():
            numbers.setdefault(name, []).append(float(value))
        size = frame.color.shape[1], frame.color.shape[0]
        picture = picture if picture and row > rows[len(rows) // 2] else _thumbnail(frame.color)
    means = {name: float(np.mean(values)) for name, values in numbers.items()}
    return {"width": size[0], "height": size[1], "thumbnail": picture, **means}


def _thumbnail(color: ColorImage) -> bytes:
    return encode_jpeg(shrink(color), _JPEG)


# ---- the table -------------------------------------------------------------------------------


def _schema() -> pa.Schema:
    import pyarrow as pa

    text, whole, real = pa.string(), pa.int64(), pa.float64()
    kinds = {
        "session": text, "camera": text, "name": text, "serial": text,
        "start_ns": whole, "duration_s": real, "frames": whole, "refined": whole, "fps": real,
        "width": whole, "height": whole, "imu": whole, "drops": whole, "markers": whole,
        "raw_fill": real, "refined_fill": real, "kept": real, "changed": real, "filled": real,
        "median_depth_m": real, "refiners": text, "settings": text, "made_by": text,
        "bytes": whole, "modified_ns": whole, "damage": text, "error": text,
        "thumbnail": pa.binary(),
    }  # fmt: skip
    return pa.schema([pa.field(name, kind) for name, kind in kinds.items()], {"app": MARK})


def _known(out: Path) -> dict[tuple[str, int, int], list[Row]]:
    """Return the rows of an earlier table by file, size and time; none where it is no such table.

    Raises:
        RecordingError: something else stands there.
    """
    if not out.exists():
        return {}
    found: dict[tuple[str, int, int], list[Row]] = {}
    for row in read(out):
        found.setdefault((row["session"], row["bytes"], row["modified_ns"]), []).append(row)
    return found


def _write(out: Path, rows: list[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(rows, schema=_schema())
    with writing(out, RecordingError), scratch_folder(out) as work:
        pq.write_table(table, work / out.name, compression="zstd")
        (work / out.name).replace(out)


def _is_hidden(name: Path) -> bool:
    """Whether a file is still being written, or put aside: it lies in a hidden folder."""
    return any(part.startswith(".") for part in name.parts)
