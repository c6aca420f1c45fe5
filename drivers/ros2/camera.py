"""A camera that ROS 2 nodes publish."""

from __future__ import annotations

import threading
from functools import partial

from drivers.common.heard import Heard
from drivers.common.live import LiveCamera
from lingbot_live.errors import ConfigError, DriverUnavailableError
from lingbot_live.recording.foreign.messages import Channel
from lingbot_live.ros2 import types, wire
from lingbot_live.system.worker import Worker

_KINDS = (types.IMAGE, types.COMPRESSED, types.CAMERA_INFO, types.TRANSFORMS)
_TF = ("/tf_static",)
_LOOK_S = 0.1


class Ros2Camera(LiveCamera):
    """The topics below one name."""

    def _connect(self, heard: Heard) -> Ros2Link:
        try:
            network = wire.join()
        except ConfigError as error:
            raise DriverUnavailableError(f"{self.info.address}: {error}") from error
        return Ros2Link(network, heard, self.info.target)

    def _is_wanted(self, topic: str) -> bool:
        return topic in _TF or topic.startswith(f"{self.info.target}/")


class Ros2Link:
    """Listens to topics as they come, until it is told which are enough."""

    def __init__(self, network: wire.Network, heard: Heard, name: str) -> None:
        self._network, self._heard, self._name = network, heard, name
        self._known: dict[str, int] = {}
        self._worker = Worker(f"find ros2:{name}", self._look, lambda error: heard.fail(str(error)))
        self._worker.start()

    def keep(self, channels: set[int]) -> None:
        """Hear no others from now on."""
        self._worker.request_stop()
        self._worker.join(2.0)
        self._network.forget({t for t, number in self._known.items() if number not in channels})

    def round_trip_s(self) -> float:
        """Cannot be told."""
        return 0.0

    def close(self) -> None:
        """Leave the network."""
        self._worker.request_stop()
        self._worker.join(2.0)
        self._network.close()

    def _look(self, stop: threading.Event) -> None:
        while not stop.is_set():
            for topic, kind in self._network.topics().items():
                is_ours = topic in _TF or topic.startswith(f"{self._name}/")
                if is_ours and kind in _KINDS and topic not in self._known:
                    self._listen(topic, kind)
            stop.wait(_LOOK_S)

    def _listen(self, topic: str, kind: str) -> None:
        number = self._known[topic] = len(self._known)
        self._heard.announce(Channel(number, topic, kind, "cdr", 0))
        self._network.listen(topic, kind, partial(self._heard.put, number, 0))
