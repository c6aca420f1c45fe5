"""ROS 2: a participant of others hears every pixel, stamp and lens, within this machine."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from command import command

from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.errors import ConfigError
from lingbot_live.frame import Calibration, Extrinsics, Frame, RefinedFrame
from lingbot_live.pipeline.session import Session
from lingbot_live.publish.publisher import Publisher
from lingbot_live.publish.sink import PublishState
from lingbot_live.publish.table import parse_place
from lingbot_live.recording.clock import Moment

pytest.importorskip("cyclonedds", reason="pip install lingbot-live[ros2]")
from lingbot_live.publish.ros2 import Ros2Sink

SMALL = CameraConfig(width=160, height=120, fps=15, loop=True)
PARTICIPANT = Path(__file__).parents[1] / "ros2_participant.py"
CAM = "/robot/synthetic_stereo"
WANTED = {
    f"{CAM}/color/image_raw": "sensor_msgs/msg/Image",
    f"{CAM}/color/image_raw/compressed": "sensor_msgs/msg/CompressedImage",
    f"{CAM}/color/camera_info": "sensor_msgs/msg/CameraInfo",
    f"{CAM}/aligned_depth_to_color/image_raw": "sensor_msgs/msg/Image",
    f"{CAM}/depth/color/points": "sensor_msgs/msg/PointCloud2",
    f"{CAM}/refined/image_raw": "sensor_msgs/msg/Image",
}


@pytest.fixture
def domain(monkeypatch):
    """A domain of this test alone."""
    number = 100 + os.getpid() % 100
    monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
    return number


@pytest.fixture
def listen(domain, tmp_path):
    """Start participants of others; each returns what it heard when it is called."""
    begun = []

    def start(wanted, domain=domain):
        out = tmp_path / f"heard{len(begun)}.pickle"
        words = [f"{name}={kind}" for name, kind in wanted.items()]
        child = subprocess.Popen(
            [sys.executable, PARTICIPANT, str(domain), str(out), *words],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        begun.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"

        def heard():
            assert child.wait(30) == 0
            return pickle.loads(out.read_bytes())

        return heard

    yield start
    for child in begun:
        child.kill()
        child.wait()
        child.stdout.close()


@pytest.fixture
def session():
    made = Session.of(["synthetic:stereo"], RefinerConfig("none"), SMALL)
    yield made
    made.stop()


@pytest.fixture
def publisher(session, domain):
    made = Publisher(parse_place("ros2:/robot"))
    made.start(session)
    yield made
    assert made.stop()


def test_a_participant_of_others_hears_every_pixel(session, publisher, listen):
    made: dict[bytes, Frame] = {}
    results: dict[bytes, RefinedFrame] = {}

    def keep(camera, what):
        if isinstance(what, Frame):
            made[bytes(what.depth_raw)] = what
        else:
            results[what.depth_m.tobytes()] = what

    session.add_tap(keep)
    heard = listen(WANTED)
    session.start()
    found = heard()
    session.stop()
    assert {name: len(each) >= 3 for name, each in found.items()} == dict.fromkeys(WANTED, True)
    depths = found[f"{CAM}/aligned_depth_to_color/image_raw"]
    stamps = {}
    for message in depths:
        assert (message["encoding"], message["height"], message["step"]) == ("16UC1", 120, 320)
        assert message["header"]["frame_id"] == "synthetic_stereo_color_optical_frame"
        stamps[_ns(message)] = made[_bytes(message)]  # pixel by pixel, or there is none
        assert abs(_ns(message) - time.time_ns()) < 60e9
    first, last = min(stamps), max(stamps)
    device = [stamps[at].device_timestamp_us for at in (first, last)]
    assert last - first == (device[1] - device[0]) * 1000, "differences are the device's own"
    for message in found[f"{CAM}/color/image_raw"]:
        if _ns(message) in stamps:
            assert _bytes(message) == stamps[_ns(message)].color.tobytes()
    for message in found[f"{CAM}/refined/image_raw"]:
        assert (message["encoding"], message["step"]) == ("32FC1", 640)
        assert _bytes(message) in results
    lens, told = next(iter(made.values())).intrinsics, found[f"{CAM}/color/camera_info"][0]
    np.testing.assert_array_equal(np.reshape(told["k"], (3, 3)), lens.matrix)
    assert (told["width"], told["height"]) == (160, 120)
    cloud = found[f"{CAM}/depth/color/points"][0]
    assert [field["name"] for field in cloud["fields"]] == ["x", "y", "z", "rgb"]
    points = np.frombuffer(_bytes(cloud), "<f4").reshape(-1, 4)[:, :3]
    assert len(points) == cloud["width"]
    if _ns(cloud) in stamps:
        frame = stamps[_ns(cloud)]
        np.testing.assert_array_equal(points[:, 2], frame.depth_m[frame.depth_raw > 0])


def test_what_nobody_reads_is_not_encoded(session, publisher, monkeypatch):
    monkeypatch.setattr("lingbot_live.publish.ros2.encode_jpeg", lambda *_: 1 / 0)
    monkeypatch.setattr("lingbot_live.publish.ros2.encode_cloud", lambda *_: 1 / 0)
    session.start(max_frames=10)
    session.wait()
    assert publisher.stop()
    assert publisher.state is PublishState.STOPPED
    assert publisher.stats().frames > 0


def test_a_latecomer_is_told_where_the_depth_sensor_is(domain, listen):
    place = Extrinsics(translation_m=(0.015, 0.001, -0.002))
    sink = Ros2Sink(parse_place("ros2"))
    frame = _frame(place)
    sink.frame("cam", frame, Moment(1, 1))
    heard = listen({"/tf_static": "tf2_msgs/msg/TFMessage"})
    (message,) = heard()["/tf_static"]
    sink.close()
    (told,) = message["transforms"]
    assert told["child_frame_id"] == "cam_depth_optical_frame"
    assert list(told["transform"]["translation"].values()) == [0.015, 0.001, -0.002]
    assert told["transform"]["rotation"] == {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}


def test_depth_in_another_unit_goes_out_in_metres(domain, listen):
    sink = Ros2Sink(parse_place("ros2"))
    frame = _frame(None, 0.00025)
    heard = listen({"/cam/aligned_depth_to_color/image_raw": "sensor_msgs/msg/Image"})
    for _ in range(40):
        sink.frame("cam", frame, Moment(5, 5))
        time.sleep(0.05)
    message = heard()["/cam/aligned_depth_to_color/image_raw"][0]
    sink.close()
    assert message["encoding"] == "32FC1"
    assert _bytes(message) == frame.depth_m.tobytes()


def test_another_domain_hears_nothing(session, publisher, listen, domain):
    topic = f"{CAM}/aligned_depth_to_color/image_raw"
    other = listen({topic: WANTED[topic]}, domain + 1)
    ours = listen({topic: WANTED[topic]})
    session.start()
    deadline = time.monotonic() + 10
    while publisher.stats().viewers != 1 and time.monotonic() < deadline:
        time.sleep(0.002)
    assert publisher.stats().viewers == 1
    assert ours()[topic]
    session.stop()
    assert other()[topic] == []


def test_nothing_leaves_this_machine(domain):
    app = subprocess.Popen(
        [sys.executable, "-m", "lingbot_live", "run", "synthetic:stereo", "--headless",
         "--refiner", "none", "--size", "160x120", "--publish", "ros2:/robot"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert app.stderr is not None
        assert "publishing to" in app.stderr.readline()
        opened = [c for c in psutil.Process(app.pid).net_connections("udp") if c.laddr]
    finally:
        app.kill()
        app.communicate()
    assert opened
    assert {c.laddr.ip for c in opened} <= {"127.0.0.1", "0.0.0.0"}
    assert not any(c.raddr for c in opened), "no multicast group or peer elsewhere"


def test_without_publish_nothing_listens_and_nothing_is_sent(session):
    before = set(psutil.Process().net_connections("inet"))
    session.start(max_frames=5)
    session.wait()
    assert set(psutil.Process().net_connections("inet")) <= before


@pytest.mark.parametrize("text", ["ros2:/ro bot", "ros2:9lives", "ros2:a//b", "ros2:naïve"])
def test_a_namespace_that_is_none_says_how(text):
    with pytest.raises(ConfigError, match=r"--publish ros2"):
        parse_place(text)


@pytest.mark.parametrize("number", ["x", "233", "-1", "1.5"])
def test_a_domain_that_is_none_ends_the_command_before_cameras_open(monkeypatch, number):
    monkeypatch.setenv("ROS_DOMAIN_ID", number)
    told = command("run", "synthetic:stereo", "--headless", "--frames", 1, "--publish", "ros2")
    assert told.returncode == 2
    assert f"ROS_DOMAIN_ID={number}" in told.stderr


def _frame(place: Extrinsics | None, scale_m: float = 0.001) -> Frame:
    from lingbot_live.frame import Intrinsics

    lens = Intrinsics(16, 12, 14.0, 14.0, 7.5, 5.5)
    depth = np.arange(1, 193, dtype=np.uint16).reshape(12, 16)
    color = np.full((12, 16, 3), 90, np.uint8)
    return Frame("cam", 0, 1, 1, color, depth, scale_m, Calibration(lens, lens, place))


def _ns(message) -> int:
    stamp = message["header"]["stamp"]
    return stamp["sec"] * 10**9 + stamp["nanosec"]


def _bytes(message) -> bytes:
    return bytes(message["data"])
