"""The one interface of everything that refines depth.

A refiner is made by a factory ``(RefinerConfig) -> Refiner``, registered in the entry-point group
``lingbot_live.refiners``. It lives in one thread: made, used and closed there.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lingbot_live.config import RefinerConfig
from lingbot_live.errors import RefinerError, blaming
from lingbot_live.frame import DepthMap, Frame, Mask, OriginMap, RefinedFrame, RefinerInfo
from lingbot_live.refiners.attended import Attended
from lingbot_live.refiners.finish import Finish


class Refiner(ABC):
    """Turns a Frame's raw depth into refined depth. Implement `_refine`; `info` may change.

    ``tokens`` is how fine a network computes; None where that means nothing. It may be set from
    any thread and holds from the next frame on.
    """

    computes_here: bool = False  # all the time in the thread that calls: it is worth a core
    tokens: int | None = None
    origin: OriginMap | None = None  # (H, W) of `Origin`, of the last frame, where it is told
    finish: Finish | None = None  # see `finish_with`

    def __init__(self, info: RefinerInfo) -> None:
        self.info = info

    def refine(self, frame: Frame) -> RefinedFrame:
        """Refine one frame.

        Raises:
            RefinerError: the frame could not be refined, or what came of it breaks the promise of
                `_refine`; the refiner stays usable.
        """
        started_ns = time.monotonic_ns()
        with blaming(f"refiner {self.info.name}", RefinerError):
            depth_m, mask = self._refine(frame)
            done_ns = time.monotonic_ns()
            info, origin = self.info, self.origin
            refined = RefinedFrame(frame, depth_m, mask, info, started_ns, done_ns, origin)
        return refined if self.finish is None else self.finish(refined)

    def adopt(self, config: RefinerConfig) -> bool:
        """Go on under settings that differ in tokens, mask or raw depth kept.

        Returns False, as here, if a new refiner has to be made for that.
        """
        return False

    def finish_with(self, finish: Finish | None) -> None:
        """Have this done to every result from the next frame on; ``info`` says so."""
        self.finish = finish
        self.info = replace(self.info, finish="" if finish is None else finish.words)

    def tokens_at(self, level: int) -> int | None:
        """Return the tokens of a resolution level from 0 to 9; None where that means nothing."""
        return None

    def attend(
        self, frame: Frame, pixels: npt.ArrayLike, layers: Sequence[int] | None = None
    ) -> Attended | None:
        """Return what refining attends to at pixels (Q, 2), u and v; None without attention.

        ``layers`` are those to read, all for None; the rollout and holes' neighbours are in it.
        """
        return None

    @abstractmethod
    def _refine(self, frame: Frame) -> tuple[DepthMap, Mask]:
        """Return depth (H, W) float32 metres, 0 = invalid and finite, and its mask (H, W) bool."""

    def close(self) -> None:  # noqa: B027 - most refiners hold nothing
        """Release memory and devices; safe more than once."""


class PassthroughRefiner(Refiner):
    """Hands the raw depth on, in metres."""

    def __init__(self) -> None:
        super().__init__(RefinerInfo("none", note="raw depth, unchanged"))

    def _refine(self, frame: Frame) -> tuple[DepthMap, Mask]:
        depth_m = frame.depth_m
        return depth_m, np.asarray(depth_m > 0)


def create_passthrough(config: RefinerConfig) -> Refiner:
    """Entry point of ``none``."""
    return PassthroughRefiner()
