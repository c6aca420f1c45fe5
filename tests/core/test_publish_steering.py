"""Viewers on this machine read and change parameters and call services; others only look."""

from __future__ import annotations

import socket
import time

import pytest
from command import command

from lingbot_live.cli.serving import Keeper
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.pipeline.session import Session
from lingbot_live.publish.publisher import Publisher
from lingbot_live.publish.sink import PublishState
from lingbot_live.publish.table import parse_place
from lingbot_live.recording.recording import Recording

pytest.importorskip("foxglove", reason="foxglove-sdk serves it: pip install lingbot-live[foxglove]")
pytest.importorskip("websockets", reason="the client of these tests")
from foxglove_client import FoxgloveClient
from websockets.exceptions import InvalidStatus

SMALL = CameraConfig(width=160, height=120, fps=15, loop=True)
NAME = "synthetic_stereo"


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Session.of(["synthetic:stereo"], RefinerConfig("none"), SMALL)
    yield made
    made.stop()


@pytest.fixture
def client(session):
    keeper = Keeper(session, RefinerConfig("none"))
    publisher = _served("foxglove:0", session, keeper)
    session.start()
    made = FoxgloveClient(publisher.stats().where, lambda topic: topic.endswith("refined/image"))
    made.read_until(lambda c: any(c.counts().values()) and len(c.services) == 3)
    yield made
    made.close()
    assert publisher.stop()
    keeper.close()


def _served(target, session, keeper, bind=None, token=""):
    place = parse_place(target, bind, token)
    publisher = Publisher(place, steering=keeper.steering())
    publisher.start(session)
    _wait(lambda: publisher.state is PublishState.PUBLISHING)
    return publisher


def _wait(condition, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_parameters_are_told_and_change_camera_and_refiner(session, client):
    client.get_parameters()
    client.read_until(lambda c: c.parameters)
    assert client.parameters == {"refiner": "none", f"{NAME}.depth.noise": 1.0}
    client.set_parameter(f"{NAME}.depth.noise", 2.5)
    client.read_until(lambda c: c.parameters[f"{NAME}.depth.noise"] == 2.5)
    assert session.feeds[0].camera.controls()[0].value == 2.5
    client.set_parameter("refiner", "guided")
    client.read_until(lambda c: c.parameters["refiner"] == "guided")
    _wait(lambda: session.refiner_info is not None and session.refiner_info.name == "guided")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        (f"{NAME}.depth.noise", 99.0, "0 to 5"),
        (f"{NAME}.depth.noise", "loud", "0 to 5"),
        (f"{NAME}.depth.nois", 1.0, "depth.noise"),
        ("refiner", "guidd", "guided"),
        ("refiner", [1, 2], "no refiner"),
        ("tokens", 0.5, "whole number"),
        ("tokens", -3, "1 to 20000"),
        ("who", "me", "no parameter"),
    ],
)
def test_what_cannot_be_set_is_said_and_changes_nothing(session, client, name, value, why):
    client.set_parameter(name, value)
    client.read_until(lambda c: c.statuses and c.parameters)
    assert why in client.statuses[0]
    assert client.parameters == {"refiner": "none", f"{NAME}.depth.noise": 1.0}
    assert session.refiner_info.name == "none"


def test_services_keep_a_snapshot_and_a_marked_recording(session, client, tmp_path):
    told = client.call("/snapshot", b"{}")
    assert told["success"], told
    (folder,) = tmp_path.glob("snapshot-*")
    assert (folder / "depth_refined.npy").is_file()
    assert not client.call("/mark", b"{}")["success"], "nothing is recorded yet"
    assert client.call("/record", b"not json at all")["success"]
    time.sleep(0.3)
    assert client.call("/mark", b'{"text": "the cup fell"}')["success"]
    told = client.call("/record", b"{}")
    assert told["success"], told
    (file,) = tmp_path.glob("*.mcap")
    assert str(file) in told["message"]
    with Recording(file) as recording:
        assert "the cup fell" in [event.text for event in recording.events]


def test_whoever_looks_on_from_elsewhere_changes_nothing(session):
    keeper = Keeper(session, RefinerConfig("none"))
    publisher = _served("foxglove:0", session, keeper, bind="0.0.0.0")
    session.start()
    port = publisher.stats().where.rpartition(":")[2]
    client = FoxgloveClient(f"ws://127.0.0.1:{port}", lambda topic: topic.endswith("depth/image"))
    client.set_parameter(f"{NAME}.depth.noise", 2.5)
    client.get_parameters()
    client.read_until(lambda c: sum(c.counts().values()) > 5)
    client.close()
    assert client.services == {}
    assert client.parameters == {}
    assert session.feeds[0].camera.controls()[0].value == 1.0
    assert publisher.stop()
    keeper.close()


def test_with_a_token_who_brings_it_sees_and_steers_and_no_one_else(session):
    keeper = Keeper(session, RefinerConfig("none"))
    publisher = _served("foxglove:0", session, keeper, bind="0.0.0.0", token="sesame-4711")
    session.start()
    port = publisher.stats().where.rpartition(":")[2]
    for wrong in ("", "?token=sesame-471", "?token=", "?tokens=sesame-4711"):
        with pytest.raises(InvalidStatus, match="401"):
            FoxgloveClient(f"ws://127.0.0.1:{port}/{wrong}", lambda topic: True)
    url = f"ws://127.0.0.1:{port}/?token=sesame-4711"
    client = FoxgloveClient(url, lambda topic: topic.endswith("depth/image"))
    client.set_parameter(f"{NAME}.depth.noise", 2.5)
    client.read_until(lambda c: c.parameters and sum(c.counts().values()) > 5)
    assert client.parameters[f"{NAME}.depth.noise"] == 2.5
    client.close()
    with socket.create_connection(("127.0.0.1", int(port))) as visitor:
        visitor.sendall(b"\x00" * 40_000)  # no HTTP, and more than a request may have
        visitor.settimeout(10)
        assert visitor.recv(100) == b""
    assert publisher.stop()
    keeper.close()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--token", "sesame-4711"), "beside --publish"),
        (("--token", "short", "--publish", "foxglove"), "8 or more"),
        (("--token", "sesame 4711", "--publish", "foxglove"), "8 or more"),
        (("--token", "sesame-4711", "--publish", "ros2"), "foxglove alone"),
    ],
)
def test_a_token_of_no_use_ends_the_command(words, why):
    told = command("run", "synthetic:stereo", "--headless", "--frames", 1, *words)
    assert told.returncode == 2
    assert why in told.stderr
