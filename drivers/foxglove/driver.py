"""``foxglove:ws://HOST:PORT``: the camera of another lingbot-live, or of any Foxglove server."""

from __future__ import annotations

from urllib.parse import urlsplit

from lingbot_live.cameras.base import Camera, CameraInfo, Driver
from lingbot_live.config import CameraConfig
from lingbot_live.errors import CameraNotFoundError


class FoxgloveDriver(Driver):
    """Opens what is named; looks for nothing on the network by itself."""

    scheme = "foxglove"
    title = "Foxglove server"

    def discover(self) -> list[CameraInfo]:
        """List none: servers do not announce themselves."""
        return []

    def find(self, target: str) -> CameraInfo:
        """Return the camera at ``ws://HOST:PORT``, or ``ws://HOST:PORT#NAME`` of several.

        Raises:
            CameraNotFoundError: it is not written like that.
        """
        parts = urlsplit(target)
        try:
            good = parts.scheme in ("ws", "wss") and parts.hostname and (parts.port or 1)
        except ValueError:  # a port that is no number
            good = False
        if not good:
            raise CameraNotFoundError(
                f"foxglove:{target}: no address of a server; write foxglove:ws://HOST:PORT, with "
                "#NAME behind it where it has several cameras"
            )
        name = f"Foxglove at {parts.netloc}" + (f", {parts.fragment}" if parts.fragment else "")
        return CameraInfo(self.scheme, target, name)

    def create(self, info: CameraInfo, config: CameraConfig) -> Camera:
        """Return the camera, not yet open."""
        from drivers.foxglove.camera import FoxgloveCamera  # images: not for who only looks

        return FoxgloveCamera(info, config)
