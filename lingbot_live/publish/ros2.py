"""Topics of ROS 2, named like those of realsense-ros. What nobody reads is not even encoded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import ConfigError, LingbotLiveError, PublishError
from lingbot_live.frame import ColorImage, DepthMap, Frame, Intrinsics, RefinedFrame
from lingbot_live.geometry import deproject
from lingbot_live.publish.place import Place
from lingbot_live.publish.sink import Level
from lingbot_live.recording.clock import Moment
from lingbot_live.recording.encode import encode_jpeg, optical_frame
from lingbot_live.recording.mcap import cdr
from lingbot_live.recording.mcap.cdr_cloud import POINT, encode_cloud
from lingbot_live.ros2 import types, wire

_QUALITY = 90  # of JPEG
_MILLIMETRE = 0.001  # 16UC1 means millimetres in ROS (REP 118)


class Ros2Sink:
    """One participant; `viewers` is the most readers that any topic has."""

    def __init__(self, place: Place) -> None:
        try:
            self._network = wire.join(place.bind)
        except (ConfigError, LingbotLiveError) as error:
            raise PublishError(f"publish {place.text}: {error}") from error
        self._space = place.url
        self._outlets: dict[str, wire.Outlet] = {}
        self._told: dict[str, bytes] = {}  # the last transform of each camera
        self._transforms: wire.Outlet | None = None
        self.where = f"ROS 2 domain {wire.domain_id()} by {self._network.name}"

    @property
    def viewers(self) -> int:
        """Of the topic read most."""
        return max((outlet.readers for outlet in list(self._outlets.values())), default=0)

    def is_ready(self) -> bool:
        """Always: sensor data waits for nobody."""
        return True

    def frame(self, name: str, frame: Frame, moment: Moment) -> None:
        """Send colour, depth, calibration, the cloud and the sensors' places."""
        head, lens = cdr.Header(moment.stamp_ns, optical_frame(name)), frame.intrinsics
        color, depth = f"{name}/color", f"{name}/aligned_depth_to_color"
        self._send(
            f"{color}/image_raw", types.IMAGE, lambda: cdr.encode_image(head, "rgb8", frame.color)
        )
        self._send(
            f"{color}/image_raw/compressed", types.COMPRESSED,
            lambda: cdr.encode_compressed(head, "jpeg", encode_jpeg(frame.color, _QUALITY)),
        )  # fmt: skip
        self._send(f"{depth}/image_raw", types.IMAGE, lambda: _depth(head, frame))
        for place in (color, depth):
            self._send(
                f"{place}/camera_info", types.CAMERA_INFO,
                lambda: cdr.encode_camera_info(head, lens),
            )  # fmt: skip
        self._send(
            f"{name}/depth/color/points", types.CLOUD,
            lambda: encode_cloud(head, _points(frame.depth_m, frame.color, lens)),
        )  # fmt: skip
        self._place(name, frame)

    def refined(self, name: str, refined: RefinedFrame, moment: Moment) -> None:
        """Send refined depth and its cloud, at the time of the frame they were made of."""
        head, frame = cdr.Header(moment.stamp_ns, optical_frame(name)), refined.frame
        lens, depth_m = frame.intrinsics, refined.depth_m
        place = f"{name}/refined"
        self._send(
            f"{place}/image_raw", types.IMAGE, lambda: cdr.encode_image(head, "32FC1", depth_m)
        )
        self._send(
            f"{place}/camera_info", types.CAMERA_INFO, lambda: cdr.encode_camera_info(head, lens)
        )
        self._send(
            f"{place}/points", types.CLOUD,
            lambda: encode_cloud(head, _points(depth_m, frame.color, lens)),
        )  # fmt: skip

    def say(self, level: Level, text: str, time_ns: int) -> None:
        """ROS 2's log is of nodes, and this is none."""

    def close(self) -> None:
        """Leave the network."""
        self._outlets.clear()
        self._transforms = None
        self._network.close()

    # ---- private -----------------------------------------------------------------------------

    def _send(self, topic: str, kind: str, encode: Callable[[], bytes]) -> None:
        """Send a message if anyone reads it; a topic is there from its first message on."""
        outlet = self._outlets.get(topic)
        if outlet is None:
            outlet = self._outlets[topic] = self._network.outlet(f"{self._space}/{topic}", kind)
        if outlet.readers:
            outlet.write(encode())

    def _place(self, name: str, frame: Frame) -> None:
        """Tell where the depth sensor is, once and to all who come later; again if it moved."""
        transform = frame.calibration.T_color_depth
        if transform is None:
            return
        told = cdr.encode_transform(
            cdr.Header(0, optical_frame(name)), optical_frame(name, "depth"), transform
        )
        if self._told.get(name) == told:
            return
        self._told[name] = told
        if self._transforms is None:
            self._transforms = self._network.outlet("/tf_static", types.TRANSFORMS, is_latched=True)
        self._transforms.write(told)


def _depth(head: cdr.Header, frame: Frame) -> bytes:
    """Encode raw depth: untouched where its unit is ROS's, else in metres, nothing rounded."""
    if abs(frame.depth_scale_m - _MILLIMETRE) < 1e-9:
        return cdr.encode_image(head, "16UC1", frame.depth_raw)
    return cdr.encode_image(head, "32FC1", frame.depth_m)


def _points(depth_m: DepthMap, color: ColorImage, lens: Intrinsics) -> npt.NDArray[np.void]:
    """Return the valid pixels as (N,) of `POINT`, metres."""
    valid = depth_m > 0
    points = np.zeros(np.count_nonzero(valid), POINT)
    points["xyz"] = deproject(depth_m, lens)[valid]
    points["bgr"] = color[valid][:, ::-1]
    return points
