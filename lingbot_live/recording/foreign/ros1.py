"""ROS 1 messages: those of ROS 2 without alignment, behind another header."""

from __future__ import annotations

from lingbot_live.recording.foreign.messages import Data, Header
from lingbot_live.recording.foreign.ros2 import Ros2
from lingbot_live.recording.mcap import cdr, schemas

_RENAMED = {"tf/tfMessage": schemas.TRANSFORMS}


class _Reader(cdr.Reader):
    def __init__(self, data: Data) -> None:
        self._order, self._data, self._at = "<", memoryview(data), 0

    def _padding(self, size: int) -> int:
        return 0

    def header(self) -> Header:
        """Return a ``std_msgs/Header``, whose number goes before."""
        self.number()
        seconds, rest_ns = self.number(), self.number()
        return Header(seconds * 1_000_000_000 + rest_ns, self.text())


class Ros1(Ros2):
    """The `Decoder` of ``ros1``."""

    def reader(self, data: Data) -> cdr.Reader:
        """Return what takes the values off a message."""
        return _Reader(data)

    def name(self, schema: str) -> str:
        """Return a type's name as ROS 2 has it."""
        package, slash, kind = schema.partition("/")
        is_short = slash and "/" not in kind
        return _RENAMED.get(schema, f"{package}/msg/{kind}" if is_short else schema)
