"""Other people's readers, other people's files, and the commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from rvl_by_paper import by_the_paper
from sessions import NoisyCamera, record

from lingbot_live.cameras import registry
from lingbot_live.cameras.readings import OFFLINE, every_frame
from lingbot_live.errors import BadRecordingError, RecordingError, RefinerError
from lingbot_live.frame import RefinerInfo
from lingbot_live.recording.foreign import Topics
from lingbot_live.recording.format import TOPICS, Role
from lingbot_live.recording.mcap.schemas import definition
from lingbot_live.recording.offline import refine_file
from lingbot_live.recording.recording import Recording
from lingbot_live.refiners.base import PassthroughRefiner

rosbags = pytest.importorskip("rosbags", reason="rosbags is in the dev extra")
DOC = Path(__file__).parents[2] / "docs" / "session-format.md"


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    path = tmp_path_factory.mktemp("take") / "a.mcap"
    left = NoisyCamera("left", 8, with_imu=True)
    witness, _ = record(path, left, NoisyCamera("right", 8, 0.00025, seed=1))
    return path, witness


# ---- our files in others' readers ----------------------------------------------------------------


def test_rosbags_reads_every_message(take):
    from rosbags.highlevel import AnyReader

    path, witness = take
    seen: dict[str, int] = {}
    with AnyReader([path]) as reader:
        total = sum(connection.msgcount for connection in reader.connections)
        for connection, time_ns, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            seen[connection.topic] = row = seen.get(connection.topic, -1) + 1
            frame = witness.frames["noisy:left"][min(row, 7)]
            if connection.topic == "/noisy_left/depth/image/compressedDepth":
                assert message.format == "16UC1; compressedDepth rvl"
                assert np.array_equal(by_the_paper(bytes(message.data[12:])), frame.depth_raw)
                assert message.header.frame_id == "noisy_left_color_optical_frame"
                stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
                assert abs(stamp_ns - time_ns) < 10**9
            if connection.topic == "/noisy_left/color/camera_info":
                assert message.distortion_model == "plumb_bob"
                assert tuple(message.d) == frame.intrinsics.distortion
                assert np.array_equal(message.k.reshape(3, 3), frame.intrinsics.matrix)
            if connection.topic == "/noisy_left/imu":
                given = [s for f in witness.frames["noisy:left"] for s in f.imu][row]
                pull, turn = message.linear_acceleration, message.angular_velocity
                has_pull = message.linear_acceleration_covariance[0] != -1
                has_turn = message.angular_velocity_covariance[0] != -1
                assert message.orientation_covariance[0] == -1
                assert given.acceleration_m_s2 == ((pull.x, pull.y, pull.z) if has_pull else None)
                assert given.angular_velocity_rad_s == (
                    (turn.x, turn.y, turn.z) if has_turn else None
                )
            if connection.topic == "/noisy_left/imu":
                reading = witness.frames["noisy:left"][row // 3].imu[row % 3]
                turn, pull = message.angular_velocity, message.linear_acceleration
                found = [(v.x, v.y, v.z) for v in (turn, pull)]
                given = [reading.angular_velocity_rad_s, reading.acceleration_m_s2]
                assert found == [vector or (0.0, 0.0, 0.0) for vector in given]
            if connection.topic == "/tf_static":
                rotation = message.transforms[0].transform.rotation
                assert (rotation.z, rotation.w) == pytest.approx((0.5**0.5, 0.5**0.5))
    assert sum(count + 1 for count in seen.values()) == total


def test_mcap_package_validates_the_file(take):
    from mcap.reader import make_reader

    path, _ = take
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert reader.get_header().profile == "ros2"
        assert sum(1 for _ in reader.iter_messages()) == summary.statistics.message_count


def test_the_readmes_example_runs(take, capsys):
    path, _ = take
    readme = (DOC.parents[1] / "README.md").read_text("utf-8")
    (code,) = (c for c in re.findall(r"```python\n(.*?)```", readme, re.S) if "Recording(" in c)
    for there, here in {
        "desk.mcap": str(path),
        "realsense:f1234567": "noisy:left",
        "100": "3",
        "2_000_000_000": "1_000_000",
    }.items():
        assert there in code
        code = code.replace(there, here)
    found: dict[str, object] = {}
    exec(code, found)
    assert "16 frames of ['noisy:" in capsys.readouterr().out
    assert len(found["arrays"]["color"]) == 1  # each tenth of eight


def test_the_document_names_every_topic_and_field(take):
    path, _ = take
    text = DOC.read_text("utf-8")
    topics = {topic for topic, _ in TOPICS.values()}
    assert topics == set(re.findall(r"^\| `(/[^`]+)`", text, re.MULTILINE))
    with Recording(path) as recording:
        for channel in recording._reader.index.channels.values():
            general = re.sub(r"^/noisy_(left|right)/", "/{camera}/", channel.topic)
            schema = recording._reader.index.schemas[channel.schema_id]
            assert re.search(rf"^\| `{re.escape(general)}` \| `{schema.name}` \|", text, re.M)
            assert schema.data == definition(schema.name)
        notes = [json.loads(line) for line in re.findall(r"^ {4}(\{.*\})$", text, re.MULTILINE)]
        track = recording.track()
        actual = [
            json.loads(track._text(role, int(track.refined_times_ns[0])))
            for role in (Role.FRAME, Role.REFINED)
        ]
        assert [set(note) for note in notes[:2]] == [set(note) for note in actual]
        for key in recording.metadata["lingbot_live"]:
            assert f"`{key}`" in text


# ---- others' files in our reader -----------------------------------------------------------------


@pytest.fixture
def foreign(tmp_path):
    """A rosbag2 folder's MCAP, written by rosbags: BGR colour, depth in metres, other names."""
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    kinds = store.types
    rng = np.random.default_rng(3)
    depths = rng.uniform(0.3, 9.0, (5, 24, 32)).astype(np.float32)
    depths[:, :4] = np.nan
    colors = rng.integers(0, 255, (5, 48, 64, 3), np.uint8)
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        image, info = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
        topics = {
            "/head/depth_registered/points_image": image,
            "/head/rgb/image_raw": image,
            "/other/rgb/image_raw": image,
            "/head/rgb/camera_info": info,
        }
        connections = {t: writer.add_connection(t, k, typestore=store) for t, k in topics.items()}

        def header(time_ns, frame_id):
            stamp = kinds["builtin_interfaces/msg/Time"](*divmod(time_ns, 10**9))
            return kinds["std_msgs/msg/Header"](stamp, frame_id)

        def put(topic, time_ns, message):
            data = store.serialize_cdr(message, topics[topic])
            writer.write(connections[topic], time_ns, data)

        roi = kinds["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        k = np.array([60, 0, 31.5, 0, 61, 23.5, 0, 0, 1], np.float64)
        calibration = kinds["sensor_msgs/msg/CameraInfo"](
            header(10**18, "head"), 48, 64, "plumb_bob", np.zeros(5), k, np.eye(3).ravel(),
            np.zeros(12), 0, 0, roi,
        )  # fmt: skip
        put("/head/rgb/camera_info", 10**18, calibration)
        for row in range(5):
            time_ns = 10**18 + row * 33_000_000
            make = kinds["sensor_msgs/msg/Image"]
            rgb = colors[row].ravel()
            put(
                "/head/rgb/image_raw",
                time_ns + 10**6,
                make(header(time_ns, "head"), 48, 64, "bgr8", 0, 192, rgb),
            )
            put(
                "/other/rgb/image_raw",
                time_ns,
                make(header(time_ns, "other"), 48, 64, "bgr8", 0, 192, rgb * 0),
            )
            put(
                "/head/depth_registered/points_image",
                time_ns,
                make(
                    header(time_ns, "head"),
                    24,
                    32,
                    "32FC1",
                    0,
                    128,
                    depths[row].view(np.uint8).ravel(),
                ),
            )
    return next((tmp_path / "bag").glob("*.mcap")), depths, colors


def check_foreign(recording, depths, colors):
    assert len(recording) == 5
    frame = recording[3]
    want = np.nan_to_num(depths[3])
    assert np.abs(frame.depth_m - want).max() < 0.00051
    assert (frame.depth_raw[:4] == 0).all()
    assert (frame.intrinsics.width, frame.intrinsics.fx) == (32, 30)
    assert frame.intrinsics.cx == 15.5
    mean = colors[3].reshape(24, 2, 32, 2, 3).mean((1, 3))[..., ::-1]
    assert np.abs(frame.color - mean).max() <= 1
    assert frame.device_timestamp_us == (10**18 + 3 * 33_000_000) // 1000


def test_a_rosbag2_file_opens(foreign):
    path, depths, colors = foreign
    with Recording(path) as recording:
        assert not recording.is_own
        check_foreign(recording, depths, colors)


def test_topics_may_be_named(foreign):
    path, depths, colors = foreign
    topics = ("/head/depth_registered/points_image", "/head/rgb/image_raw", "/head/rgb/camera_info")
    with Recording(path, Topics(*topics)) as recording:
        check_foreign(recording, depths, colors)
    with pytest.raises(RecordingError, match="there are: /head"):
        Recording(path, Topics("/nope", *topics[1:]))
    with registry.create_camera(f"session:{path}#{','.join(topics)}", OFFLINE) as camera:
        played = [frame.depth_raw for frame in every_frame(camera)]
    with Recording(path) as recording:
        assert np.array_equal(played, [frame.depth_raw for frame in recording])
    with pytest.raises(BadRecordingError, match="there are: /head"):
        registry.find_camera(f"session:{path}#/nope,/rgb,/info")


def test_a_foreign_file_can_be_refined_into_ours(foreign, tmp_path):
    path = foreign[0]
    assert refine_file(path, tmp_path / "ours.mcap", PassthroughRefiner()) == 0
    with Recording(tmp_path / "ours.mcap") as ours, Recording(path) as theirs:
        assert ours.is_own
        assert len(ours) == 5
        for row in range(5):
            assert np.array_equal(ours[row].depth_raw, theirs[row].depth_raw)
            assert ours.refined(row).refiner.name == "none"


# ---- offline -------------------------------------------------------------------------------------


class Moody(PassthroughRefiner):
    """Fails on frame 2, and is interrupted at its ninth."""

    def __init__(self, most: int = 1000) -> None:
        super().__init__()
        self.info = RefinerInfo("moody")
        self.most, self.served = most, 0

    def _refine(self, frame):
        self.served += 1
        if self.served > self.most:
            raise KeyboardInterrupt
        if frame.index == 2:
            raise RefinerError("not this one")
        return super()._refine(frame)


def test_refining_goes_on_where_it_was_interrupted(take, tmp_path):
    source, _ = take
    before = source.read_bytes()
    out = tmp_path / "out.mcap"
    with pytest.raises(KeyboardInterrupt):
        refine_file(source, out, Moody(most=9))
    assert not out.exists()
    with pytest.raises(RecordingError, match="another refiner"):
        refine_file(source, out, PassthroughRefiner())
    second = Moody()
    seen: list[tuple[int, int]] = []
    refine_file(source, out, second, on_progress=lambda *at: seen.append(at))
    assert second.served == 16 - 9
    assert seen[-1] == (16, 16)
    assert sorted(tmp_path.iterdir()) == [out]
    assert source.read_bytes() == before
    with Recording(out) as made, Recording(source) as old:
        assert made.damage == ()
        assert len(made) == len(old) == 16
        for row in range(16):
            assert np.array_equal(made[row].depth_raw, old[row].depth_raw)
            assert np.array_equal(made[row].color, old[row].color)
            refined = made.refined(row)
            assert (refined is None) == (made[row].index == 2)
        failed = [e for e in made.events if e.text == "not refined: refiner failed"]
        assert len(failed) == 2
    with pytest.raises(RecordingError, match="exists already"):
        refine_file(source, out, Moody())
