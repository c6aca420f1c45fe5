"""A WebSocket server for Foxglove, by foxglove-sdk.

What nobody has subscribed to is not even encoded. Topics are called as in session files.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import PublishError
from lingbot_live.frame import ColorImage, DepthMap, Extrinsics, Frame, Intrinsics, RefinedFrame
from lingbot_live.geometry import deproject
from lingbot_live.publish.foxglove_helm import Helm, ViewerCount, abilities
from lingbot_live.publish.gate import Gate
from lingbot_live.publish.place import LOOPBACK, Place, free_port
from lingbot_live.publish.sink import Level
from lingbot_live.publish.steering import Steering
from lingbot_live.publish.stuck import Readers
from lingbot_live.recording.clock import Moment
from lingbot_live.recording.encode import encode_jpeg, optical_frame
from lingbot_live.recording.mcap.cdr import DISTORTION_MODELS
from lingbot_live.system.worker import IMPORTS, Worker

Fields = dict[str, Any]  # of a message

INSTALL = 'pip install "lingbot-live[foxglove]"'
# Messages that wait for one viewer; then the oldest go. At 640x480 that is about 40 MB.
_BACKLOG = 32
_LETS_GO_S = 2.0
_PAUSE_S = 0.1  # while all viewers are stuck
_QUALITY = 90  # of JPEG
_POINT = np.dtype([("xyz", "<f4", 3), ("rgba", "u1", 4)])
_COLORS = ("red", "green", "blue", "alpha")
_LEVELS = {Level.INFO: "Info", Level.WARN: "Warning", Level.ERROR: "Error"}


class FoxgloveSink:
    """Serves all cameras at one address; `viewers` counts those that subscribed to anything.

    With ``steering``, viewers may also read and change parameters and call services.
    """

    def __init__(self, place: Place, steering: Steering | None = None) -> None:
        self._sdk = _imported(place)
        self._context = self._sdk.Context()
        self._listener = ViewerCount() if steering is None else Helm(self._sdk, steering)
        self._server = self._started(place, steering)
        self._listener.server = self._server
        self._readers = Readers(self._server.port)
        self._channels: dict[str, Any] = {}
        self._gate: Gate | None = None
        port = self._server.port
        if place.token:
            port = free_port(place)
            self._gate = Gate(place.bind, port, self._server.port, place.token)
        self.where = f"ws://{place.host}:{port}"

    @property
    def viewers(self) -> int:
        """Clients with a subscription."""
        return self._listener.count

    def is_ready(self) -> bool:
        """Whether anyone reads; what is subscribed to and not read need not be encoded."""
        if not self._readers.are_stuck():
            return True
        time.sleep(_PAUSE_S)
        return False

    def frame(self, name: str, frame: Frame, moment: Moment) -> None:
        """Send colour, raw depth, calibration, the sensors' places and the raw cloud."""
        head = self._head(name, moment)
        scale = {"depth_scale_m": f"{frame.depth_scale_m:.9g}"}
        lens, T_color_depth = frame.calibration.color, frame.calibration.T_color_depth
        send = partial(self._send, moment)
        send(f"/{name}/color/image/compressed", "CompressedImage", lambda: _jpeg(head, frame.color))
        send(
            f"/{name}/depth/image",
            "RawImage",
            lambda: _image(head, "16UC1", frame.depth_raw),
            scale,
        )
        self._tell(moment, name, frame)
        send(f"/{name}/color/camera_info", "CameraCalibration", lambda: _lens(head, lens))
        if T_color_depth is not None:
            child = optical_frame(name, "depth")
            place = partial(self._transform, head, child, T_color_depth)
            send(f"/{name}/tf", "FrameTransform", place)
        cloud = partial(self._cloud, head, frame.color, lens)
        send(f"/{name}/points", "PointCloud", lambda: cloud(frame.depth_m))

    def refined(self, name: str, refined: RefinedFrame, moment: Moment) -> None:
        """Send refined depth and its cloud, at the time of the frame they were made of."""
        head, frame = self._head(name, moment), refined.frame
        image = partial(_image, head, "32FC1", refined.depth_m)
        self._send(moment, f"/{name}/refined/image", "RawImage", image)
        cloud = partial(self._cloud, head, frame.color, frame.calibration.color, refined.depth_m)
        self._send(moment, f"/{name}/refined/points", "PointCloud", cloud)

    def say(self, level: Level, text: str, time_ns: int) -> None:
        """Send a word of the log."""
        levels = self._sdk.messages.LogLevel
        fields = {
            "timestamp": _stamp(self._sdk, time_ns),
            "level": getattr(levels, _LEVELS[level]),
            "message": text,
            "name": "lingbot-live",
        }
        self._send(Moment(time_ns, time_ns), "/log", "Log", lambda: fields)

    def close(self) -> None:
        """Close the port; a client that does not read is not waited for."""
        if self._gate is not None:
            self._gate.close()
        closer = Worker("foxglove close", lambda stop: self._server.stop())
        closer.start()
        closer.join(_LETS_GO_S)

    # ---- private -----------------------------------------------------------------------------

    def _started(self, place: Place, steering: Steering | None) -> Any:
        # Its own error names neither address nor port. Behind a gate it takes any, for itself.
        host, port = (LOOPBACK, 0) if place.token else (place.bind, free_port(place))
        more = {} if steering is None else abilities(self._sdk, steering)
        try:
            return self._sdk.start_server(
                name="lingbot-live", host=host, port=port, context=self._context,
                server_listener=self._listener, message_backlog_size=_BACKLOG, **more,
            )  # fmt: skip
        except RuntimeError as error:
            raise PublishError(f"publish {place.text}: {error}; choose another port") from error

    def _send(
        self,
        moment: Moment,
        topic: str,
        schema: str,
        fields: Callable[[], Fields],
        metadata: dict[str, str] | None = None,
    ) -> None:
        """Send a message if anyone wants it; a topic is there from its first message on."""
        channel = self._channels.get(topic)
        if channel is not None and metadata and channel.metadata() != metadata:
            channel.close()
            channel = None
        if channel is None:
            make = getattr(self._sdk.channels, f"{schema}Channel")
            channel = make(topic, context=self._context, metadata=metadata)
            self._channels[topic] = channel
        if channel.has_sinks():
            message = getattr(self._sdk.messages, schema)(**fields())
            channel.log(message, log_time=moment.log_ns)

    def _tell(self, moment: Moment, name: str, frame: Frame) -> None:
        """Say what Foxglove's own messages cannot: the unit of depth."""
        topic = f"/{name}/camera"
        if topic not in self._channels:
            self._channels[topic] = self._sdk.Channel(
                topic, message_encoding="json", context=self._context
            )
        if self._channels[topic].has_sinks():
            told = json.dumps({"depth_scale_m": float(f"{frame.depth_scale_m:.9g}")})
            self._channels[topic].log(told.encode(), log_time=moment.log_ns)

    def _head(self, name: str, moment: Moment) -> Fields:
        return {
            "timestamp": _stamp(self._sdk, moment.stamp_ns),
            "frame_id": optical_frame(name),
        }

    def _transform(self, head: Fields, child: str, transform: Extrinsics) -> Fields:
        messages = self._sdk.messages
        vector = dict(zip("xyz", transform.translation_m, strict=True))
        turn = dict(zip("xyzw", transform.quaternion, strict=True))
        return {
            "timestamp": head["timestamp"],
            "parent_frame_id": head["frame_id"],
            "child_frame_id": child,
            "translation": messages.Vector3(**vector),
            "rotation": messages.Quaternion(**turn),
        }

    def _cloud(
        self, head: Fields, color: ColorImage, lens: Intrinsics, depth_m: DepthMap
    ) -> Fields:
        messages = self._sdk.messages
        field, kinds = messages.PackedElementField, messages.PackedElementFieldNumericType
        return {
            **head,
            "pose": messages.Pose(
                position=messages.Vector3(), orientation=messages.Quaternion(w=1.0)
            ),
            "fields": [
                *(field(name=n, offset=4 * i, type=kinds.Float32) for i, n in enumerate("xyz")),
                *(field(name=n, offset=12 + i, type=kinds.Uint8) for i, n in enumerate(_COLORS)),
            ],
            "point_stride": _POINT.itemsize,
            "data": _points(depth_m, color, lens),
        }


def _imported(place: Place) -> Any:
    try:
        with IMPORTS:
            import foxglove
            import foxglove.channels
            import foxglove.messages
            import foxglove.websocket
    except ImportError as error:
        raise PublishError(
            f"publish {place.text}: foxglove-sdk cannot be imported ({error}). Run: {INSTALL}"
        ) from error
    return foxglove


def _stamp(sdk: Any, time_ns: int) -> Any:
    return sdk.messages.Timestamp(time_ns // 10**9, time_ns % 10**9)


def _jpeg(head: Fields, color: ColorImage) -> Fields:
    return {**head, "format": "jpeg", "data": encode_jpeg(color, _QUALITY)}


def _image(head: Fields, encoding: str, pixels: npt.NDArray[Any]) -> Fields:
    height, width = pixels.shape
    little = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
    return {
        **head,
        "width": width,
        "height": height,
        "encoding": encoding,
        "step": width * pixels.itemsize,
        "data": little.tobytes(),
    }


def _lens(head: Fields, lens: Intrinsics) -> Fields:
    k = lens.matrix
    return {
        **head,
        "width": lens.width,
        "height": lens.height,
        "distortion_model": DISTORTION_MODELS[len(lens.distortion)],
        "D": list(lens.distortion),
        "K": k.ravel().tolist(),
        "R": np.eye(3).ravel().tolist(),
        "P": np.column_stack([k, np.zeros(3)]).ravel().tolist(),
    }


def _points(depth_m: DepthMap, color: ColorImage, lens: Intrinsics) -> bytes:
    """Pack the valid pixels of a depth image as points: x y z float32 metres, then red to alpha."""
    valid = depth_m > 0
    points = np.empty(np.count_nonzero(valid), _POINT)
    points["xyz"] = deproject(depth_m, lens)[valid]
    points["rgba"][:, :3] = color[valid]
    points["rgba"][:, 3] = 255
    return points.tobytes()
