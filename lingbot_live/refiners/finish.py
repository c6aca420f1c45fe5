"""What can be done to the result of any refiner: steadied over time, freed from flying points."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lingbot_live.config import RefinerConfig
from lingbot_live.frame import DepthMap, Mask, RefinedFrame, RefinerInfo

if TYPE_CHECKING:
    from lingbot_live.refiners.steady import Stabiliser

_STEPS = 60_000  # into which the farthest depth is divided to look for flying points


def finish_for(config: RefinerConfig) -> Finish | None:
    """Return what the settings ask to be done to every result; None for nothing."""
    return Finish(config) if config.steady or config.drop_flying else None


class Finish:
    """Steadies results and drops their flying points; a history for each camera."""

    def __init__(self, config: RefinerConfig) -> None:
        self._config = config
        said = ("steady" * config.steady, "without flying points" * config.drop_flying)
        self.words = ", ".join(word for word in said if word)
        self._histories: dict[str, tuple[Stabiliser, int]] = {}  # with the device's last time

    def __call__(self, refined: RefinedFrame) -> RefinedFrame:
        """Return a result finished; its mask says no more than what is left of its depth."""
        depth_m, mask, age, flying = refined.depth_m, refined.mask, refined.age, None
        if self._config.steady:
            depth_m, age = self._steadied(refined)
        if self._config.drop_flying:
            found = flying_points(depth_m)
            flying = int(np.count_nonzero(found))
            depth_m, mask = np.where(found, np.float32(0), depth_m), mask & ~found
        return replace(
            refined, depth_m=depth_m, mask=mask, age=age, flying=flying,
            refiner=self._said_of(refined.refiner), finished_ns=time.monotonic_ns(),
        )  # fmt: skip

    def _said_of(self, info: RefinerInfo) -> RefinerInfo:
        """Return who made a result, with what was done to it; a recorded one says so already."""
        before = [word for word in info.finish.split(", ") if word and word not in self.words]
        return replace(info, finish=", ".join([*before, self.words]))

    def _steadied(self, refined: RefinedFrame) -> tuple[DepthMap, npt.NDArray[np.uint8] | None]:
        from lingbot_live.refiners.steady import Stabiliser

        frame = refined.frame
        now_us = frame.device_timestamp_us
        stabiliser, last_us = self._histories.get(frame.camera) or (Stabiliser(), now_us)
        if now_us < last_us:
            stabiliser.forget()
        self._histories[frame.camera] = stabiliser, now_us
        depth_m = stabiliser.steady(frame.color, refined.depth_m)
        return depth_m, stabiliser.age


def flying_points(depth_m: DepthMap) -> Mask:
    """Return which pixels (H, W) of depth in metres hang between the two sides of a depth step.

    The rule is the one by which `guided` distrusts measurements: between 20 % and 80 % of the way
    across a step of over a twelfth of the depth within 5x5 pixels that is no slope and no noise.
    """
    from lingbot_live.refiners.guided.measured import flying

    found = np.zeros(depth_m.shape, bool)
    farthest_m = float(depth_m.max(initial=0))
    if farthest_m > 0:
        raw = np.rint(depth_m * np.float32(_STEPS / farthest_m)).astype(np.uint16)
        found.ravel()[flying(raw, raw > 0)] = True
    return found
