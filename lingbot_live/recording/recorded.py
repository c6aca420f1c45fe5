"""The refiner ``recorded``: shows the refined depth that a session file already holds."""

from __future__ import annotations

import time
from dataclasses import replace

from lingbot_live.config import RefinerConfig
from lingbot_live.errors import NothingRecordedError
from lingbot_live.frame import DepthMap, Frame, Mask, RecordedDepth, RefinedFrame, RefinerInfo
from lingbot_live.refiners.base import Refiner


class RecordedRefiner(Refiner):
    """Hands on `Frame.recorded` with the name of the refiner that made it."""

    def __init__(self) -> None:
        super().__init__(RefinerInfo("recorded", note="as it was recorded"))

    def refine(self, frame: Frame) -> RefinedFrame:
        """Return the recorded result.

        Raises:
            NothingRecordedError: there is none for this frame.
        """
        started_ns = time.monotonic_ns()
        recorded = _recorded(frame)
        self.info = recorded.refiner
        refined = RefinedFrame(
            frame, recorded.depth_m, recorded.mask, self.info, started_ns, time.monotonic_ns()
        )
        if self.finish is not None:  # another depth than the one whose trust was recorded
            return self.finish(refined)
        return replace(refined, trust=recorded.trust)

    def _refine(self, frame: Frame) -> tuple[DepthMap, Mask]:
        recorded = _recorded(frame)
        return recorded.depth_m, recorded.mask


def _recorded(frame: Frame) -> RecordedDepth:
    if frame.recorded is None:
        raise NothingRecordedError(f"{frame.camera}: no refined depth recorded for this frame")
    return frame.recorded


def create_recorded(config: RefinerConfig) -> Refiner:
    """Entry point of ``recorded``."""
    return RecordedRefiner()
