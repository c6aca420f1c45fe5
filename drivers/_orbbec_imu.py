"""Accelerometer and gyroscope of Orbbec cameras, out of recordings.

They give what the SDK gives: single readings of one sensor each, in m/s2 and rad/s, on the clock of
the images.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Generator, Iterator

from drivers._orbbec_data import ACCEL_TOPIC, IMU_TOPICS
from drivers._rosbag import Bag, Message
from lingbot_live.errors import BadRecordingError
from lingbot_live.frame import ImuSample

_TURN_AT, _PULL_AT, _DATA_AT = 104, 200, 296  # bytes of a sensor_msgs/Imu after its header


class RecordedMotion:
    """The readings of a recording, taken from the file and not through the SDK.

    The SDK plays them through a queue of ten, which the bursts of its player overflow: of 1000
    readings a second, a reader that did nothing else lost a twentieth to a third. It would repeat
    them with every seek back to a frame, and it takes an acceleration for a turn where one of its
    three values is zero.
    """

    def __init__(self, bag: Bag) -> None:
        self._bag = bag
        self._messages: Generator[Message, None, None] | None = None
        self._next: ImuSample | None = None
        self.seek(0)

    def seek(self, stamp_us: int) -> None:
        """Go on with the first reading at a time or after it."""
        self.close()
        self._messages = self._bag.messages(IMU_TOPICS, stamp_us * 1000)
        self._advance()

    def until(self, stamp_us: float = math.inf) -> Iterator[ImuSample]:
        """Yield those not yet given that are not later than a time.

        Raises:
            BadRecordingError: the file is damaged here.
        """
        while self._next is not None and self._next.device_timestamp_us <= stamp_us:
            yield self._next
            self._advance()

    def close(self) -> None:
        """Close the file."""
        messages, self._messages, self._next = self._messages, None, None
        if messages is not None:
            messages.close()

    def _advance(self) -> None:
        message = None if self._messages is None else next(self._messages, None)
        try:
            self._next = None if message is None else _reading(message)
        except struct.error as error:
            raise BadRecordingError(
                f"{self._bag.path}: an inertial reading is damaged; copy the file again"
            ) from error


def _reading(message: Message) -> ImuSample:
    """Decode the SDK's own form of ``sensor_msgs/Imu``."""
    data = message.data
    (named,) = struct.unpack_from("<I", data, 12)
    start = 16 + named
    (size,) = struct.unpack_from("<I", data, start + _DATA_AT)
    _, _, _, stamp_us = struct.unpack_from("<IQfQ", data, start + _DATA_AT + 4 + size)
    if message.topic == ACCEL_TOPIC:
        pull = struct.unpack_from("<3d", data, start + _PULL_AT)
        return ImuSample(stamp_us, acceleration_m_s2=pull)
    return ImuSample(stamp_us, None, struct.unpack_from("<3d", data, start + _TURN_AT))
