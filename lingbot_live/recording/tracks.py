"""The frames of one camera in a session file."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

import cv2
import numpy as np

from lingbot_live.cameras.base import CameraInfo
from lingbot_live.cameras.previews import shrink
from lingbot_live.errors import CameraError, CorruptRecordingError, RefinerError
from lingbot_live.frame import (
    Alignment,
    Calibration,
    ColorImage,
    DepthMap,
    ExtraPicture,
    Frame,
    ImuSample,
    Intrinsics,
    RawDepth,
    RefinedFrame,
    TrustMap,
)
from lingbot_live.recording import compressed_depth
from lingbot_live.recording.colors import decode_color, decode_mask, decode_trust
from lingbot_live.recording.encode import Messages, encode_frame
from lingbot_live.recording.format import (
    EXTRA_ROLES,
    Role,
    from_levels,
    join_depth,
    read_camera,
    read_frame_note,
    read_refined_note,
)
from lingbot_live.recording.mcap import cdr
from lingbot_live.recording.mcap.places import Times
from lingbot_live.recording.mcap.reader import MessageReader
from lingbot_live.recording.video import ColorDecoder
from lingbot_live.recording.whole import whole_frames

log = logging.getLogger(__name__)

_MOST_IMU = 20_000  # readings of one frame, half a minute of the fastest sensors


Described = tuple[CameraInfo | None, Calibration]


class Track(ABC):
    """One camera's frames in order of time; `times_ns` since 1970. Safe from several threads.

    Indexing raises CorruptRecordingError for a frame in a damaged part of the file; iteration
    passes over such frames and says so in the log.
    """

    def __init__(self, name: str, times_ns: Times) -> None:
        self.name = name
        self.times_ns = times_ns

    @property
    @abstractmethod
    def info(self) -> CameraInfo | None:
        """What the driver said of the camera, where that was recorded."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was assumed of another program's file, and what of it is left out, in words."""
        return ()

    @abstractmethod
    def frame(self, index: int, *, extras: bool = True) -> Frame:
        """Return the frame at ``index``, 0 to len - 1, with or without its extra pictures."""

    def refined(self, index: int) -> RefinedFrame | None:
        """Return the refined depth recorded for a frame; None if there is none."""
        return self.refined_of(self.frame(index), index)

    def refined_of(self, frame: Frame, index: int) -> RefinedFrame | None:
        """As `refined`, for a frame already read."""
        return None

    @property
    def refined_times_ns(self) -> Times:
        """Times of the frames that have refined depth."""
        return np.zeros(0, np.int64)

    @property
    def imu_times_ns(self) -> Times:
        """Time of the frame that each reading of the inertial sensors came with."""
        return np.zeros(0, np.int64)

    @property
    def roles(self) -> tuple[Role, ...]:
        """Of the messages that `messages` returns."""
        return (Role.COLOR, Role.DEPTH_RVL, Role.CAMERA_INFO, Role.FRAME)

    def messages(self, index: int, name: str) -> Messages:
        """Return a frame's messages for another file, where topics begin with ``name``.

        Those of our own files are copied as they are; others are encoded.
        """
        frame = self.frame(index)
        return encode_frame(frame, name, frame.device_timestamp_us * 1000, quality=95)

    def beside(self, role: Role, index: int) -> memoryview | None:
        """Return the message of a kind that is stored beside a frame; None if there is none."""
        return None

    def preview(self, index: int) -> ColorImage:
        """Return a frame's colour, made small."""
        return shrink(self.frame(index).color)

    def index_at(self, time_ns: int) -> int:
        """Return the index of the last frame at or before a time; 0 before the first."""
        return max(0, int(np.searchsorted(self.times_ns, time_ns, "right")) - 1)

    def __len__(self) -> int:
        return len(self.times_ns)

    def __getitem__(self, index: int) -> Frame:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.name}: frame {index} of {len(self)}")
        return self.frame(index % len(self))

    def __iter__(self) -> Iterator[Frame]:
        return (frame for _, frame in self.readable())

    def readable(self) -> Iterator[tuple[int, Frame]]:
        """Yield index and frame of all that can be read."""
        for index in range(len(self)):
            try:
                yield index, self.frame(index)
            except CorruptRecordingError as error:
                log.warning("%s: frame %d passed over: %s", self.name, index, error)


class OwnTrack(Track):
    """A camera recorded by lingbot-live; ``channels`` are its channel ids by role."""

    def __init__(self, name: str, channels: Mapping[Role, int], reader: MessageReader) -> None:
        self._channels = {role: c for role, c in channels.items() if c in reader.index.entries}
        self._reader = reader
        self._described: dict[int, Described | None] = {}  # by row
        super().__init__(name, whole_frames(reader.index, self._channels))
        refined = np.unique(self._times(Role.REFINED))
        depth = np.union1d(self._times(Role.REFINED_DEPTH), self._times(Role.REFINED_RVL))
        self._refined_times = refined[np.isin(refined, depth)]

    @property
    def info(self) -> CameraInfo | None:
        """What the driver said of the camera."""
        return next((found[0] for found in self._descriptions() if found is not None), None)

    @property
    def refined_times_ns(self) -> Times:
        """Times of the frames that have refined depth."""
        return self._refined_times

    @property
    def imu_times_ns(self) -> Times:
        """Time of the frame that each reading of the inertial sensors came with."""
        return self._times(Role.IMU)

    def frame(self, index: int, *, extras: bool = True) -> Frame:
        """Return the frame at ``index``, as it was recorded."""
        time_ns = int(self.times_ns[index])
        note = read_frame_note(self._text(Role.FRAME, time_ns))
        header, intrinsics = cdr.decode_camera_info(self._need(Role.CAMERA_INFO, time_ns))
        known = self._calibration(time_ns, intrinsics)
        device_us = note.device_timestamp_us
        try:
            return Frame(
                camera=self.name,
                index=note.index,
                timestamp_ns=note.timestamp_ns,
                device_timestamp_us=device_us,
                color=self._color(time_ns, index),
                depth_raw=self._depth_raw(time_ns),
                depth_scale_m=note.depth_scale_m,
                calibration=known,
                device_index=note.device_index,
                alignment=Alignment(note.alignment),
                label=note.label,
                imu=self._imu(time_ns, device_us - header.stamp_ns // 1000),
                extras=self._extras(time_ns) if extras else {},
            )
        except (CameraError, ValueError) as error:
            raise CorruptRecordingError(f"{self.name}: frame {index}: {error}") from error

    def preview(self, index: int) -> ColorImage:
        """Return a frame's colour, made small; a JPEG is not decoded in full for it."""
        time_ns = int(self.times_ns[index])
        if self._find(Role.COLOR, time_ns) is None:
            return shrink(self._color(time_ns, index))
        data = cdr.decode_compressed(self._need(Role.COLOR, time_ns))[2]
        return shrink(decode_color(data, cv2.IMREAD_REDUCED_COLOR_4))

    def refined_of(self, frame: Frame, index: int) -> RefinedFrame | None:
        """As `refined`, for a frame already read."""
        time_ns = int(self.times_ns[index])
        if self._find(Role.REFINED, time_ns) is None:
            return None
        note = read_refined_note(self._text(Role.REFINED, time_ns))
        depth_m = self._refined_depth(time_ns)
        if self._find(Role.REFINED_MASK, time_ns) is None:
            mask = depth_m > 0
        else:
            mask = decode_mask(cdr.decode_compressed(self._need(Role.REFINED_MASK, time_ns))[2])
        try:
            return RefinedFrame(
                frame, depth_m, mask, note.refiner, note.started_ns, note.finished_ns,
                trust=self._trust(time_ns),
            )  # fmt: skip
        except RefinerError as error:
            raise CorruptRecordingError(f"{self.name}: frame {index}: {error}") from error

    @property
    def roles(self) -> tuple[Role, ...]:
        """Of the messages that `messages` returns."""
        present = (
            Role.COLOR, Role.COLOR_EXACT, Role.COLOR_VIDEO, Role.DEPTH, Role.DEPTH_RVL,
            Role.CAMERA_INFO, Role.IMU, *EXTRA_ROLES, Role.FRAME,
        )  # fmt: skip
        return tuple(role for role in present if role in self._channels)

    def messages(self, index: int, name: str) -> Messages:
        """Return a frame's messages as they lie in the file, all but the refined ones."""
        time_ns = int(self.times_ns[index])
        return [
            (role, bytes(self._reader.payload(self._channels[role], row)))
            for role in self.roles
            for row in self._rows(role, time_ns)[: _MOST_IMU if role is Role.IMU else 1]
        ]

    def beside(self, role: Role, index: int) -> memoryview | None:
        """Return the message of a kind that is stored beside a frame; None if there is none."""
        time_ns = int(self.times_ns[index])
        return None if self._find(role, time_ns) is None else self._need(role, time_ns)

    # ---- private -----------------------------------------------------------------------------

    def _times(self, role: Role) -> Times:
        channel = self._channels.get(role)
        return np.zeros(0, np.int64) if channel is None else self._reader.entries(channel).times_ns

    def _find(self, role: Role, time_ns: int) -> int | None:
        times = self._times(role)
        row = int(np.searchsorted(times, time_ns))
        return row if row < len(times) and times[row] == time_ns else None

    def _rows(self, role: Role, time_ns: int) -> range:
        """The rows of all messages of one frame."""
        times = self._times(role)
        first, end = (int(np.searchsorted(times, time_ns, side)) for side in ("left", "right"))
        return range(first, end)

    def _imu(self, time_ns: int, device_minus_stamp_us: int) -> tuple[ImuSample, ...]:
        def stamp_us(stamp_ns: int) -> int:
            return stamp_ns // 1000 + device_minus_stamp_us

        rows = self._rows(Role.IMU, time_ns)[:_MOST_IMU]
        payload = self._reader.payload
        return tuple(
            cdr.decode_imu(payload(self._channels[Role.IMU], row), stamp_us) for row in rows
        )

    def _extras(self, time_ns: int) -> dict[str, ExtraPicture]:
        found: dict[str, ExtraPicture] = {}
        for role in EXTRA_ROLES:
            if role in self._channels and self._find(role, time_ns) is not None:
                image = cdr.decode_image(self._need(role, time_ns))
                kind = np.uint8 if image.encoding == "mono8" else np.uint16
                found[role.value] = cdr.pixels(image, kind)
        return found

    def _need(self, role: Role, time_ns: int) -> memoryview:
        row = self._find(role, time_ns)
        if row is None:
            raise CorruptRecordingError(f"{self.name}: {role.value} is missing at {time_ns}")
        return self._reader.payload(self._channels[role], row)

    def _text(self, role: Role, time_ns: int) -> str:
        return cdr.decode_text(self._need(role, time_ns))

    def _color(self, time_ns: int, index: int) -> ColorImage:
        if self._find(Role.COLOR_VIDEO, time_ns) is not None:
            return self._video.color(index)
        if self._find(Role.COLOR, time_ns) is not None:
            return decode_color(cdr.decode_compressed(self._need(Role.COLOR, time_ns))[2])
        image = cdr.decode_image(self._need(Role.COLOR_EXACT, time_ns))
        color: ColorImage = cdr.pixels(image, np.uint8, 3)
        return color

    @cached_property
    def _video(self) -> ColorDecoder:
        codec, _ = cdr.decode_video(self._need(Role.COLOR_VIDEO, int(self.times_ns[0])))

        def packet_at(index: int) -> tuple[memoryview, int]:
            time_ns = int(self.times_ns[index])
            note = read_frame_note(self._text(Role.FRAME, time_ns))
            return cdr.decode_video(self._need(Role.COLOR_VIDEO, time_ns))[1], note.video or 0

        return ColorDecoder(codec, packet_at)

    def _depth_raw(self, time_ns: int) -> RawDepth:
        if self._find(Role.DEPTH_RVL, time_ns) is not None:
            return compressed_depth.decode(self._need(Role.DEPTH_RVL, time_ns))[0]
        plain: RawDepth = cdr.pixels(cdr.decode_image(self._need(Role.DEPTH, time_ns)), np.uint16)
        return plain

    def _trust(self, time_ns: int) -> TrustMap | None:
        if self._find(Role.TRUST, time_ns) is None:
            return None
        return decode_trust(cdr.decode_compressed(self._need(Role.TRUST, time_ns))[2])

    def _refined_depth(self, time_ns: int) -> DepthMap:
        if self._find(Role.REFINED_RVL, time_ns) is not None:
            levels, of_one_m = compressed_depth.decode(self._need(Role.REFINED_RVL, time_ns))
            if of_one_m:
                return from_levels(levels, of_one_m)
            return self._with_fraction(levels, time_ns)
        image = cdr.decode_image(self._need(Role.REFINED_DEPTH, time_ns))
        if image.encoding == "32FC1":
            exact: DepthMap = cdr.pixels(image, np.float32)
            return exact
        return self._with_fraction(cdr.pixels(image, np.uint16), time_ns)

    def _with_fraction(self, millimetres: RawDepth, time_ns: int) -> DepthMap:
        fraction = cdr.decode_bytes(self._need(Role.REFINED_FRACTION, time_ns))
        if fraction.size != millimetres.size:
            raise CorruptRecordingError(f"{self.name}: refined depth of two sizes at {time_ns}")
        return join_depth(millimetres, fraction.reshape(millimetres.shape))

    def _calibration(self, time_ns: int, color: Intrinsics | None) -> Calibration:
        """Return what was known at a time; ``color`` is what the frame itself says."""
        row = max(0, int(np.searchsorted(self._times(Role.CAMERA), time_ns, "right")) - 1)
        found = self._description(row)
        if found is not None:
            return found[1] if color is None else _with_color(found[1], color)
        if color is None:
            raise CorruptRecordingError(f"{self.name}: no calibration at {time_ns}")
        return Calibration(color)

    def _descriptions(self) -> Iterator[Described | None]:
        """Yield what was said of the camera, the latest first; it is said in every chunk."""
        return (self._description(row) for row in range(len(self._times(Role.CAMERA)) - 1, -1, -1))

    def _description(self, row: int) -> Described | None:
        """Return one of the camera's descriptions; None where it cannot be read."""
        if row not in self._described:
            try:
                channel = self._channels[Role.CAMERA]
                found = read_camera(cdr.decode_text(self._reader.payload(channel, row)))
            except (KeyError, IndexError, CorruptRecordingError) as error:
                log.info("%s: its description cannot be read: %r", self.name, error)
                found = None
            self._described[row] = found
        return self._described[row]


def _with_color(known: Calibration, intrinsics: Intrinsics) -> Calibration:
    return known if known.color == intrinsics else replace(known, color=intrinsics)
