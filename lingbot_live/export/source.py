"""Where an export's frames come from: session files by random access, all else as a camera."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import Camera, CameraInfo
from lingbot_live.cameras.places import split_target
from lingbot_live.cameras.readings import OFFLINE, frame_count, readings
from lingbot_live.errors import CorruptRecordingError, ExportError, LingbotLiveError
from lingbot_live.frame import Frame, RecordedDepth
from lingbot_live.recording.foreign import Topics
from lingbot_live.recording.format import SESSION
from lingbot_live.recording.mcap.places import Times
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.tracks import Track

Numbered = tuple[int, Frame | LingbotLiveError]  # place in the recording, and what was there


@dataclass(frozen=True, slots=True)
class Span:
    """Which frames: from ``first`` on, before ``end``, each ``step``-th."""

    first: int = 0
    end: int | None = None
    step: int = 1

    @classmethod
    def parse(cls, text: str) -> Span:
        """Read ``a:b:c`` as Python's slices, without negative numbers; ``7`` is one frame.

        Raises:
            ExportError: it is not written so.
        """
        parts = [part.strip() for part in text.split(":")]
        if len(parts) > 3 or not all(part == "" or part.isdecimal() for part in parts):
            raise ExportError(f"frames {text!r}: write FIRST:END:STEP, such as 0:300:10, or 7")
        if len(parts) == 1 and parts[0]:
            return cls(int(parts[0]), int(parts[0]) + 1)
        first, end, step = (int(part) if part else None for part in (*parts, "", "")[:3])
        span = cls(first or 0, end, 1 if step is None else step)
        if span.step < 1 or (end is not None and end <= span.first):
            raise ExportError(f"frames {text!r}: no frame lies in it; write FIRST:END:STEP")
        return span

    def count(self, total: int | None) -> int | None:
        """Return how many frames of ``total`` it takes; None if that cannot be known."""
        end = self.end if total is None else min(total, self.end or total)
        return None if end is None else len(range(self.first, end, self.step))


class FrameSource(ABC):
    """One camera of the input."""

    def __init__(
        self, name: str, info: CameraInfo, total: int | None, has_refined: bool = False
    ) -> None:
        self.name, self.info, self.total = name, info, total
        self.has_refined = has_refined
        self.remarks: tuple[str, ...] = ()  # what was assumed of the input
        self.recorded: Mapping[str, str] = {}  # what the recorder was set to

    @property
    def times_ns(self) -> Times | None:
        """(N,) times of all frames since 1970, where any can be had; None where they only come."""
        return None

    def frame(self, row: int) -> Frame:
        """Return a frame whose time is known, with its refined depth. Raises RecordingError."""
        raise NotImplementedError(f"{self.name}: its frames come in order")

    @abstractmethod
    def frames(self, span: Span) -> Iterator[Numbered]:
        """Yield the frames of a span, in order, with their numbers."""

    @property
    def damage(self) -> tuple[str, ...]:
        """What was found damaged in the input so far, in words."""
        return ()


@contextmanager
def open_sources(
    address: str, camera: str = "", *, extras: bool = True
) -> Iterator[list[FrameSource]]:
    """Open a session (all its cameras, or the one named) or any camera address.

    ``extras``: of a camera its further pictures, too.

    Raises:
        CameraError, RecordingError: it cannot be opened.
        ExportError: it has no camera of this name.
    """
    with ExitStack() as stack:
        info = registry.find_camera(address)
        if info.driver == "session":
            path, named = split_target(info.target)
            wanted = named or camera
            recording = stack.enter_context(Recording(path, Topics.parse(wanted)))
            tracks = [recording.track(wanted)] if wanted else list(recording.tracks.values())
            yield [_SessionSource(track, info, recording) for track in tracks]
            return
        if camera not in ("", info.address, info.target, info.name):
            raise ExportError(f"{address}: its only camera is {info.address}; leave --camera out")
        opened = registry.driver(info.driver).create(info, replace(OFFLINE, extras=extras))
        yield [_CameraSource(stack.enter_context(opened))]


class _SessionSource(FrameSource):
    def __init__(self, track: Track, info: CameraInfo, recording: Recording) -> None:
        known = track.info or replace(info, recorded=None)
        super().__init__(track.name, known, len(track), len(track.refined_times_ns) > 0)
        self._track, self._recording = track, recording
        self.remarks = track.remarks
        self.recorded = recording.metadata.get(f"{SESSION}.settings", {})

    @property
    def times_ns(self) -> Times:
        return self._track.times_ns

    def frame(self, row: int) -> Frame:
        return _with_refined(self._track, row)

    def frames(self, span: Span) -> Iterator[Numbered]:
        for row in range(len(self._track))[span.first : span.end : span.step]:
            try:
                yield row, _with_refined(self._track, row)
            except LingbotLiveError as error:
                yield row, error

    @property
    def damage(self) -> tuple[str, ...]:
        """What was found damaged in the file so far."""
        return self._recording.damage


class _CameraSource(FrameSource):
    def __init__(self, camera: Camera) -> None:
        super().__init__(camera.info.address, camera.info, frame_count(camera))
        self._camera = camera

    def frames(self, span: Span) -> Iterator[Numbered]:
        is_endless = not self.info.is_recording
        if is_endless and span.end is None:
            raise ExportError(f"{self.name}: has no end, so say how many frames: --frames 0:N")
        unsaid: Numbered | None = None
        for number, item in islice(enumerate(readings(self._camera)), span.end):
            is_due = number >= span.first and (number - span.first) % span.step == 0
            if is_due:
                yield number, item
            unsaid = (number, item) if isinstance(item, LingbotLiveError) and not is_due else None
        if unsaid is not None:  # what ended the reading fell between the frames that were due
            yield unsaid


def _with_refined(track: Track, row: int) -> Frame:
    frame = track.frame(row)
    try:
        refined = track.refined_of(frame, row)
    except CorruptRecordingError:  # the frame itself is whole; the file's damage is told
        return frame
    if refined is None:
        return frame
    known = RecordedDepth(refined.depth_m, refined.mask, refined.refiner, refined.trust)
    return replace(frame, recorded=known)
