"""A camera before a slanted plane, for the tests of what is measured there."""

from __future__ import annotations

import math

import numpy as np

from lingbot_live.frame import Calibration, Intrinsics
from lingbot_live.roi import Roi

K = Intrinsics(640, 480, 520.0, 520.0, 319.5, 239.5)
STEREO = Calibration(K, baseline_m=0.05)
WHOLE = Roi(percent=100)


def ray_grid():
    v, u = np.mgrid[: K.height, : K.width]
    return (u - K.cx) / K.fx, (v - K.cy) / K.fy


def plane_z(distance_m=1.5, tilt_deg=20.0):
    """Depth of a plane at a perpendicular distance, turned about the y axis."""
    x, _ = ray_grid()
    a = math.radians(tilt_deg)
    return distance_m / (math.sin(a) * x + math.cos(a))
