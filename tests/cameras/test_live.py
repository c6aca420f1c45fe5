"""Cameras elsewhere: exact depth, a cut network, the sender's clock, servers of others."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from contextlib import closing, suppress

import numpy as np
import pytest
import sdks
from fixtures_foxglove import published

from drivers.common.heard import Heard
from drivers.foxglove.driver import FoxgloveDriver
from drivers.ros2.driver import Ros2Driver
from lingbot_live.cameras import registry
from lingbot_live.cameras.base import CameraState, first_frame
from lingbot_live.config import CameraConfig, RefinerConfig, SessionConfig
from lingbot_live.errors import CameraDisconnectedError, CameraNotFoundError
from lingbot_live.frame import Frame
from lingbot_live.pipeline.session import Session
from lingbot_live.recording.foreign.messages import Channel
from lingbot_live.recording.mcap import cdr

SOON = SessionConfig(reconnect_first_s=0.1, reconnect_most_s=0.3, stall_after_s=1.0)


@pytest.fixture
def foxglove():
    sdks.need("foxglove")


def _wait(condition, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def made_by(session):
    """Collect the frames that a session made, by their raw depth."""
    made: dict[bytes, Frame] = {}
    session.add_tap(
        lambda _, f: made.update({bytes(f.depth_raw): f}) if isinstance(f, Frame) else None
    )
    return made


def assert_lossless_and_soon(camera, made):
    first_frame(camera)
    late_ms = []
    for _ in range(35):
        frame = first_frame(camera)
        source = made[bytes(frame.depth_raw)]  # or there is none to the bit
        late_ms.append((time.monotonic_ns() - source.timestamp_ns) / 1e6)
        assert frame.depth_scale_m == source.depth_scale_m
        assert frame.intrinsics == source.intrinsics
    # The least: what waits within the way is in all of them, what waits for a processor is not.
    assert min(late_ms) < 1000 / 15, "one frame of 15 a second"


def test_depth_is_lossless_and_a_frame_comes_within_a_frames_time(foxglove):
    with published("foxglove:0") as (session, publisher):
        made = made_by(session)
        with registry.create_camera(f"foxglove:{publisher.stats().where}") as camera:
            assert_lossless_and_soon(camera, made)
            # Of a clock against itself; the milliseconds are those of a busy machine.
            assert abs(float(camera.info.details["clock ahead"].split()[0])) < 1000


def test_ros_depth_is_lossless_too_also_within_one_process(monkeypatch):
    sdks.need("ros2")
    monkeypatch.setenv("ROS_DOMAIN_ID", str(1 + os.getpid() % 99))
    with published("ros2:/robot") as (session, publisher):
        made = made_by(session)
        with registry.create_camera("ros2:/robot/synthetic_stereo") as camera:
            assert_lossless_and_soon(camera, made)
            assert "clock ahead" in camera.info.details
            assert publisher.stats().viewers == 1


def test_another_unit_of_depth_comes_along(foxglove):
    with (
        published("foxglove:0", ["synthetic:structured"]) as (session, publisher),
        registry.create_camera(f"foxglove:{publisher.stats().where}") as camera,
    ):
        frame = first_frame(camera)
        _wait(lambda: session.feeds[0].frames is not None)
        assert frame.depth_scale_m != 0.001
        assert 0.3 < np.median(frame.depth_m[frame.depth_raw > 0]) < 8


def test_one_of_two_cameras_is_named(foxglove):
    with published("foxglove:0", ["synthetic:stereo", "synthetic:tof"]) as (_, publisher):
        address = f"foxglove:{publisher.stats().where}#synthetic_tof"
        with registry.create_camera(address) as camera:
            first_frame(camera)
            assert camera._found.match.depth.topic == "/synthetic_tof/depth/image"


def test_a_server_that_ends_and_comes_back_is_found_again(foxglove):
    with published("foxglove:0") as (_, publisher):
        port = publisher.stats().where.rpartition(":")[2]
        watching = Session.of(
            [f"foxglove:ws://127.0.0.1:{port}"], RefinerConfig("none"), config=SOON
        )
        watching.start()
        feed = watching.feeds[0]
        _wait(lambda: feed.stats.captured > 3)
    try:
        _wait(lambda: feed.state is CameraState.RECONNECTING)
        before = feed.stats.captured
        with published(f"foxglove:{port}"):
            _wait(lambda: feed.stats.captured > before + 3)
            assert feed.state is CameraState.STREAMING
            assert feed.stats.reconnects == 1
            assert watching.stop()
    finally:
        watching.stop()


class Cable:
    """A TCP connection through this process that can be cut: nothing passes, nothing closes."""

    def __init__(self, port: int) -> None:
        self.is_cut = threading.Event()
        self._stop = threading.Event()
        self._far = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        self._listening.settimeout(0.05)
        while not self._stop.is_set():
            try:
                near, _ = self._listening.accept()
            except TimeoutError:
                continue
            if self.is_cut.is_set():
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._far))
            for one, other in ((near, far), (far, near)):
                thread = threading.Thread(target=self._pass, args=(one, other))
                self._threads.append(thread)
                thread.start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        source.settimeout(0.05)
        with closing(source), closing(target):
            while not self._stop.is_set():
                try:
                    data = source.recv(1 << 16)
                    while self.is_cut.is_set() and not self._stop.is_set():
                        time.sleep(0.02)
                    if not data:
                        return
                    target.settimeout(5)
                    target.sendall(data)
                except TimeoutError:
                    continue
                except OSError:
                    return

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)
        self._listening.close()


def test_a_network_cut_for_five_seconds_is_noticed_and_frames_come_again(foxglove, caplog):
    with published("foxglove:0") as (_, publisher):
        cable = Cable(int(publisher.stats().where.rpartition(":")[2]))
        watching = Session.of(
            [f"foxglove:ws://127.0.0.1:{cable.port}"], RefinerConfig("none"), config=SOON
        )
        watching.start()
        feed = watching.feeds[0]
        try:
            _wait(lambda: feed.stats.captured > 3)
            cable.is_cut.set()
            begun = time.monotonic()
            _wait(lambda: feed.state in (CameraState.STALLED, CameraState.RECONNECTING))
            while time.monotonic() - begun < 5:
                time.sleep(0.05)
            before = feed.stats.captured
            cable.is_cut.clear()
            begun = time.monotonic()
            _wait(lambda: feed.stats.captured > before + 3)
            assert time.monotonic() - begun < 10
        finally:
            assert watching.stop()
            cable.close()
    assert not [r for r in caplog.records if r.name.startswith("websockets")], "no traceback"


def test_a_channel_that_the_server_does_not_know_yet_is_asked_for_again(foxglove):
    """As Foxglove's own server does it: it announces a channel a moment before it knows it."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect
    from websockets.sync.server import serve

    refused: list[str] = []

    def pump(far, near) -> None:
        with suppress(ConnectionClosed):
            for said in far:
                near.send(said)

    def relay(near) -> None:
        with connect(where, subprotocols=["foxglove.sdk.v1"], max_size=1 << 26) as far:
            back = threading.Thread(target=pump, args=(far, near))
            back.start()
            for said in near:
                if '"subscribe"' in str(said) and not refused:
                    refused.append(said)
                    near.send(json.dumps({"op": "status", "level": 2, "message": "Unknown"}))
                else:
                    far.send(said)
        back.join()

    with published("foxglove:0") as (_, publisher):
        where = publisher.stats().where
        with serve(relay, "127.0.0.1", 0, subprotocols=["foxglove.sdk.v1"]) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            port = server.socket.getsockname()[1]
            with registry.create_camera(f"foxglove:ws://127.0.0.1:{port}") as camera:
                first_frame(camera)
            server.shutdown()
            thread.join(10)
    assert refused


@pytest.mark.parametrize("target", ["ws://127.0.0.1:1", "ws://no-such-host-4711.invalid:8765"])
def test_nobody_there_is_one_line(foxglove, target):
    driver = FoxgloveDriver()
    camera = driver.create(driver.find(target), CameraConfig())
    with pytest.raises(CameraNotFoundError, match="no Foxglove server answers") as told:
        camera.open()
    assert "\n" not in str(told.value)


def test_a_server_of_another_kind_is_one_line(foxglove):
    """It speaks, but no WebSocket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(4096)
            connection.sendall(b"SSH-2.0-none\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        camera = registry.create_camera(f"foxglove:ws://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(CameraNotFoundError):
            camera.open()
        thread.join(10)


def test_messages_that_lie_lose_themselves_and_end_nothing(foxglove, monkeypatch):
    """A server of others sends a wrong schema, JSON that is none, images that are cut."""
    from websockets.sync.server import serve

    def talk(connection) -> None:
        bad = [
            {"id": 1, "topic": "/a/depth/image", "encoding": "protobuf",
             "schemaName": "foxglove.RawImage", "schema": "bm90IGEgc2NoZW1h"},
            {"id": 2, "topic": "/a/color/image", "encoding": "cdr",
             "schemaName": "sensor_msgs/msg/Image", "schema": ""},
        ]  # fmt: skip
        connection.send(json.dumps({"op": "advertise", "channels": bad}))
        for number in (1, 2):
            for _ in range(3):
                connection.send(bytes([1, number, 0, 0, 0]) + bytes(8) + b"\x00\x01\x00\x00cut")
        connection.send("[1, 2]")
        for _ in connection:
            pass

    monkeypatch.setattr("drivers.common.live._FIRST_S", 1.5)
    with serve(talk, "127.0.0.1", 0, subprotocols=["foxglove.sdk.v1"]) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        camera = registry.create_camera(f"foxglove:ws://127.0.0.1:{port}")
        with pytest.raises((CameraNotFoundError, CameraDisconnectedError)) as told:
            camera.open()
        assert "\n" not in str(told.value)
        server.shutdown()
        thread.join(10)


def test_colour_that_never_comes_costs_its_depth_alone():
    heard = Heard()
    for number, topic in ((1, "/d"), (2, "/c")):
        heard.announce(Channel(number, topic, "sensor_msgs/msg/Image", "cdr", 0))
    image = np.zeros((2, 2), np.uint16)

    def put(number: int, at_ms: int) -> None:
        heard.put(number, 0, cdr.encode_image(cdr.Header(at_ms * 10**6, "x"), "16UC1", image))

    put(1, 1000)
    assert heard.take_pair(1, 2, 0.0) is None, "its colour may be on its way"
    put(1, 1033)
    put(2, 1033)
    pair = heard.take_pair(1, 2, 0.0)
    assert pair is not None
    assert [one.stamp_ns for one in pair] == [1_033_000_000] * 2
    assert heard.overtaken == 1
    for at in range(20):
        put(1, 2000 + 33 * at)
        put(2, 2000 + 33 * at)
    first = heard.take_pair(1, 2, 0.0)
    assert first is not None
    assert first[0].stamp_ns == (2000 + 33 * 12) * 10**6, "the newest eight are kept"


@pytest.mark.parametrize("target", ["camera", "/", "/ca mera", "//x"])
def test_a_name_that_is_none_of_ros_says_how(target):
    with pytest.raises(CameraNotFoundError, match="such as ros2:/camera"):
        Ros2Driver().find(target)
