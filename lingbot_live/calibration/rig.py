"""The cameras of a rig and where they stand, as a record and as a TOML file.

One camera is the reference; every other has ``T_reference_camera`` (see `lingbot_live.frame`),
between the colour cameras, since depth lies on colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from lingbot_live.calibration.hand_eye import HandEye
from lingbot_live.errors import ConfigError, did_you_mean
from lingbot_live.frame import Extrinsics, Matrix
from lingbot_live.system.inputs import from_toml, read_text
from lingbot_live.system.outputs import check_replaceable
from lingbot_live.system.writing import write_text

VERSION = 1
_RIGID_WITHIN = 1e-3  # how far a written rotation may be from orthonormal
_FARTHEST_M = 100.0
_HEAD = "# Where cameras stand, by `lingbot-live calibrate`; metres, T_reference_camera.\n\n"


@dataclass(frozen=True, slots=True)
class RigCamera:
    """One camera of a rig, its pose, and how well it is known; nan = not measured."""

    address: str  # the name of its feed
    pose: Extrinsics = field(default_factory=Extrinsics)  # T_reference_camera
    serial: str = ""
    views: int = 0  # of the board that it shares with its neighbour
    residual_px: float = math.nan  # RMS reprojection error of the board's corners
    icp_rms_mm: float = math.nan  # RMS distance between matched surfaces after ICP
    time_offset_ms: float = math.nan  # an event carries a later stamp here than at the reference
    time_confidence: float = math.nan  # 0 to 1


@dataclass(frozen=True, slots=True)
class Rig:
    """Cameras in one common frame, that of the first, the reference.

    Example::

        rig = Rig.load("rig.toml")
        T = rig.transform("realsense:1", "orbbec:2")  # T_realsense_orbbec
    """

    cameras: tuple[RigCamera, ...]
    hand_eye: HandEye | None = None  # where one of them stands on a robot

    def __post_init__(self) -> None:
        if not self.cameras:
            raise ConfigError("rig: it has no camera; name at least the reference")
        addresses = [camera.address for camera in self.cameras]
        for address in addresses:
            if addresses.count(address) > 1:
                raise ConfigError(f"rig: camera {address} stands in it twice; remove one")
        if not self.reference.pose.is_identity:
            raise ConfigError(
                f"rig: {self.reference.address} is the reference (the first camera), so its pose "
                "must be no motion at all"
            )

    @classmethod
    def of(cls, addresses: Sequence[str]) -> Rig:
        """Return a rig whose cameras all stand in one place, to begin with."""
        return cls(tuple(RigCamera(address) for address in addresses))

    @property
    def reference(self) -> RigCamera:
        """The camera whose axes are the common frame."""
        return self.cameras[0]

    def find(self, address: str, serial: str = "") -> RigCamera | None:
        """Return a camera by its serial number, otherwise by its address; None if there is none."""
        for camera in self.cameras:
            if serial and camera.serial == serial:
                return camera
        return next((camera for camera in self.cameras if camera.address == address), None)

    def camera(self, address: str, serial: str = "") -> RigCamera:
        """Return a camera as `find` does.

        Raises:
            ConfigError: the rig has no such camera.
        """
        found = self.find(address, serial)
        if found is None:
            known = [camera.address for camera in self.cameras]
            raise ConfigError(
                f"rig: it does not know {address}.{did_you_mean(address, known)} It has "
                f"{', '.join(known)}; calibrate again with this camera"
            )
        return found

    def transform(self, target: str, source: str) -> Extrinsics:
        """Return ``T_target_source`` between two cameras, by address.

        Raises:
            ConfigError: the rig lacks one of them.
        """
        return self.camera(target).pose.inverse() @ self.camera(source).pose

    def among(self, cameras: Sequence[tuple[str, str]]) -> Rig:
        """Return the rig of these cameras, (address, serial) each, the first as the reference.

        Raises:
            ConfigError: the rig lacks one of them.
        """
        found = [self.camera(address, serial) for address, serial in cameras]
        to_first = found[0].pose.inverse()
        poses = [Extrinsics(), *(to_first @ camera.pose for camera in found[1:])]
        return Rig(
            tuple(
                replace(camera, address=address, pose=pose)
                for camera, (address, _), pose in zip(found, cameras, poses, strict=True)
            )
        )

    def with_camera(self, address: str, **changes: Any) -> Rig:
        """Return the rig with fields of one camera changed.

        Raises:
            ConfigError: the rig has no such camera.
        """
        changed = replace(self.camera(address), **changes)
        old = self.camera(address)
        return replace(
            self, cameras=tuple(changed if camera is old else camera for camera in self.cameras)
        )

    def nudged(self, address: str, move: Extrinsics) -> Rig:
        """Return the rig with a camera moved by ``move``, given in the reference's axes.

        The camera turns about its own place: ``R_new = R_move R_old``, ``t_new = t_old + t_move``.

        Raises:
            ConfigError: the rig has no such camera, or it is the reference, which cannot move.
        """
        old = self.camera(address)
        if old is self.reference:
            raise ConfigError(f"rig: {address} is the reference; nudge one of the others")
        rotation = np.asarray(move.rotation) @ np.asarray(old.pose.rotation)
        shift = np.add(old.pose.translation_m, move.translation_m)
        pose = Extrinsics.from_matrix(np.c_[_orthonormal(rotation), shift])
        return self.with_camera(address, pose=pose, icp_rms_mm=math.nan)

    # ---- file ------------------------------------------------------------------------------

    def save(self, path: Path | str) -> None:
        """Write the rig as TOML.

        Raises:
            ConfigError: something is there that no rig was written to.
            WriteError: the file cannot be written; one that was there is as it was.
        """
        import tomli_w

        check_replaceable(Path(path).expanduser())
        cameras = [_table(camera) for camera in self.cameras]
        robot = {} if self.hand_eye is None else {"hand_eye": _robot_table(self.hand_eye)}
        text = _HEAD + tomli_w.dumps({"version": VERSION, **robot, "camera": cameras})
        write_text(Path(path), text)

    @classmethod
    def load(cls, path: Path | str) -> Rig:
        """Read what `save` wrote.

        Raises:
            ConfigError: there is no such file, or it is no valid rig; says where and why.
        """
        try:
            data = from_toml(read_text(Path(path).expanduser()))
        except FileNotFoundError as error:
            raise ConfigError(f"{path}: no such rig file; make one with calibrate") from error
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: it cannot be read as TOML: {error}") from error
        if data.get("version") != VERSION:
            raise ConfigError(
                f"{path}: version {data.get('version')!r}; this program reads {VERSION}. "
                "Calibrate again, or use the program that wrote it"
            )
        tables = data.get("camera")
        if not isinstance(tables, list):
            raise ConfigError(f"{path}: it has no [[camera]]; is it a rig file?")
        try:
            return cls(tuple(_camera(table) for table in tables), _robot(data.get("hand_eye")))
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error


def move_of(
    translation_m: Sequence[float] = (0.0, 0.0, 0.0), turn_deg: Sequence[float] = (0.0, 0.0, 0.0)
) -> Extrinsics:
    """Return a small move: metres along x, y, z, then degrees about them (pitch, yaw, roll).

    The turn is a rotation vector, so its parts commute as far as they are small.
    """
    import cv2

    rotation = cv2.Rodrigues(np.radians(np.asarray(turn_deg, np.float64)))[0]
    return Extrinsics.from_matrix(np.c_[rotation, np.asarray(translation_m, np.float64)])


def turn_deg_of(pose: Extrinsics) -> tuple[float, float, float]:
    """Return a pose's rotation vector, degrees about x, y and z; the inverse of `move_of`."""
    import cv2

    x, y, z = np.degrees(cv2.Rodrigues(np.asarray(pose.rotation, np.float64))[0]).ravel()
    return float(x), float(y), float(z)


def _table(camera: RigCamera) -> dict[str, Any]:
    """Return what is known of a camera as TOML values."""
    table: dict[str, Any] = {"address": camera.address}
    if camera.serial:
        table["serial"] = camera.serial
    table["translation_m"] = list(camera.pose.translation_m)
    table["rotation"] = [list(row) for row in camera.pose.rotation]
    if camera.views:
        table["views"] = camera.views
    for name in _NUMBERS:
        if math.isfinite(value := getattr(camera, name)):
            table[name] = round(value, 6)
    return table


_NUMBERS = tuple(f.name for f in fields(RigCamera) if f.name[-2:] in ("px", "mm", "ms"))
_NUMBERS += ("time_confidence",)
_KNOWN = ("address", "serial", "translation_m", "rotation", "views", *_NUMBERS)


def _robot_table(hand_eye: HandEye) -> dict[str, Any]:
    return {
        "camera": hand_eye.camera,
        "in_hand": hand_eye.in_hand,
        "translation_m": list(hand_eye.pose.translation_m),
        "rotation": [list(row) for row in hand_eye.pose.rotation],
        "poses": hand_eye.poses,
        "error_mm": round(hand_eye.error_mm, 6),
        "error_deg": round(hand_eye.error_deg, 6),
    }


def _robot(table: Any) -> HandEye | None:
    if table is None:
        return None
    if not isinstance(table, dict) or not isinstance(table.get("camera"), str):
        raise ConfigError('[hand_eye] needs camera = "...", the camera\'s address in quotes')
    in_hand, poses = table.get("in_hand"), table.get("poses", 0)
    if not isinstance(in_hand, bool) or not isinstance(poses, int):
        raise ConfigError("[hand_eye] needs in_hand = true or false, and poses a whole number")
    who = f"hand_eye of {table['camera']}"
    errors = [_number(who, {"value": 0.0, **table}, name) for name in ("error_mm", "error_deg")]
    return HandEye(table["camera"], in_hand, _pose(who, table), poses, *errors)


def _camera(table: Any) -> RigCamera:
    if not isinstance(table, dict) or not isinstance(table.get("address"), str):
        raise ConfigError('a [[camera]] needs address = "...", the camera\'s address in quotes')
    who = table["address"]
    for key in table:
        if key not in _KNOWN:
            raise ConfigError(f"{who}: {key} is not known.{did_you_mean(key, _KNOWN)}")
    if not isinstance(table.get("serial", ""), str):
        raise ConfigError(f"{who}: serial {table['serial']!r} must be a text in quotes")
    numbers = {name: _number(who, table, name) for name in _NUMBERS}
    views = table.get("views", 0)
    if not isinstance(views, int):
        raise ConfigError(f"{who}: views {views!r} must be a whole number")
    return RigCamera(who, _pose(who, table), table.get("serial", ""), views, **numbers)


def _number(who: str, table: dict[str, Any], name: str) -> float:
    value = table.get(name, math.nan)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{who}: {name} {value!r} must be a number")
    try:
        return float(value)
    except OverflowError as error:
        raise ConfigError(f"{who}: {name} is too large a number") from error


def _pose(who: str, table: dict[str, Any]) -> Extrinsics:
    shift = _array(who, table, "translation_m", (3,))
    rotation = _array(who, table, "rotation", (3, 3))
    if np.abs(shift).max() > _FARTHEST_M:
        raise ConfigError(
            f"{who}: translation_m {shift.tolist()} is over {_FARTHEST_M:g} m; it is in metres"
        )
    away = np.abs(rotation @ rotation.T - np.eye(3)).max()
    if away > _RIGID_WITHIN or np.linalg.det(rotation) < 0:
        raise ConfigError(
            f"{who}: rotation is no rotation matrix (off by {away:.3g}); three rows of three, "
            "each of length 1 and at right angles"
        )
    if np.array_equal(rotation, np.eye(3)) and not shift.any():
        return Extrinsics()
    return Extrinsics.from_matrix(np.c_[_orthonormal(rotation), shift])


def _array(who: str, table: dict[str, Any], name: str, shape: tuple[int, ...]) -> Matrix:
    value = table.get(name)
    try:
        array = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(0)
    if array.shape != shape or not np.isfinite(array).all():
        size = " by ".join(map(str, shape))
        raise ConfigError(f"{who}: {name} = {_short(value)} must be {size} finite numbers")
    return array


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 100 else f"{text[:100]}..."


def _orthonormal(rotation: Matrix) -> Matrix:
    """Return the nearest rotation, so that rounding does not add up."""
    u, _, vt = np.linalg.svd(rotation)
    return np.asarray(u @ vt)
