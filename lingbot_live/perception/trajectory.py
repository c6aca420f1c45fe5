"""A camera's way as text that other programs read."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lingbot_live.frame import Matrix
from lingbot_live.perception.alignment import step_of
from lingbot_live.perception.odometry import Way
from lingbot_live.system.outputs import MARK

Stamped = tuple[float, Matrix]  # seconds, T_first_camera (4, 4)


def pose_numbers(pose: Matrix) -> tuple[float, ...]:
    """Return ``x y z qx qy qz qw`` of a (4, 4) pose: metres, unit quaternion."""
    turn = step_of(pose)[:3]
    angle = float(np.linalg.norm(turn))
    axis = turn / angle if angle > 0 else turn
    return (*pose[:3, 3], *(np.sin(angle / 2) * axis), np.cos(angle / 2))


def tum_lines(way: Iterable[Stamped]) -> list[str]:
    """Return a line a pose, ``time x y z qx qy qz qw``: seconds, metres, unit quaternion.

    The TUM RGB-D benchmark's format (Sturm et al., IROS 2012), which evo and others compare.
    """
    lines = [f"# timestamp tx ty tz qx qy qz qw, written by {MARK}"]
    for time_s, pose in way:
        numbers = pose_numbers(pose)
        lines.append(" ".join([f"{time_s:.6f}", *(f"{n:.7f}" for n in numbers)]))
    return lines


def drift_words(way: Way) -> str:
    """Say in a line how far a way is known to be off."""
    if not way.loops:
        return "no place was seen again, so its drift is not known"
    places = "1 place was" if way.loops == 1 else f"{way.loops} places were"
    spread = ", which is spread over it" if way.was_moved else ""
    return f"{places} seen again, its drift there {1000 * way.drift_m:.0f} mm{spread}"
