"""``ros2:/camera``: the topics of a running ROS 2 camera, in the domain of ``ROS_DOMAIN_ID``."""

from __future__ import annotations

import re

from lingbot_live.cameras.base import Camera, CameraInfo, Driver
from lingbot_live.config import CameraConfig
from lingbot_live.errors import CameraNotFoundError

_NAME = re.compile(r"(/[A-Za-z_]\w*)+", re.ASCII)


class Ros2Driver(Driver):
    """Opens what is named; joins no network before."""

    scheme = "ros2"
    title = "ROS 2 camera"

    def discover(self) -> list[CameraInfo]:
        """List none: that would join the network of every ROS 2 around."""
        return []

    def find(self, target: str) -> CameraInfo:
        """Return the camera whose topics begin with ``target``.

        Raises:
            CameraNotFoundError: it is no name of ROS.
        """
        if not _NAME.fullmatch(target):
            raise CameraNotFoundError(
                f"ros2:{target}: no name of ROS; write how its topics begin, such as ros2:/camera"
            )
        return CameraInfo(self.scheme, target, f"ROS 2 {target}")

    def create(self, info: CameraInfo, config: CameraConfig) -> Camera:
        """Return the camera, not yet open."""
        from drivers.ros2.camera import Ros2Camera  # images: not for who only looks

        return Ros2Camera(info, config)
