"""A session refined again: every frame, without haste, into a new file."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lingbot_live.errors import CorruptRecordingError, RecordingError, RefinerError
from lingbot_live.recording.clock import Moment
from lingbot_live.recording.encode import encode_event, encode_refined
from lingbot_live.recording.format import SESSION, Event, Role, slug
from lingbot_live.recording.parts import Parts
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.repair import join
from lingbot_live.recording.state import RecorderOptions
from lingbot_live.recording.tracks import Track
from lingbot_live.refiners.base import Refiner
from lingbot_live.system.outputs import check_apart, is_ours
from lingbot_live.system.signals import at_once
from lingbot_live.system.writing import writing

_FLUSH_S = 1.0
_REFINED_ROLES = (
    Role.REFINED_DEPTH,
    Role.REFINED_RVL,
    Role.REFINED_MASK,
    Role.REFINED,
    Role.TRUST,
)

Progress = Callable[[int, int], None]  # frames done, frames in all
Done = set[tuple[str, int]]  # camera and time of frames


def refine_file(
    source: Path,
    out: Path,
    refiner: Refiner,
    exact: bool = False,
    on_progress: Progress = lambda done, total: None,
) -> int:
    """Refine every frame of ``source`` into the new file ``out``; return how many failed.

    Images are copied as they are, byte for byte; ``exact`` leaves refined depth unrounded. An
    interrupted call leaves ``OUT.part0.mcap`` and so on beside ``out``; the same call goes on
    from there, and joins them in the end. ``source`` is only read.

    Raises:
        RecordingError: ``out`` exists, ``source`` cannot be read, or the parts beside ``out``
            come from another source or refiner.
        RecordingError: the disk is full or fails; what is done is kept for the next call.
    """
    if out.exists():
        raise RecordingError(f"{out}: exists already; choose another name")
    check_apart(out, [source])
    if re.fullmatch(rf"{re.escape(out.stem)}\.part\d+{re.escape(out.suffix)}", source.name):
        raise RecordingError(
            f"{out}: {source} would be taken for a part of it; choose another name"
        )
    settings = {"source": str(source.resolve()), "refiner": str(refiner.info)}
    earlier, done = _earlier_parts(out, settings)
    part = _part_path(out, len(earlier))
    with writing(out, RecordingError, kept="what is refined is kept, and the same call goes on"):
        with Recording(source) as recording, _part(part, settings) as parts:
            run = _Run(recording, refiner, parts, done, exact)
            run.begin(with_events=not earlier)
            failed = run.frames(range(len(recording)), on_progress)
        join([*earlier, part], out)
        for path in (*earlier, part):
            path.unlink()
    return failed


def refine_rows(
    source: Path,
    out: Path,
    refiner: Refiner,
    settings: dict[str, str],
    rows: range,
    exact: bool,
    *,
    first: bool,
) -> None:
    """Refine some frames of a session into the new file ``out``; the first has the events too.

    Files of ranges one behind the other are as one of all frames, once they are joined.

    Raises:
        RecordingError: ``out`` exists or cannot be written, or ``source`` cannot be read.
    """
    with Recording(source) as recording, _part(out, settings) as parts:
        run = _Run(recording, refiner, parts, set(), exact)
        run.begin(with_events=first)
        run.frames(rows, lambda done, total: None)


@contextmanager
def _part(path: Path, settings: dict[str, str]) -> Iterator[Parts]:
    """Yield a new part, which is closed in the end, whole as far as the disk took it."""
    parts = Parts(path, RecorderOptions(), settings, 0)
    try:
        yield parts
    except OSError:
        parts.abort()
        raise
    except BaseException:
        parts.close()
        raise
    mishap = parts.close()
    if mishap is not None:
        raise RecordingError(mishap.text)


class _Run:
    """One call's work: from a recording, through a refiner, into a part."""

    def __init__(
        self, recording: Recording, refiner: Refiner, parts: Parts, done: Done, exact: bool
    ) -> None:
        self._recording, self._refiner, self._parts = recording, refiner, parts
        self._done, self._exact = done, exact
        self._names: dict[str, str] = {}

    def begin(self, with_events: bool) -> None:
        """Fix the channels' numbers, the same in every part, so that parts can be joined."""
        for name, track in self._recording.tracks.items():
            self._names[name] = slug(name, self._names.values())
            first_ns = int(track.times_ns[0])
            roles = (Role.CAMERA, *track.roles, *_REFINED_ROLES)
            self._parts.announce(name, self._names[name], first_ns, roles)
        self._parts.announce_common()
        if with_events:
            text = str(self._refiner.info)
            self._put_event(Event(self._recording.start_ns, "refiner", text=text))
        for event in self._recording.events if with_events else ():
            if event.kind != "refiner" and not event.text.startswith("not refined"):
                self._put_event(event)

    def frames(self, rows: range, on_progress: Progress) -> int:
        """Refine what of these is not done yet; return how many frames failed."""
        total, failed = len(self._recording), 0
        flushed_s = time.monotonic()
        for number in rows:
            track, row = self._recording.locate(number)
            if (track.name, int(track.times_ns[row])) not in self._done:
                failed += not self._one_frame(track, row)
            if time.monotonic() - flushed_s > _FLUSH_S:
                self._parts.flush()
                flushed_s = time.monotonic()
            on_progress(number + 1, total)
        return failed

    def _one_frame(self, track: Track, row: int) -> bool:
        time_ns = int(track.times_ns[row])
        moment = Moment(time_ns, time_ns)
        name = self._names[track.name]
        try:
            frame, messages = track.frame(row), track.messages(row, name)
        except CorruptRecordingError:
            self._put_event(Event(time_ns, "drop", track.name, "not recorded: damaged", 1))
            return False
        try:
            with at_once():
                refined = self._refiner.refine(frame)
            messages += encode_refined(refined, name, time_ns, self._exact)
        except RefinerError:
            self._put_event(Event(time_ns, "drop", track.name, "not refined: refiner failed", 1))
            refined = None
        self._parts.describe(track.name, name, moment, track.info, frame.calibration)
        self._parts.write(track.name, moment, time_ns, frame.index, messages)
        return refined is not None

    def _put_event(self, event: Event) -> None:
        moment = Moment(event.time_ns, event.time_ns)
        self._parts.write("", moment, event.time_ns, 0, encode_event(event))


def _part_path(out: Path, number: int) -> Path:
    return out.with_name(f"{out.stem}.part{number}{out.suffix}")


def _earlier_parts(out: Path, settings: dict[str, str]) -> tuple[list[Path], Done]:
    """Return the parts that interrupted calls left, and the frames in them."""
    paths: list[Path] = []
    done: Done = set()
    while (path := _part_path(out, len(paths))).exists():
        try:
            with Recording(path) as part:
                if part.metadata.get(f"{SESSION}.settings") != settings:
                    raise RecordingError(
                        f"{path}: begun from another recording or with another refiner; "
                        "delete it to begin anew"
                    )
                for name, track in part.tracks.items():
                    done |= {(name, int(time_ns)) for time_ns in track.times_ns}
        except CorruptRecordingError:  # interrupted before its first frame
            if path.stat().st_size and not is_ours(path):
                raise RecordingError(f"{path}: this app did not write it; move it away") from None
            path.unlink()
            break
        paths.append(path)
    return paths, done
