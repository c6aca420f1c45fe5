"""Points of one or several cameras followed through a recording: what files of tracks are made of.

with open_sources("take.mcap") as sources:
    for moment in Following(start, refiner, [LucasKanade()]).moments(sources, 100):
        ...
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from lingbot_live.calibration.pairing import Pairing, stamp_s
from lingbot_live.errors import BadFrameError, CorruptRecordingError, LingbotLiveError
from lingbot_live.export.moments import check_together, moments, not_together
from lingbot_live.export.source import FrameSource, Span
from lingbot_live.export.tracks import Moment, Seen
from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.perception.tracks import Lifter, Pixels, Tracked, Tracker
from lingbot_live.refiners.base import Refiner

log = logging.getLogger(__name__)

_Seen = tuple[float | None, dict[int, Frame]]  # time since the first, and cameras' frames
Start = Callable[[int, Frame], Pixels]  # a camera's place and first frame -> its points (N, 2)


class Following:
    """Follows the points of all cameras of an input from its first moment on, a tracker for each.

    A camera that joins later begins with its own first frame. Its points' speed is by its own
    clock; ``damaged`` counts frames that were passed over.
    """

    def __init__(self, start: Start, refiner: Refiner, trackers: Sequence[Tracker]) -> None:
        self._start, self._refiner, self._trackers = start, refiner, trackers
        self._cameras: dict[int, _Followed] = {}
        self._points = 0
        self.damaged = 0

    def moments(self, sources: Sequence[FrameSource], most: int | None) -> Iterator[Moment]:
        """Yield all moments, or the first ``most``: those of the first camera's frames.

        Frames of several belong together by the host's clock if all were recorded by it, else as
        `Pairing` finds.

        Raises:
            LingbotLiveError: what no source gets past; ExportError where cameras were not recorded
                at one time.
        """
        span = Span(0, most)
        for time_s, frames in self._seen(sources, span):
            told = [self._follow(camera, frame) for camera, frame in frames.items()]
            fresh = tuple(one for one in told if one is not None)
            if fresh:
                clock_s = self._cameras[fresh[0].camera].time_s
                yield Moment(clock_s if time_s is None else time_s, fresh)

    def _seen(self, sources: Sequence[FrameSource], span: Span) -> Iterator[_Seen]:
        if len(sources) == 1:
            return ((None, {0: frame}) for frame in self._frames(sources[0], span))
        if all(source.times_ns is not None for source in sources):
            return self._joint(sources, span)
        return self._paired(sources, span)

    def _frames(self, source: FrameSource, span: Span) -> Iterator[Frame]:
        for number, item in source.frames(span):
            if isinstance(item, BadFrameError | CorruptRecordingError):
                self.damaged += 1
                log.warning("%s: frame %d: %s", source.name, number, item)
            elif isinstance(item, LingbotLiveError):
                raise item
            else:
                yield item

    def _paired(self, sources: Sequence[FrameSource], span: Span) -> Iterator[_Seen]:
        lead, *others = sources
        are_live = any(not (one.info.is_recording or one.info.is_simulated) for one in sources)
        pairings = [
            Pairing(self._frames(other, Span(0, sys.maxsize)), are_live) for other in others
        ]
        start_s: float | None = None
        for frame in self._frames(lead, span):
            start_s = stamp_s(frame) if start_s is None else start_s
            found = {place: pairing.at(frame) for place, pairing in enumerate(pairings, 1)}
            beside = {place: near for place, near in found.items() if near is not None}
            yield stamp_s(frame) - start_s, {0: frame, **beside}
        for pairing in pairings:
            if pairing.missed:
                raise not_together(pairing.missed, lead.name)

    def _joint(self, sources: Sequence[FrameSource], span: Span) -> Iterator[_Seen]:
        check_together(sources)
        for moment in moments(list(sources), span, None):
            self.damaged += moment.left_out
            yield moment.time_s, moment.frames

    def _follow(self, camera: int, frame: Frame) -> Seen | None:
        """Return a camera's points in its next frame; None where that came before already."""
        known = self._cameras.get(camera)
        if known is not None and known.frame is frame:
            return None
        refined = self._refiner.refine(frame)
        if known is None:
            pixels = self._start(camera, frame)
            known = _Followed(camera, self._points, self._trackers[camera], pixels, frame)
            self._cameras[camera] = known
            self._points += len(pixels)
        return known.follow(refined)


class _Followed:
    """One camera's points, from its first frame on."""

    def __init__(
        self, camera: int, first_point: int, tracker: Tracker, pixels: Pixels, frame: Frame
    ) -> None:
        self.frame, self.time_s = frame, 0.0  # the newest, and its time since the first
        self._camera, self._first_point, self._tracker = camera, first_point, tracker
        self._start, self._start_us = pixels, frame.device_timestamp_us
        self._lifter = Lifter(frame.intrinsics, len(pixels))

    def follow(self, refined: RefinedFrame) -> Seen:
        if refined.frame is self.frame:
            self._tracker.start(self.frame.color, self._start)
            tracked = Tracked(self._start, np.ones(len(self._start), bool))
        else:
            tracked = self._tracker.follow(refined.frame.color, refined.depth_m)
        self.frame = refined.frame
        self.time_s = (self.frame.device_timestamp_us - self._start_us) / 1e6
        lifted = self._lifter.lift(tracked, refined, self.time_s)
        return Seen(self._camera, self._first_point, refined, tracked, lifted)
