"""What the imagers of the simulated sensors see in their own light."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from drivers.synthetic.loop import Pose, Sweep
from lingbot_live.frame import Intrinsics

if TYPE_CHECKING:
    from drivers.synthetic.sensors import Sensor
    from drivers.synthetic.stage import View

_EXPOSURE = 3.0  # a white surface that faces the sensor is as bright as can be at 1.7 m
_LEAST_M = 0.3


class InfraredSweep(Sweep):
    """A sweep that keeps infrared pictures beside its poses; rendered each time, never on disk."""

    def __init__(self, sensor: Sensor, intrinsics: Intrinsics, seed: int) -> None:
        super().__init__(sensor, intrinsics, seed, cache=None)
        self.infrared: list[npt.NDArray[np.uint8]] = []  # (H, W) each, by pose

    def _render(self, index: int, stop: threading.Event) -> Pose | None:
        pose = super()._render(index, stop)
        view = self._views.view(index / max(1, self.count - 1), stop)  # which was kept
        if pose is None or view is None:
            return None
        self.infrared.append(seen(view))
        return pose


def seen(view: View) -> npt.NDArray[np.uint8]:
    """Return the sensor's own light as it comes back, (H, W): by Lambert, with distance squared.

    Encoded as the square root, as cameras do.
    """
    far_m = np.maximum(view.depth_m, np.float32(_LEAST_M))
    light = view.infrared * np.clip(view.facing, 0, 1) / far_m**2
    light = np.where(view.depth_m > 0, light, 0)
    return np.asarray(np.clip(np.sqrt(_EXPOSURE * light), 0, 1) * 255, np.uint8)
