"""Foxglove: a client of others gets every pixel, stamp and lens; nobody waits for it."""

from __future__ import annotations

import socket
import threading
import time

import cv2
import numpy as np
import psutil
import pytest
from command import command

from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.errors import ConfigError
from lingbot_live.frame import Extrinsics, Frame, RefinedFrame
from lingbot_live.pipeline.session import Session
from lingbot_live.publish.publisher import SLOW, Publisher
from lingbot_live.publish.sink import PublishState
from lingbot_live.publish.table import parse_place

pytest.importorskip("foxglove", reason="foxglove-sdk serves it: pip install lingbot-live[foxglove]")
pytest.importorskip("websockets", reason="the client of these tests")
from foxglove_client import FoxgloveClient

SMALL = CameraConfig(width=160, height=120, fps=15, loop=True)


@pytest.fixture
def session():
    made = Session.of(["synthetic:stereo"], RefinerConfig("none"), SMALL)
    yield made
    made.stop()


@pytest.fixture
def serve():
    started = []

    def start(source=None, target="foxglove:0") -> Publisher:
        publisher = Publisher(parse_place(target))
        publisher.start(source)
        started.append(publisher)
        wait_for(lambda: publisher.state is not PublishState.STARTING)
        return publisher

    yield start
    for publisher in started:
        assert publisher.stop()


def wait_for(condition, timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_a_client_gets_exact_depth_with_right_stamps_and_lens(session, serve):
    made: dict[int, Frame] = {}  # by device time
    results: dict[int, RefinedFrame] = {}

    def keep(camera, what):
        frame = what if isinstance(what, Frame) else what.frame
        (made if what is frame else results)[frame.device_timestamp_us] = what

    session.add_tap(keep)
    publisher = serve(session)
    client = FoxgloveClient(publisher.stats().where, lambda topic: "tf" not in topic)
    session.start()
    name = "synthetic_stereo"
    topics = ("depth/image", "refined/image", "color/camera_info", "color/image/compressed",
              "points", "refined/points")  # fmt: skip
    client.read_until(lambda c: all(c.counts().get(f"/{name}/{t}", 0) >= 3 for t in topics))
    assert publisher.stats().viewers == 1
    client.close()
    session.stop()

    told = {topic: [m for _, m in found] for topic, found in client.messages.items()}
    first = told[f"/{name}/depth/image"][0]
    by_first = {_ns(first) - us * 1000 for us, f in made.items() if _same(f, first)}
    assert len(by_first) == 1, "one frame, and one alone, is the first that came"
    zero_ns = by_first.pop()  # the device's clock in 1970's
    for message in told[f"/{name}/depth/image"]:
        frame = made[(_ns(message) - zero_ns) // 1000]
        assert (message.encoding, message.step) == ("16UC1", 320)
        assert message.frame_id == f"{name}_color_optical_frame"
        assert _same(frame, message)
        assert abs(_ns(message) - time.time_ns()) < 60e9
    for message in told[f"/{name}/refined/image"]:
        result = results[(_ns(message) - zero_ns) // 1000]
        assert message.encoding == "32FC1"
        depth_m = np.frombuffer(message.data, "<f4").reshape(message.height, message.width)
        np.testing.assert_array_equal(depth_m, result.depth_m)
    lens = told[f"/{name}/color/camera_info"][0]
    frame = next(iter(made.values()))
    np.testing.assert_array_equal(np.reshape(lens.K, (3, 3)), frame.intrinsics.matrix)
    assert (lens.width, lens.height, list(lens.D)) == (160, 120, list(frame.intrinsics.distortion))
    picture = told[f"/{name}/color/image/compressed"][0]
    color = made[(_ns(picture) - zero_ns) // 1000].color
    bgr = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR)
    apart = [np.abs(p.astype(int) - color).mean() for p in (bgr[..., ::-1], bgr)]
    assert apart[0] < 8, "a JPEG of this very frame"
    assert apart[0] < apart[1], "red is red"
    scale = client.topics()[f"/{name}/depth/image"].get("metadata", {}).get("depth_scale_m")
    assert scale is None or float(scale) == frame.depth_scale_m


def test_a_cloud_holds_the_valid_pixels_where_they_project_to(session, serve):
    made: dict[bytes, Frame] = {}
    session.add_tap(
        lambda _, f: made.update({bytes(f.depth_raw): f}) if isinstance(f, Frame) else 0
    )
    publisher = serve(session)
    client = FoxgloveClient(
        publisher.stats().where, lambda t: t.endswith(("stereo/points", "depth/image"))
    )
    session.start()
    cloud_topic, depth_topic = "/synthetic_stereo/points", "/synthetic_stereo/depth/image"
    client.read_until(
        lambda c: (
            {_ns(m) for _, m in c.messages.get(cloud_topic, ())}
            & {_ns(m) for _, m in c.messages.get(depth_topic, ())}
            != set()
        )
    )
    client.close()
    session.stop()
    depths = {_ns(m): m for _, m in client.messages[depth_topic]}
    cloud = next(m for _, m in client.messages[cloud_topic] if _ns(m) in depths)
    frame = made[bytes(depths[_ns(cloud)].data)]
    points = np.frombuffer(cloud.data, np.dtype([("xyz", "<f4", 3), ("rgba", "u1", 4)]))
    assert cloud.point_stride == 16
    assert [(f.name, f.offset) for f in cloud.fields][3:] == [
        ("red", 12),
        ("green", 13),
        ("blue", 14),
        ("alpha", 15),
    ]
    v, u = np.nonzero(frame.depth_raw)
    i, xyz = frame.intrinsics, points["xyz"].astype(np.float64)
    np.testing.assert_allclose(xyz[:, 0] / xyz[:, 2] * i.fx + i.cx, u, atol=0.01)
    np.testing.assert_allclose(xyz[:, 1] / xyz[:, 2] * i.fy + i.cy, v, atol=0.01)
    np.testing.assert_array_equal(points["xyz"][:, 2], frame.depth_m[v, u])
    np.testing.assert_array_equal(points["rgba"][:, :3], frame.color[v, u])


def test_a_transform_carries_points_of_the_depth_sensor():
    turned = Extrinsics.from_matrix(
        np.vstack(
            [
                np.column_stack([cv2.Rodrigues(np.array([0.1, -0.2, 0.3]))[0], [1, 2, 3]]),
                [0, 0, 0, 1],
            ]
        )
    )
    x, y, z, w = turned.quaternion
    r = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    np.testing.assert_allclose(r, turned.rotation, atol=1e-12)


def test_a_client_that_stops_reading_costs_the_pipeline_nothing(session, serve):
    publisher = serve(session)
    client = FoxgloveClient(publisher.stats().where, lambda topic: True)
    session.start()
    client.read_until(lambda c: c.counts().get("/synthetic_stereo/points", 0) >= 1)
    before = session.feeds[0].stats.captured
    memory = psutil.Process().memory_info().rss
    wait_for(lambda: publisher._sink._readers.are_stuck())
    encoded = publisher.stats().frames
    time.sleep(3.0)  # nobody reads
    assert publisher.stats().frames <= encoded + 1, "and nothing is encoded"
    assert publisher.stats().drops[SLOW] > 0
    after = session.feeds[0].stats.captured
    assert after - before > 3 * 15 * 0.5
    assert psutil.Process().memory_info().rss - memory < 100 << 20
    got = client.counts()["/synthetic_stereo/points"]
    client.read_until(lambda c: c.counts()["/synthetic_stereo/points"] > got + 100)
    assert publisher.stats().frames > encoded, "it goes on once somebody reads"
    assert publisher.stop(), "it does not wait for the client"
    client.close()


def test_newest_wins_and_what_it_replaced_is_counted(session, monkeypatch):
    """A sink that hangs: one frame and one result wait, and each other one is a counted drop."""
    gate, shown = threading.Event(), []

    class Hanging:
        where, viewers = "nowhere", 0

        def is_ready(self):
            return gate.wait(0.05)

        def frame(self, name, frame, moment):
            shown.append(frame.index)

        def refined(self, name, refined, moment):
            pass

        def say(self, level, text, time_ns):
            pass

        def close(self):
            pass

    monkeypatch.setattr(
        "lingbot_live.publish.publisher.open_sink", lambda place, steering: Hanging()
    )
    publisher = Publisher(parse_place("foxglove:0"))
    publisher.start(session)
    wait_for(lambda: publisher.state is PublishState.PUBLISHING)
    session.start(max_frames=20)
    session.wait()
    gate.set()
    wait_for(lambda: publisher.stats().frames == 1 and publisher.stats().refined == 1)
    assert publisher.stop()
    stats, feed = publisher.stats(), session.feeds[0].stats
    assert shown == [19], "the newest"
    assert stats.drops[SLOW] == feed.captured + feed.refined - 2
    assert publisher.state is PublishState.STOPPED


def test_a_taken_port_is_one_line_and_nothing_else_ends(session, serve):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        publisher = serve(session, f"foxglove:{port}")
        session.start(max_frames=3)
        session.wait()
    assert publisher.state is PublishState.FAILED
    assert f"127.0.0.1:{port}" in str(publisher.error)
    assert "choose another port" in str(publisher.error)
    assert "\n" not in str(publisher.error)
    assert session.feeds[0].stats.captured == 3


def test_it_listens_on_loopback_alone_and_only_while_it_publishes(serve):
    before = _listening()
    publisher = serve()
    new = _listening() - before
    assert {address for address, _ in new} == {"127.0.0.1"}
    assert len(new) == 1
    publisher.stop()
    wait_for(lambda: _listening() - before == set())


@pytest.mark.parametrize("text", ["foxglove:x", "foxglove:70000", "foxglov", "rerun:what", ""])
def test_a_target_written_wrongly_says_how(text):
    with pytest.raises(ConfigError, match="--publish"):
        parse_place(text)


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="--bind robot"):
        parse_place("foxglove", "robot")
    assert parse_place("foxglove", "0.0.0.0").is_open
    assert not parse_place("foxglove", "::1").is_open


def test_the_command_warns_where_others_can_look_on_and_refuses_bind_alone(tmp_path):
    words = ("run", "synthetic:stereo", "--headless", "--frames", 1, "--size", "160x120",
             "--refiner", "none", "--stats", tmp_path / "s.json")  # fmt: skip
    told = command(*words, "--publish", "foxglove:0", "--bind", "0.0.0.0")
    assert told.returncode == 0, told.stderr
    assert "no password" in told.stderr
    assert "publishing to ws://0.0.0.0:" in told.stderr
    told = command(*words, "--publish", "foxglove:0")
    assert "no password" not in told.stderr
    told = command(*words, "--bind", "0.0.0.0")
    assert told.returncode == 2
    assert "--publish" in told.stderr


def _ns(message) -> int:
    return message.timestamp.seconds * 10**9 + message.timestamp.nanos


def _same(frame: Frame, message) -> bool:
    depth = np.frombuffer(message.data, "<u2").reshape(message.height, message.width)
    return np.array_equal(depth, frame.depth_raw)


def _listening() -> set[tuple[str, int]]:
    return {
        (c.laddr.ip, c.laddr.port)
        for c in psutil.Process().net_connections("tcp")
        if c.status == psutil.CONN_LISTEN
    }
