"""All cameras of a session at the same time, for formats that hold them together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lingbot_live.cameras.playtime import LONG_GAP_S
from lingbot_live.errors import ExportError, LingbotLiveError
from lingbot_live.export.source import FrameSource, Span
from lingbot_live.frame import Frame
from lingbot_live.recording.mcap.places import Times

_APART_S = 0.1  # at most, of frames that are of one moment


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What cameras saw at a time; ``frames`` by the place of their source, those that saw it."""

    number: int
    time_s: float  # since the first
    is_first: bool  # of the recording, or behind a long gap
    frames: dict[int, Frame]
    left_out: int = 0  # frames that could not be read


class JointWriter(Protocol):
    """As `lingbot_live.export.shot.Writer`, for all cameras together."""

    def add(self, moment: Moment) -> None:
        """Take the next moment. Raises OSError or ExportError if it cannot be written."""

    def finish(self) -> list[str]:
        """Write what is left after the last moment; return remarks for the user."""

    def close(self) -> None:
        """Let go of all files; called once in any case, must not raise."""


def rate_of(source: FrameSource) -> float:
    """Return a source's frames a second, as its times or its driver say; 30 where none does."""
    times_ns = source.times_ns
    if times_ns is not None and len(times_ns) > 1:
        return float(np.clip(round(1e9 / float(np.median(np.diff(times_ns)))), 1, 240))
    return next((float(p.fps) for p in source.info.profiles if p.fps), 30.0)


def moments(sources: list[FrameSource], span: Span, fps: float | None) -> Iterator[Moment]:
    """Yield moments at a steady rate, or without one at each frame of the first camera.

    At a steady rate a moment shows the frame nearest in time, so one may come twice or not at
    all. Rate and span count frames of the first camera; gaps of more than 5 s are left out.

    Raises:
        ExportError: several cameras, and no times by which their frames belong together.
    """
    lead = sources[0].times_ns
    if lead is None:
        if len(sources) > 1:
            raise ExportError("only a session says which frames of several cameras are of one time")
        yield from _in_order(sources[0], span, fps or 30.0)
        return
    chosen = lead[span.first : span.end : span.step]
    last: dict[int, tuple[int, Frame]] = {}
    for number, (time_ns, is_first) in enumerate(_due(chosen, fps)):
        frames, left_out = {}, 0
        for place, source in enumerate(sources):
            row = _nearest(source.times_ns, time_ns, _APART_S if place else LONG_GAP_S)
            if row is None:
                continue
            if last.get(place, (-1, None))[0] != row:
                try:
                    last[place] = row, source.frame(row)
                except LingbotLiveError:
                    left_out += 1
            if place in last:
                frames[place] = last[place][1]
        yield Moment(number, (time_ns - int(chosen[0])) / 1e9, is_first, frames, left_out)


def check_together(sources: Sequence[FrameSource]) -> None:
    """Raise ExportError where frames of one lie wholly before or behind those of the first."""
    lead, most_ns = sources[0].times_ns, round(_APART_S * 1e9)
    for source in sources[1:]:
        own = source.times_ns
        if lead is None or own is None:
            continue
        if own[-1] < lead[0] - most_ns or own[0] > lead[-1] + most_ns:
            raise not_together(source.name, sources[0].name)


def not_together(name: str, lead: str) -> ExportError:
    """Return the error that says so of two cameras."""
    return ExportError(
        f"{name}: by its stamps none of its frames is of one time with those of {lead}; record "
        "both together"
    )


def _due(times_ns: Times, fps: float | None) -> Iterator[tuple[int, bool]]:
    """Yield the times of moments, and whether a moment is the first behind a gap."""
    ends = np.flatnonzero(np.diff(times_ns) > LONG_GAP_S * 1e9)
    firsts = [0, *(ends + 1).tolist(), len(times_ns)]
    for first, end in itertools.pairwise(firsts):
        if fps is None:
            yield from ((int(times_ns[row]), row == first) for row in range(first, end))
            continue
        start_ns = int(times_ns[first])
        for tick in range(int((int(times_ns[end - 1]) - start_ns) * fps / 1e9 + 0.5) + 1):
            yield start_ns + round(tick / fps * 1e9), tick == 0


def _nearest(times_ns: Times | None, time_ns: int, most_s: float) -> int | None:
    if times_ns is None or not len(times_ns):
        return None
    after = int(np.searchsorted(times_ns, time_ns))
    rows = [row for row in (after - 1, after) if 0 <= row < len(times_ns)]
    best = min(rows, key=lambda row: abs(int(times_ns[row]) - time_ns))
    return best if abs(int(times_ns[best]) - time_ns) <= most_s * 1e9 else None


def _in_order(source: FrameSource, span: Span, fps: float) -> Iterator[Moment]:
    number, left_out = 0, 0
    for _, item in source.frames(span):
        if isinstance(item, LingbotLiveError):
            left_out += 1
            continue
        yield Moment(number, number / fps, number == 0, {0: item}, left_out)
        number, left_out = number + 1, 0
