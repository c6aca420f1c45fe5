"""A camera that a Foxglove server publishes."""

from __future__ import annotations

from drivers.common.heard import Heard
from drivers.common.live import LiveCamera
from drivers.foxglove.link import FoxgloveLink


class FoxgloveCamera(LiveCamera):
    """One camera of a server."""

    def _connect(self, heard: Heard) -> FoxgloveLink:
        url, _, _ = self.info.target.partition("#")
        return FoxgloveLink(self.info.address, url, heard, self._is_wanted)

    def _is_wanted(self, topic: str) -> bool:
        _, _, name = self.info.target.partition("#")
        is_tf = topic in ("/tf", "/tf_static")
        return is_tf or not name or topic.startswith(f"/{name.strip('/')}/")
