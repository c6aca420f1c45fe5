"""What a session file says and how: topics, roles, and the plain data beside the images.

Described for readers in docs/session-format.md. Every channel carries its role and its camera in
the channel's own metadata, so that nothing is guessed from names. All messages of one frame share
one log time, by which they are found; `FrameNote` is written last, so a frame with a note is whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lingbot_live.cameras.base import CameraInfo
from lingbot_live.errors import (
    ConfigError,
    CorruptRecordingError,
    LingbotLiveError,
    RecordingVersionError,
)
from lingbot_live.frame import (
    EXTRAS,
    Alignment,
    Calibration,
    DepthMap,
    Extrinsics,
    Frame,
    Intrinsics,
    RawDepth,
    RefinedFrame,
    RefinerInfo,
)
from lingbot_live.recording.mcap import schemas
from lingbot_live.recording.mcap.records import MOST_TIME_NS
from lingbot_live.system.inputs import from_json

T = TypeVar("T")

VERSION = 2  # 1: depth as plain images, refined depth in whole millimetres and 256ths of one
SUFFIX = ".mcap"
PROFILE = "ros2"
SESSION = "lingbot_live"  # name of the metadata record, and prefix of channel metadata
ROLE, CAMERA = f"{SESSION}.role", f"{SESSION}.camera"
MILLIMETRE_M = 0.001
FRACTIONS = 256  # of a millimetre, in files of format 1
# Refined depth is 16 bit of inverse depth: its step grows with the square of the distance, as the
# errors of depth cameras do, 0.1 mm at 1 m. That reaches from 0.153 m on; a frame of which more
# than a thousandth is nearer has steps of 0.25 mm at 1 m, and reaches from 0.061 m on.
REFINED_LEVELS_M, NEAR_LEVELS_M = 10_000.0, 4_000.0
_FEW = 0.001
_MOST_LEVEL = 65_535


class Role(str, Enum):
    """What a channel of a session file holds."""

    COLOR = "color"  # JPEG
    COLOR_EXACT = "color_exact"
    COLOR_VIDEO = "color_video"
    DEPTH = "depth"  # of format 1
    DEPTH_RVL = "depth_rvl"
    CAMERA_INFO = "camera_info"
    IMU = "imu"
    INFRARED = "infrared"
    INFRARED_LEFT = "infrared_left"
    INFRARED_RIGHT = "infrared_right"
    DEPTH_NATIVE = "depth_native"
    FRAME = "frame"
    REFINED_DEPTH = "refined_depth"  # exact, or of format 1
    REFINED_FRACTION = "refined_fraction"  # of format 1
    REFINED_RVL = "refined_rvl"
    REFINED_MASK = "refined_mask"
    REFINED = "refined"
    TRUST = "trust"
    GRASPS = "grasps"
    TRACKS = "tracks"
    CAMERA = "camera"
    TRANSFORMS = "tf_static"
    EVENTS = "events"


TOPICS: dict[Role, tuple[str, str]] = {
    Role.COLOR: ("/{camera}/color/image/compressed", schemas.COMPRESSED_IMAGE),
    Role.COLOR_EXACT: ("/{camera}/color/image", schemas.IMAGE),
    Role.COLOR_VIDEO: ("/{camera}/color/video", schemas.COMPRESSED_VIDEO),
    Role.DEPTH: ("/{camera}/depth/image", schemas.IMAGE),
    Role.DEPTH_RVL: ("/{camera}/depth/image/compressedDepth", schemas.COMPRESSED_IMAGE),
    Role.CAMERA_INFO: ("/{camera}/color/camera_info", schemas.CAMERA_INFO),
    Role.IMU: ("/{camera}/imu", schemas.IMU),
    Role.INFRARED: ("/{camera}/infrared/image", schemas.IMAGE),
    Role.INFRARED_LEFT: ("/{camera}/infrared_left/image", schemas.IMAGE),
    Role.INFRARED_RIGHT: ("/{camera}/infrared_right/image", schemas.IMAGE),
    Role.DEPTH_NATIVE: ("/{camera}/depth_native/image", schemas.IMAGE),
    Role.FRAME: ("/{camera}/frame", schemas.TEXT),
    Role.REFINED_DEPTH: ("/{camera}/refined/image", schemas.IMAGE),
    Role.REFINED_FRACTION: ("/{camera}/refined/fraction", schemas.BYTES),
    Role.REFINED_RVL: ("/{camera}/refined/image/compressedDepth", schemas.COMPRESSED_IMAGE),
    Role.REFINED_MASK: ("/{camera}/refined/mask/compressed", schemas.COMPRESSED_IMAGE),
    Role.REFINED: ("/{camera}/refined/info", schemas.TEXT),
    Role.TRUST: ("/{camera}/refined/trust/compressed", schemas.COMPRESSED_IMAGE),
    Role.GRASPS: ("/{camera}/grasps", schemas.POSES),
    Role.TRACKS: ("/{camera}/tracks", schemas.POINTS),
    Role.CAMERA: ("/{camera}/camera", schemas.TEXT),
    Role.TRANSFORMS: ("/tf_static", schemas.TRANSFORMS),
    Role.EVENTS: ("/events", schemas.TEXT),
}
EXTRA_ROLES = tuple(map(Role, EXTRAS))  # of pictures that not every camera has
COMMON = (Role.TRANSFORMS, Role.EVENTS)  # one topic for all cameras


@dataclass(frozen=True, slots=True)
class FrameNote:
    """What a Frame says beside its images; one ``std_msgs/String`` of JSON a frame."""

    index: int
    timestamp_ns: int
    device_timestamp_us: int
    depth_scale_m: float
    device_index: int | None = None
    alignment: str = Alignment.NONE.value
    label: str = ""
    video: int | None = None  # of colour as video: pictures since one that stands alone

    @classmethod
    def of(cls, frame: Frame, video: int | None = None) -> FrameNote:
        """Take the notes of a frame."""
        return cls(
            frame.index,
            frame.timestamp_ns,
            frame.device_timestamp_us,
            float(frame.depth_scale_m),
            frame.device_index,
            frame.alignment.value,
            frame.label,
            video,
        )


@dataclass(frozen=True, slots=True)
class RefinedNote:
    """What a RefinedFrame says beside its images."""

    index: int  # of the Frame it came from
    started_ns: int
    finished_ns: int
    refiner: RefinerInfo

    @classmethod
    def of(cls, refined: RefinedFrame) -> RefinedNote:
        """Take the notes of a result."""
        return cls(
            refined.frame.index, refined.started_ns, refined.finished_ns, refined.refiner
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: kind ``marker``, ``drop``, ``refiner``, ``pause``, ``resume``..."""

    time_ns: int  # since 1970
    kind: str
    camera: str = ""
    text: str = ""  # of a marker, cause of a drop, name of a refiner
    count: int = 0  # of dropped frames


def to_json(note: FrameNote | RefinedNote | Event) -> str:
    """Return a note as JSON; floats come back bit for bit."""
    return json.dumps(asdict(note), separators=(",", ":"))


def read_frame_note(text: str) -> FrameNote:
    """Raises CorruptRecordingError where it is not one."""
    return _checked(lambda data: _typed(FrameNote, data), text)


def read_refined_note(text: str) -> RefinedNote:
    """Raises CorruptRecordingError where it is not one."""
    return _checked(
        lambda data: _typed(RefinedNote, {**data, "refiner": _typed(RefinerInfo, data["refiner"])}),
        text,
    )


def read_event(text: str) -> Event:
    """Raises CorruptRecordingError where it is not one."""
    return _checked(lambda data: _typed(Event, data), text)


def camera_to_json(info: CameraInfo | None, calibration: Calibration) -> str:
    """Return what is known of a camera as JSON."""
    described = None if info is None else {**asdict(info), "profiles": []}
    if described is not None:
        del described["recorded"]  # of the file that it was played from, if it was
    return json.dumps({"info": described, "calibration": asdict(calibration)})


def read_camera(text: str) -> tuple[CameraInfo | None, Calibration]:
    """Raises CorruptRecordingError where it is not one."""
    return _checked(_camera, text)


def _camera(data: dict[str, Any]) -> tuple[CameraInfo | None, Calibration]:
    described = data["info"]
    info = None if described is None else _typed(CameraInfo, {**described, "profiles": ()})
    known = data["calibration"]
    transform = known["T_color_depth"]
    return info, Calibration(
        _intrinsics(known["color"]),
        _intrinsics(known["depth"]) if known["depth"] else None,
        _extrinsics(transform) if transform else None,
        None if known["baseline_m"] is None else _number(known["baseline_m"]),
    )


def _intrinsics(data: dict[str, Any]) -> Intrinsics:
    return _typed(Intrinsics, {**data, "distortion": tuple(map(_number, data["distortion"]))})


def _extrinsics(data: dict[str, Any]) -> Extrinsics:
    rows = [[*map(_number, row)] for row in (*data["rotation"], data["translation_m"])]
    if [len(row) for row in rows] != [3, 3, 3, 3]:
        raise ValueError("a transform has another shape")
    return Extrinsics(
        tuple((x, y, z) for x, y, z in rows[:3]), (rows[3][0], rows[3][1], rows[3][2])
    )


def _typed(cls: type[T], data: dict[str, Any]) -> T:
    """Return a record made of JSON's values; ValueError where one has another type."""
    types = {f.name: f.type for f in fields(cls)}  # type: ignore[arg-type]
    for name, value in data.items():
        check = _CHECKS.get(types.get(name, ""))  # type: ignore[arg-type]
        if check is not None and not check(value):
            raise ValueError(f"{name} is {str(value)[:40]!r}")
    return cls(**data)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < MOST_TIME_NS


def _is_number(value: object) -> bool:
    return isinstance(value, float | int) and not isinstance(value, bool) and abs(value) < 1e300


def _is_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _number(value: Any) -> float:
    if not _is_number(value):
        raise ValueError(f"{str(value)[:40]!r} is no number")
    return float(value)


_CHECKS: dict[str, Callable[[object], bool]] = {
    "int": _is_whole,
    "int | None": lambda value: value is None or _is_whole(value),
    "float": _is_number,
    "str": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "dict[str, str]": _is_texts,
}


def _checked(read: Callable[[Any], T], text: str) -> T:
    try:
        return read(from_json(text))
    except (ValueError, TypeError, KeyError, AttributeError, LingbotLiveError) as error:
        raise CorruptRecordingError(f"a note in the recording is damaged ({error})") from error


def check_version(metadata: dict[str, str], who: str) -> None:
    """Raise RecordingVersionError for a file of a newer format."""
    text = metadata.get("format", "")
    if text.isdecimal() and len(text) < 10 and int(text) > VERSION:
        raise RecordingVersionError(
            f"{who}: written in format {text} by lingbot-live {metadata.get('version', '?')}; "
            f"this version reads up to format {VERSION}; update lingbot-live"
        )


def slug(camera: str, taken: Collection[str] = ()) -> str:
    """Return a name fit for ROS topics and files, different from those ``taken``."""
    scheme, _, target = camera.partition(":")
    tail = PurePath(target.replace("\\", "/"))
    text = f"{scheme}_{tail.stem if '/' in str(tail) else tail}" if target else scheme
    base = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_") or "camera"
    base = base if base[0].isalpha() else f"camera_{base}"
    number, name = 1, base
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def expand_name(template: str, camera: str, now: datetime) -> str:
    """Fill ``{date}``, ``{time}`` and ``{camera}`` into a name and give it its suffix.

    Raises:
        ConfigError: the template has another field.
    """
    try:
        name = template.format(
            date=f"{now:%Y-%m-%d}", time=f"{now:%H-%M-%S}", camera=slug(camera)
        )  # fmt: skip
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(
            f"name {template!r}: {error}; known fields are {{date}}, {{time}}, {{camera}}"
        ) from error
    return name if name.endswith(SUFFIX) else name + SUFFIX


def to_levels(depth_m: DepthMap) -> tuple[RawDepth, float]:
    """Return (H, W) uint16 levels of inverse depth, 0 for none, and A: metres are ``A / level``.

    Off by ``depth_m ** 2 / (2 * A)`` at most; what is nearer than ``A / 65535`` is put there.
    """
    is_none, of_one_m = depth_m == 0, REFINED_LEVELS_M
    with np.errstate(divide="ignore"):
        levels = np.divide(np.float32(of_one_m), depth_m)
    near = np.count_nonzero(levels > _MOST_LEVEL) - np.count_nonzero(is_none)
    if near > depth_m.size * _FEW:
        of_one_m = NEAR_LEVELS_M
        levels *= np.float32(NEAR_LEVELS_M / REFINED_LEVELS_M)
    levels += np.float32(0.5)
    np.minimum(levels, np.float32(_MOST_LEVEL), out=levels)
    whole = levels.astype(np.int32).astype(np.uint16)
    whole[is_none] = 0
    return whole, of_one_m


def from_levels(levels: RawDepth, of_one_m: float) -> DepthMap:
    """Return metres of `to_levels`."""
    with np.errstate(divide="ignore"):
        depth_m: DepthMap = np.divide(np.float32(of_one_m), levels, dtype=np.float32)
    depth_m[levels == 0] = 0
    return depth_m


def join_depth(millimetres: RawDepth, fraction: npt.NDArray[np.uint8]) -> DepthMap:
    """Return (H, W) metres of format 1: whole millimetres and 256ths of one."""
    steps = np.multiply(millimetres, np.float32(FRACTIONS), dtype=np.float32)
    steps += fraction
    return np.multiply(steps, np.float32(MILLIMETRE_M / FRACTIONS), out=steps)
