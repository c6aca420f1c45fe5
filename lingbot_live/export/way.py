"""A camera's way beside its exported frames."""

from __future__ import annotations

from lingbot_live.export.shot import Shot
from lingbot_live.frame import Matrix
from lingbot_live.perception.landmarks import to_follow
from lingbot_live.perception.odometry import Odometry, Place
from lingbot_live.perception.trajectory import drift_words


class CameraWay:
    """Follows a camera from frame to frame; poses are known at the end, loops closed."""

    def __init__(self) -> None:
        self._odometry = Odometry()
        self._places: list[tuple[float, Place]] = []
        self._seen = 0

    def add(self, shot: Shot) -> None:
        """Take the next frame."""
        self._seen += 1
        place = self._odometry.follow(to_follow(shot.frame, shot.depth_m))
        if place is not None:
            self._places.append((shot.time_s, place))

    def poses(self) -> tuple[list[tuple[float, Matrix]], str]:
        """Return the time in seconds and ``T_first_camera`` of each placed frame, and a remark."""
        way = self._odometry.closed()
        found = [(time_s, way.pose(place)) for time_s, place in self._places]
        lost = self._seen - len(found)
        placed = f"; {lost} frames could not be placed" if lost else ""
        words = f"the camera went {self._odometry.length_m:.2f} m{placed}; {drift_words(way)}"
        return found, words
