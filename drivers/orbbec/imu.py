"""Accelerometer and gyroscope of Orbbec cameras, live and out of recordings.

Both give what the SDK gives: single readings of one sensor each, in m/s2 and rad/s, on the clock of
the images.
"""

from __future__ import annotations

import logging
import math
import struct
import threading
from collections import deque
from collections.abc import Generator, Iterator
from typing import Any

from drivers.orbbec.data import ACCEL_TOPIC, IMU_TOPICS
from lingbot_live.errors import BadRecordingError
from lingbot_live.frame import ImuSample
from lingbot_live.recording.bags.rosbag1 import Bag, Message
from lingbot_live.system.worker import Worker

log = logging.getLogger(__name__)

_WAIT_MS = 20  # one wait of the SDK; the end waits for it
_JOIN_S = 2.0
_MOST_READINGS = 20_000  # between two frames
_FASTEST = 10  # the SDK's number of 1 kHz; at more, Python would lose readings
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


class LiveMotion:
    """The sensors of a device, read beside the images.

    They need a pipeline and a thread of their own: a pipeline holds ten sets of data, 10 ms of
    these sensors, while decoding an image may take longer.
    """

    def __init__(self, ob: Any, pipeline: Any, profiles: list[Any], who: str) -> None:
        config = ob.Config()
        for profile in profiles:
            config.enable_stream(profile)
        config.set_frame_aggregate_output_mode(ob.OBFrameAggregateOutputMode.ANY_SITUATION)
        self._ob, self._pipeline, self._who = ob, pipeline, who
        self._readings: deque[ImuSample] = deque(maxlen=_MOST_READINGS)
        self._last: dict[Any, int] = {}  # number of the last reading by sensor
        self._lost = 0
        self._worker = Worker("orbbec inertial sensors", self._read)
        pipeline.start(config)
        self._worker.start()

    def readings(self) -> Iterator[ImuSample]:
        """Yield what has come since the last call."""
        while self._readings:
            yield self._readings.popleft()

    def stop(self) -> None:
        """Release the sensors."""
        self._worker.request_stop()
        self._worker.join(_JOIN_S)
        try:
            self._pipeline.stop()
        except (self._ob.OBError, RuntimeError) as error:
            log.debug("%s: inertial sensors: stop: %s", self._who, error)
        if self._lost:
            log.warning("%s: %d inertial readings were lost", self._who, self._lost)

    def _read(self, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                frames = self._pipeline.wait_for_frames(_WAIT_MS)
                for i in range(0 if frames is None else frames.get_count()):
                    self._take(frames.get_frame_by_index(i))
        except (self._ob.OBError, RuntimeError) as error:
            log.warning("%s: its inertial sensors ended: %s", self._who, error)

    def _take(self, frame: Any) -> None:
        kind, number, stamp_us = frame.get_type(), frame.get_index(), frame.get_timestamp_us()
        self._lost += max(0, number - self._last.get(kind, number) - 1)
        self._last[kind] = number
        if kind == self._ob.OBFrameType.ACCEL_FRAME:
            told = frame.as_accel_frame()
            pull = (told.get_x(), told.get_y(), told.get_z())
            self._readings.append(ImuSample(stamp_us, acceleration_m_s2=pull))
        elif kind == self._ob.OBFrameType.GYRO_FRAME:
            told = frame.as_gyro_frame()
            turn = (told.get_x(), told.get_y(), told.get_z())
            self._readings.append(ImuSample(stamp_us, angular_velocity_rad_s=turn))


def start_motion(ob: Any, device: Any, who: str) -> LiveMotion | None:
    """Return the device's inertial sensors, reading; None if there are none, or not for us."""
    try:
        sensors = device.get_sensor_list()
        there = {sensors.get_type_by_index(i) for i in range(sensors.get_count())}
        kinds = {ob.OBSensorType.ACCEL_SENSOR, ob.OBSensorType.GYRO_SENSOR} & there
        if not kinds:
            return None
        pipeline = ob.Pipeline(device)
        offered = [profiles for kind in kinds if (profiles := _profiles(ob, pipeline, kind))]
        return LiveMotion(ob, pipeline, [*map(_fastest, offered)], who) if offered else None
    except (ob.OBError, RuntimeError) as error:  # depth does not need them
        log.warning("%s: its inertial sensors do not start: %s", who, error)
        return None


def _profiles(ob: Any, pipeline: Any, kind: Any) -> list[Any]:
    listed = pipeline.get_stream_profile_list(kind)
    found = [listed.get_stream_profile_by_index(i) for i in range(listed.get_count())]
    if kind == ob.OBSensorType.ACCEL_SENSOR:
        return [profile.as_accel_stream_profile() for profile in found]
    return [profile.as_gyro_stream_profile() for profile in found]


def _fastest(profiles: list[Any]) -> Any:
    """Return the fastest in the range that the SDK lists first, up to 1 kHz."""

    def rank(profile: Any) -> int:
        rate = int(profile.get_sample_rate())
        return rate if rate <= _FASTEST else -rate

    first = profiles[0].get_full_scale_range()
    return max((p for p in profiles if p.get_full_scale_range() == first), key=rank)
