"""Foxglove's messages as JSON and as Protocol Buffers, and ROS 1 messages, in MCAP."""

from __future__ import annotations

import base64
import json

import cv2
import numpy as np
import pytest
import ros_takes as made
from mcap.writer import Writer

from lingbot_live.errors import CorruptRecordingError, NoCameraError
from lingbot_live.recording.foreign.decoders import decoder
from lingbot_live.recording.foreign.messages import Channel
from lingbot_live.recording.recording import Recording

RAW, COMPRESSED = "foxglove.RawImage", "foxglove.CompressedImage"
CAMERA, MOVE = "foxglove.CameraCalibration", "foxglove.FrameTransform"
STEP_M = 0.1  # how far the depth sensor stands beside colour
FIELDS = {
    RAW: {"timestamp": "time", "frame_id": "string", "width": "fixed32", "height": "fixed32",
          "encoding": "string", "step": "fixed32", "data": "bytes"},
    COMPRESSED: {"timestamp": "time", "frame_id": "string", "data": "bytes", "format": "string"},
    CAMERA: {"timestamp": "time", "frame_id": "string", "width": "fixed32", "height": "fixed32",
             "distortion_model": "string", "D": "double*", "K": "double*", "R": "double*",
             "P": "double*"},
    MOVE: {"timestamp": "time", "parent_frame_id": "string", "child_frame_id": "string",
           "translation": "foxglove.Vector3", "rotation": "foxglove.Quaternion"},
    "foxglove.Vector3": dict.fromkeys("xyz", "double"),
    "foxglove.Quaternion": dict.fromkeys("xyzw", "double"),
}  # fmt: skip


class Json:
    encoding, schema_encoding = "json", "jsonschema"

    def definition(self, kind):
        return b'{"type": "object"}'

    def pack(self, kind, values):
        def plain(value):
            if isinstance(value, dict):
                return {name: plain(one) for name, one in value.items()}
            return base64.b64encode(value).decode() if isinstance(value, bytes) else value

        sec, nsec = divmod(values["timestamp"], 10**9)
        return json.dumps({**plain(values), "timestamp": {"sec": sec, "nsec": nsec}}).encode()


class Protobuf:
    encoding = schema_encoding = "protobuf"

    def __init__(self):
        pytest.importorskip("google.protobuf")
        from google.protobuf import descriptor_pb2 as pb
        from google.protobuf import descriptor_pool, message_factory, timestamp_pb2

        codes = {"string": 9, "bytes": 12, "double": 1, "fixed32": 7}
        files = []
        for kind, fields in FIELDS.items():
            file = pb.FileDescriptorProto(
                name=f"{kind}.proto", package="foxglove", syntax="proto3",
                dependency=["google/protobuf/timestamp.proto", "foxglove.Vector3.proto",
                            "foxglove.Quaternion.proto"][: None if kind == MOVE else 1],
            )  # fmt: skip
            message = file.message_type.add(name=kind.partition(".")[2])
            for number, (name, form) in enumerate(fields.items(), 1):
                field = message.field.add(name=name, number=number, label=1 + 2 * ("*" in form))
                field.type = codes.get(form.rstrip("*"), 11)
                if field.type == 11:
                    whole = "google.protobuf.Timestamp" if form == "time" else form
                    field.type_name = f".{whole}"
            files.append(file)
        time = pb.FileDescriptorProto()
        timestamp_pb2.DESCRIPTOR.CopyToProto(time)
        # Those that are needed come last, as some writers have it.
        self.files = pb.FileDescriptorSet(file=[*files, time])
        pool = descriptor_pool.DescriptorPool()
        for file in (time, *reversed(files)):
            pool.AddSerializedFile(file.SerializeToString())
        self.kinds = {
            kind: message_factory.GetMessageClass(pool.FindMessageTypeByName(kind))
            for kind in FIELDS
        }

    def definition(self, kind):
        return self.files.SerializeToString()

    def pack(self, kind, values):
        sec, nsec = divmod(values["timestamp"], 10**9)
        return self.kinds[kind](
            **{**values, "timestamp": {"seconds": sec, "nanos": nsec}}
        ).SerializeToString()


@pytest.fixture(params=[Json, Protobuf])
def form(request):
    return request.param()


def write(path, form, color="raw", moved=False):
    """Six frames; colour raw or as PNG, the depth sensor beside colour if ``moved``."""
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start(profile="", library="test")
        channels = {}

        def put(topic, kind, time_ns, **values):
            if topic not in channels:
                data = form.definition(kind)
                schema = writer.register_schema(kind, form.schema_encoding, data)
                channels[topic] = writer.register_channel(topic, form.encoding, schema)
            data = form.pack(kind, {"timestamp": time_ns, **values})
            writer.add_message(channels[topic], time_ns + 5_000_000, data, time_ns)

        frame = "depth" if moved else "color"
        for row, time_ns in enumerate(made.TIMES_NS):
            size = {"width": made.WIDTH, "height": made.HEIGHT}
            lens = {"distortion_model": "plumb_bob", "D": [0.0] * 5, "K": list(made.K),
                    "R": np.eye(3).ravel().tolist(), "P": list(np.hstack(
                        [np.reshape(made.K, (3, 3)), np.zeros((3, 1))]).ravel())}  # fmt: skip
            put("/depth", RAW, time_ns, frame_id=frame, **size, encoding="16UC1",
                step=2 * made.WIDTH, data=made.depth(row).tobytes())  # fmt: skip
            image = made.color(row)
            if color == "raw":
                put("/color", RAW, time_ns, frame_id="color", **size, encoding="rgb8",
                    step=3 * made.WIDTH, data=image.tobytes())  # fmt: skip
            else:
                packed = cv2.imencode(f".{color}", image[..., ::-1])[1].tobytes()
                put("/color", COMPRESSED, time_ns, frame_id="color", format=color, data=packed)
            put("/calibration", CAMERA, time_ns, frame_id="color", **size, **lens)
            if moved:
                put("/depth_calibration", CAMERA, time_ns, frame_id="depth", **size, **lens)
                put("/moves", MOVE, time_ns, parent_frame_id="color", child_frame_id="depth",
                    translation={"x": STEP_M, "y": 0.0, "z": 0.0},
                    rotation={"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0})  # fmt: skip
        writer.finish()
    return path


@pytest.mark.parametrize("color", ["raw", "png", "jpeg"])
def test_images_and_calibration(tmp_path, form, color):
    with Recording(write(tmp_path / "take.mcap", form, color)) as recording:
        assert made.numbers(recording) == list(range(6))
        frame = recording[3]
        k = frame.intrinsics
        assert (k.fx, k.fy, k.cx, k.cy) == (made.K[0], made.K[4], made.K[2], made.K[5])
        assert frame.device_timestamp_us == made.TIMES_NS[3] // 1000
        assert np.array_equal(frame.depth_raw, made.depth(3))
        if color != "jpeg":
            assert np.array_equal(frame.color, made.color(3))


def test_depth_beside_colour_is_registered_by_the_transform(tmp_path, form):
    with Recording(write(tmp_path / "take.mcap", form, moved=True)) as recording:
        depth = recording[0].depth_raw
    shift_px = round(STEP_M * made.K[0] / 1.5)  # 4: what the depth sensor sees lies further right
    assert (depth[:, : shift_px - 1] == 0).all()
    assert (depth[2:-2, shift_px:] == 1500).all()


NONSENSE = [b"\xff\xff\xff", b"[1]", b'{"timestamp": 3}', b"null", b'{"width": "x"}']


@pytest.mark.parametrize("data", NONSENSE)
@pytest.mark.parametrize("kind", [RAW, COMPRESSED, CAMERA, MOVE])
def test_damaged_messages_are_one_clear_error(form, data, kind):
    channel = Channel(0, "/x", kind, form.encoding, 1, form.definition(kind))
    reader = decoder(form.encoding)
    if data == NONSENSE[-1] and kind in (COMPRESSED, MOVE) and form.encoding == "json":
        data = b'{"timestamp": "x"}'
    with pytest.raises(CorruptRecordingError, match=r"^/x: "):
        reader.decode(channel, data)
    assert reader.header(channel, data) is None


@pytest.mark.parametrize("kind", [RAW, MOVE])
def test_empty_messages_are_one_clear_error(form, kind):
    channel = Channel(0, "/x", kind, form.encoding, 1, form.definition(kind))
    with pytest.raises(CorruptRecordingError, match=r"^/x: "):
        decoder(form.encoding).decode(channel, b"")


def test_a_definition_that_cannot_be_read_is_said(tmp_path):
    class Broken(Protobuf):
        def definition(self, kind):
            return b"\x0a\xffnonsense"

    with pytest.raises(NoCameraError, match="definition of foxglove"):
        Recording(write(tmp_path / "take.mcap", Broken()))


def test_ros1_messages_in_mcap(tmp_path):
    pytest.importorskip("rosbags")
    from rosbags.rosbag1 import Reader

    path = tmp_path / "take.mcap"
    with Reader(made.ros1(tmp_path / "take.bag")) as bag, path.open("wb") as stream:
        writer = Writer(stream)
        writer.start(profile="ros1", library="test")
        numbers = {}
        for connection, time_ns, data in bag.messages():
            if connection.topic not in numbers:
                name = connection.msgtype.replace("/msg/", "/")
                schema = writer.register_schema(name, "ros1msg", connection.msgdef.data.encode())
                numbers[connection.topic] = writer.register_channel(
                    connection.topic, "ros1", schema
                )
            writer.add_message(numbers[connection.topic], time_ns, bytes(data), time_ns)
        writer.finish()
    with Recording(path) as recording:
        assert made.numbers(recording) == list(range(6))
        assert recording[0].intrinsics.fx == made.K[0]
