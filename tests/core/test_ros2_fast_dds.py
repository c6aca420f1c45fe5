"""ROS 2 by Fast DDS, which ROS 2 takes unless told otherwise: it hears us, and we hear it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import first_frame
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.pipeline.session import Session
from lingbot_live.publish.publisher import Publisher
from lingbot_live.publish.table import parse_place

pytest.importorskip("cyclonedds", reason="pip install lingbot-live[ros2]")
rosbags = pytest.importorskip("rosbags.typesys")

SOURCE = Path(__file__).parents[1] / "fast_dds_peer.cpp"
CAM = "/robot/synthetic_stereo"
WANTED = {
    f"{CAM}/color/image_raw": "sensor_msgs/msg/Image",
    f"{CAM}/color/camera_info": "sensor_msgs/msg/CameraInfo",
    f"{CAM}/aligned_depth_to_color/image_raw": "sensor_msgs/msg/Image",
    f"{CAM}/refined/image_raw": "sensor_msgs/msg/Image",
    f"{CAM}/depth/color/points": "sensor_msgs/msg/PointCloud2",
}


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    """The participant, compiled; it looks where CPATH and its like say, too."""
    if shutil.which("g++") is None:
        pytest.skip("apt install g++ libfastrtps-dev")
    made = tmp_path_factory.mktemp("fast-dds") / "peer"
    command = ["g++", "-std=c++17", "-pthread", SOURCE, "-o", made, "-lfastrtps", "-lfastcdr"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No such file or directory" in told.stderr:
        pytest.skip("apt install libfastrtps-dev")
    assert told.returncode == 0, told.stderr
    return made


@pytest.fixture
def domain(monkeypatch):
    """A domain of this test alone."""
    number = str(100 + os.getpid() % 100)
    monkeypatch.setenv("ROS_DOMAIN_ID", number)
    return number


def test_it_hears_every_pixel_stamp_and_lens(peer, tmp_path, domain):
    config = CameraConfig(width=160, height=120, fps=15, loop=True)
    session = Session.of(["synthetic:stereo"], RefinerConfig("none"), config)
    frames: dict[bytes, Frame] = {}
    results: set[bytes] = set()

    def keep(camera: str, what: Frame | RefinedFrame) -> None:
        if isinstance(what, Frame):
            frames[bytes(what.depth_raw)] = what
        else:
            results.add(what.depth_m.tobytes())

    session.add_tap(keep)
    publisher = Publisher(parse_place("ros2:/robot"))
    publisher.start(session)
    words = [f"{name}={kind}" for name, kind in WANTED.items()]
    with subprocess.Popen(
        [peer, "hear", domain, tmp_path, *words], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        session.start()
        assert child.wait(60) == 0
    session.stop()
    assert publisher.stop()
    color, lens, depth, refined, points = (
        [STORE.deserialize_cdr(path.read_bytes(), kind) for path in files]
        for kind, files in zip(
            WANTED.values(), (sorted(tmp_path.glob(f"{n}-*.cdr")) for n in range(5)), strict=True
        )
    )
    assert [len(found) for found in (color, lens, depth, refined, points)] == [3] * 5
    for message in depth:
        frame = frames[message.data.tobytes()]  # pixel by pixel, or there is none
        assert message.header.frame_id == "synthetic_stereo_color_optical_frame"
        assert (message.encoding, message.height, message.step) == ("16UC1", 120, 320)
    assert {message.data.tobytes() for message in refined} <= results
    assert {m.data.tobytes() for m in color} <= {f.color.tobytes() for f in frames.values()}
    np.testing.assert_array_equal(lens[0].k.reshape(3, 3), frame.intrinsics.matrix)
    assert [field.name for field in points[0].fields] == ["x", "y", "z", "rgb"]
    first, last = (at.header.stamp for at in (depth[0], depth[-1]))
    apart_ns = (last.sec - first.sec) * 10**9 + last.nanosec - first.nanosec
    device_us = [frames[m.data.tobytes()].device_timestamp_us for m in (depth[0], depth[-1])]
    assert apart_ns == (device_us[1] - device_us[0]) * 1000, "stamps are the device's"


def test_we_hear_every_pixel_stamp_and_lens(peer, tmp_path, domain):
    rng = np.random.default_rng(0)
    color = rng.integers(0, 256, (120, 160, 3), np.uint8)
    depth = rng.integers(300, 5000, (120, 160), np.uint16)
    head = "/camera/camera"
    said = {
        f"{head}/color/image_raw": ("Image", image("rgb8", color)),
        f"{head}/color/camera_info": ("CameraInfo", LENS),
        f"{head}/aligned_depth_to_color/image_raw": ("Image", image("16UC1", depth)),
        f"{head}/aligned_depth_to_color/camera_info": ("CameraInfo", LENS),
    }
    for place, (kind, message) in enumerate(said.values()):
        data = STORE.serialize_cdr(message, f"sensor_msgs/msg/{kind}")
        (tmp_path / f"{place}.cdr").write_bytes(data)
    words = [f"{name}=sensor_msgs/msg/{kind}" for name, (kind, _) in said.items()]
    with subprocess.Popen(
        [peer, "say", domain, tmp_path, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        with registry.create_camera(f"ros2:{head}") as camera:
            frames = [first_frame(camera) for _ in range(3)]
        child.communicate(timeout=30)
    for frame in frames:
        np.testing.assert_array_equal(frame.color, color)
        np.testing.assert_array_equal(frame.depth_raw, depth)
        np.testing.assert_array_equal(frame.intrinsics.matrix, LENS.k.reshape(3, 3))
    first, *_, last = (frame.device_timestamp_us for frame in frames)
    assert 0.1e6 < last - first < 20e6


STORE = rosbags.get_typestore(rosbags.Stores.ROS2_HUMBLE)
TYPES = STORE.types
HEAD = TYPES["std_msgs/msg/Header"](TYPES["builtin_interfaces/msg/Time"](0, 0), "camera_optical")
K = np.array([150.0, 0, 80, 0, 151.0, 60, 0, 0, 1])
LENS = TYPES["sensor_msgs/msg/CameraInfo"](
    HEAD, 120, 160, "plumb_bob", np.zeros(5), K, np.eye(3).ravel(), np.zeros(12), 0, 0,
    TYPES["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False),
)  # fmt: skip


def image(encoding: str, pixels: np.ndarray) -> object:
    height, width = pixels.shape[:2]
    data = pixels.view(np.uint8).ravel()
    step = pixels.nbytes // height
    return TYPES["sensor_msgs/msg/Image"](HEAD, height, width, encoding, 0, step, data)
