"""From the two images of a pair to one frame: lenses taken care of, depth laid on colour."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import cv2
import numpy as np

from lingbot_live.errors import CameraError
from lingbot_live.frame import (
    Alignment,
    Calibration,
    ColorImage,
    Extrinsics,
    Intrinsics,
    RawDepth,
)
from lingbot_live.recording.foreign import names
from lingbot_live.recording.foreign.lens import Lens, UnusableError, differ
from lingbot_live.recording.foreign.matching import Match
from lingbot_live.recording.foreign.messages import MessageSource
from lingbot_live.recording.foreign.models import Models
from lingbot_live.recording.foreign.places import Places, through
from lingbot_live.recording.foreign.streams import Kind, Stream
from lingbot_live.registration import LiveRegistration

_MOST_APART_M = 3.0  # of the two sensors of one camera
_MOST_TURN_DEG = 45.0  # of two cameras that see the same; beyond, their axes are not optical


@dataclass(frozen=True, slots=True)
class Seen:
    """What becomes of a pair."""

    color: ColorImage
    depth_raw: RawDepth
    calibration: Calibration
    alignment: Alignment


class View:
    """How one camera's depth and colour see the world. Safe from several threads.

    Depth is aligned already where its name or its coordinate frame says so and both calibrations
    agree; all other depth is registered. ``remarks`` say what was assumed.

    Raises:
        UnusableError: from the constructor, where a calibration is missing or of an unknown kind.
    """

    def __init__(
        self,
        source: MessageSource,
        match: Match,
        places: Places,
        baseline_m: float | None = None,
    ) -> None:
        self._match, self._baseline_m = match, baseline_m
        self.remarks: list[str] = []
        if match.color.kind is Kind.INFRARED:
            self.remarks.append(f"there is no colour; {match.color.topic} stands in for it")
        self._color = self._models(source, match.color, match.color_info)
        self._depth = self._depth_models(source)
        self._T_color_depth = self._transform(places)
        for stream, models in ((match.color, self._color), (match.depth, self._depth)):
            if models is not None and (was := models.first().was):
                self.remarks.append(f"{stream.topic}: {was} straightened to a pinhole camera")
        self._registrations: dict[tuple[Intrinsics, Intrinsics], LiveRegistration] = {}
        self._lock = threading.Lock()

    def see(self, color: ColorImage, raw: RawDepth, unit_m: float, time_ns: int) -> Seen:
        """Return both images on one grid, with what is known of the camera.

        Raises:
            CameraError, cv2.error: the images do not fit the calibration.
        """
        if self._T_color_depth is None or self._color is None or self._depth is None:
            return self._laid(color, raw, time_ns)
        in_color = self._color.at(time_ns, color.shape[1], color.shape[0])
        in_depth = self._depth.at(time_ns, raw.shape[1], raw.shape[0])
        T = through(in_color.rotation, self._T_color_depth, in_depth.rotation)
        with self._lock:
            register = self._registration(in_depth.intrinsics, in_color.intrinsics, T)
            moved = register(in_depth.straighten(raw, is_depth=True), unit_m)
        return Seen(
            in_color.straighten(color, is_depth=False),
            moved,
            Calibration(in_color.intrinsics, in_depth.intrinsics, T, self._baseline_m),
            Alignment.OWN,
        )

    def _laid(self, color: ColorImage, raw: RawDepth, time_ns: int) -> Seen:
        models = self._color or self._depth
        if models is None:
            raise CameraError("neither colour nor depth has a calibration")
        height, width = raw.shape
        on_depth = models.at(time_ns, width, height)
        on_color = models.at(time_ns, color.shape[1], color.shape[0])
        color = on_color.straighten(color, is_depth=False)
        if color.shape[:2] != raw.shape:
            color = cv2.resize(color, (width, height), interpolation=cv2.INTER_AREA)
        return Seen(
            color,
            on_depth.straighten(raw, is_depth=True),
            Calibration(on_depth.intrinsics),
            Alignment.NONE,
        )

    def _registration(
        self, depth: Intrinsics, color: Intrinsics, T_color_depth: Extrinsics
    ) -> LiveRegistration:
        key = depth, color
        if key not in self._registrations:
            self._registrations.clear()  # calibrations hardly ever change within a file
            self._registrations[key] = LiveRegistration(
                depth, color, T_color_depth, keep_values=False
            )
        return self._registrations[key]

    # ---- once, at the start --------------------------------------------------------------------

    def _models(self, source: MessageSource, image: Stream, info: Stream | None) -> Models | None:
        return None if info is None else Models(source, image, info)

    def _depth_models(self, source: MessageSource) -> Models | None:
        try:
            return self._models(source, self._match.depth, self._match.depth_info)
        except UnusableError:
            if self._color is None:
                raise
            return None  # as if it had not been published

    def _transform(self, places: Places) -> Extrinsics | None:
        """Return ``T_color_depth`` for depth to be registered by; None where it is aligned."""
        depth, color = self._match.depth, self._match.color
        same_frame = bool(depth.frame_id) and depth.frame_id == color.frame_id
        is_told = same_frame or names.says_aligned(depth.topic)
        if self._color is None or self._depth is None:
            self._check_alone(is_told)
            return None
        ours, theirs = self._color.first(), self._depth.first()
        agree = not differ(ours.intrinsics, theirs.intrinsics)
        if names.says_aligned(depth.topic) or (same_frame and agree):
            return None
        found = Extrinsics() if same_frame else places.between(color, depth)
        if found is None or (doubt := _doubt(found)):
            self.remarks.append(
                f"{doubt if found else 'no transform'} from depth ({_frame(depth)}) to colour "
                f"({_frame(color)}) is in it: both are taken to stand in one place; record "
                "/tf_static of their optical frames to have it right"
            )
            found = Extrinsics()
        is_same = through(ours.rotation, found, theirs.rotation).is_identity and agree
        return None if is_same and not _is_bent(ours, theirs) else found

    def _check_alone(self, is_told: bool) -> None:
        depth, color = self._match.depth, self._match.color
        if is_told:
            return
        if self._color is None:
            raise UnusableError(f"no CameraInfo (calibration) of {color.topic}")
        self.remarks.append(
            f"there is no CameraInfo of {depth.topic}: it is taken as aligned to {color.topic}"
        )


def _doubt(T_color_depth: Extrinsics) -> str:
    """Return why two sensors of one camera cannot stand so; empty where they can."""
    far_m = float(np.linalg.norm(T_color_depth.translation_m))
    if not far_m <= _MOST_APART_M:
        return f"a transform by {far_m:.3g} m"
    turn = np.asarray(T_color_depth.rotation)
    if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-3):
        return "a transform that is no rotation"
    turned_deg = T_color_depth.angle_deg
    return "" if turned_deg <= _MOST_TURN_DEG else f"a transform by {turned_deg:.0f} degrees"


def _is_bent(ours: Lens, theirs: Lens) -> bool:
    """Whether two lenses distort in different ways."""
    return ours.intrinsics.distortion != theirs.intrinsics.distortion or ours.was != theirs.was


def _frame(stream: Stream) -> str:
    return stream.frame_id or "frame not told"
