"""Rerun: what its own reader finds in a file, what its server hands on, and who is not there."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from command import command

from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.errors import ConfigError
from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.pipeline.session import Session
from lingbot_live.publish.publisher import Publisher
from lingbot_live.publish.sink import PublishState
from lingbot_live.publish.table import parse_place

pytest.importorskip("rerun", reason="rerun-sdk: pip install lingbot-live[rerun]")

SMALL = CameraConfig(width=160, height=120, fps=10)


def wait_for(condition, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def publish(target: str, frames: int, keep=lambda camera, what: None):
    session = Session.of(["synthetic:stereo"], RefinerConfig("none"), SMALL)
    session.add_tap(keep)
    publisher = Publisher(parse_place(target))
    publisher.start(session)
    wait_for(lambda: publisher.state is not PublishState.STARTING)
    session.start(max_frames=frames)
    session.wait()
    session.stop()
    return publisher


def test_a_file_read_back_by_reruns_own_tool_holds_every_pixel(tmp_path):
    made: list[Frame] = []
    results: list[RefinedFrame] = []
    path = tmp_path / "desk.rrd"
    publisher = publish(
        f"rerun:save {path}",
        4,
        lambda _, what: (made if isinstance(what, Frame) else results).append(what),
    )
    assert publisher.stop(20)
    stats = publisher.stats()
    assert stats.error is None
    assert stats.frames + stats.refined + sum(stats.drops.values()) == len(made) + len(results)
    assert stats.frames >= 1

    dataframe = pytest.importorskip("rerun.dataframe", reason="rerun-sdk 0.23 reads it back")
    view = dataframe.load_recording(path).view(index="frame", contents="/**")
    frames = {frame.index: frame for frame in made}
    rows = _rows(view, "/synthetic_stereo/depth")
    assert len(rows) == stats.frames
    for row in rows:
        frame = frames[row["frame"]]
        depth = np.frombuffer(bytes(row["ImageBuffer"][0]), "<u2").reshape(frame.depth_raw.shape)
        np.testing.assert_array_equal(depth, frame.depth_raw)
        assert row["DepthMeter"][0] == pytest.approx(1 / frame.depth_scale_m)
    first, last = rows[0], rows[-1]
    us = frames[last["frame"]].device_timestamp_us - frames[first["frame"]].device_timestamp_us
    assert last["time_ns"] - first["time_ns"] == us * 1000, "stamps are the device's"
    assert abs(last["time_ns"] - time.time_ns()) < 120e9
    depths = {r.frame.index: r.depth_m for r in results}
    rows = _rows(view, "/synthetic_stereo/refined")
    assert len(rows) == stats.refined
    for row in rows:
        depth_m = np.frombuffer(bytes(row["ImageBuffer"][0]), "<f4")
        np.testing.assert_array_equal(depth_m, depths[row["frame"]].ravel())
    (lens,) = _rows(view, "/synthetic_stereo", "PinholeProjection")
    np.testing.assert_allclose(
        np.reshape(lens["PinholeProjection"][0], (3, 3)).T, made[0].intrinsics.matrix, rtol=1e-6
    )


def test_what_it_writes_is_whole_to_reruns_own_tool(tmp_path):
    path = tmp_path / "desk.rrd"
    assert publish(f"rerun:save {path}", 2).stop(20)
    told = subprocess.run(
        [sys.executable, "-m", "rerun_cli", "rrd", "print", "-v", path],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    for entity in ("color", "depth", "refined"):
        assert f"/synthetic_stereo/{entity}" in told.stdout


def test_a_file_that_exists_or_has_no_folder_is_refused_before_cameras_open(tmp_path):
    there = tmp_path / "a.rrd"
    there.write_bytes(b"mine")
    with pytest.raises(ConfigError, match="exists"):
        parse_place(f"rerun:save {there}")
    with pytest.raises(ConfigError, match="folder"):
        parse_place(f"rerun:save {tmp_path / 'no' / 'a.rrd'}")
    assert there.read_bytes() == b"mine"


def test_no_viewer_is_one_line_and_the_rest_goes_on(tmp_path):
    port = _free_port()
    told = command(
        "run", "synthetic:stereo", "--headless", "--frames", 3, "--size", "160x120",
        "--refiner", "none", "--publish", f"rerun:connect 127.0.0.1:{port}",
        "--stats", tmp_path / "s.json",
    )  # fmt: skip
    assert told.returncode == 1, "the rest is there"
    lines = [line for line in told.stderr.splitlines() if "no Rerun viewer" in line]
    assert len(lines) == 1
    assert f"127.0.0.1:{port}" in lines[0]
    assert '"captured": 3' in (tmp_path / "s.json").read_text()


def test_a_viewer_that_never_reads_costs_one_frame_and_ends_in_time():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        port = deaf.getsockname()[1]
        code = f"""
import time
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.pipeline.session import Session
from lingbot_live.publish.publisher import Publisher
from lingbot_live.publish.sink import PublishState
from lingbot_live.publish.table import parse_place
session = Session.of(
    ["synthetic:stereo"], RefinerConfig("none"),
    CameraConfig(width=160, height=120, fps=15),
)
publisher = Publisher(parse_place("rerun:connect 127.0.0.1:{port}"))
publisher.start(session)
session.start()
while publisher.state is PublishState.STARTING or session.feeds[0].stats.captured < 10:
    time.sleep(0.05)
before = session.feeds[0].stats.captured
time.sleep(4)
assert session.feeds[0].stats.captured - before > 30
session.stop()
begun = time.monotonic()
publisher.stop(2)
stats = publisher.stats()
assert stats.frames + stats.refined < 5, stats
assert sum(stats.drops.values()) > 40, stats
assert time.monotonic() - begun < 5
"""
        begun = time.monotonic()
        told = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
        )
        assert told.returncode == 0, told.stderr
        assert time.monotonic() - begun < 45


def test_a_server_listens_where_it_is_told_and_is_gone_with_its_publisher():
    port = _free_port()
    publisher = publish(f"rerun:serve {port}", 2)
    assert publisher.error is None
    server = _listeners(port)
    assert {c.laddr.ip for c in server} == {"127.0.0.1"}
    assert publisher.stop(15)
    assert publisher.stats().frames >= 1
    assert _listeners(port) == []


def test_a_killed_app_leaves_no_server_behind():
    port = _free_port()
    app = subprocess.Popen(
        [sys.executable, "-m", "lingbot_live", "run", "synthetic:stereo", "--headless",
         "--refiner", "none", "--size", "160x120", "--publish", f"rerun:serve {port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert app.stderr is not None
        assert "publishing to rerun+http://127.0.0.1" in app.stderr.readline()
        server = psutil.Process(app.pid).children(recursive=True)
        assert _answers(port)
    finally:
        app.kill()
        app.communicate()
    wait_for(lambda: not _answers(port))
    _, alive = psutil.wait_procs(server, timeout=10)
    assert not alive


def test_a_recording_is_published_too_and_both_are_whole(tmp_path):
    told = command(
        "record", "synthetic:stereo", "-o", tmp_path / "a.mcap", "--frames", 4, "--raw-only",
        "--size", "160x120", "--publish", f"rerun:save {tmp_path / 'a.rrd'}",
        "--publish", f"rerun:save {tmp_path / 'b.rrd'}",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert f"publishing to {tmp_path / 'a.rrd'}" in told.stderr
    assert (tmp_path / "a.rrd").stat().st_size > 10_000
    assert (tmp_path / "b.rrd").stat().st_size > 10_000
    assert command("info", tmp_path / "a.mcap").returncode == 0


def test_a_taken_port_is_said_in_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        publisher = publish(f"rerun:serve {port}", 1)
        assert publisher.state is PublishState.FAILED
        assert f"127.0.0.1:{port}" in str(publisher.error)
        assert publisher.stop()


def _rows(view, entity: str, component: str = "ImageBuffer") -> list[dict]:
    """One row for each value of an entity, by the component's bare name."""
    table = view.select().read_all()
    times_ns = table.column("time").cast("int64").to_pylist()
    stamped = [field.name for field in table.schema if str(field.type).startswith("timestamp")]
    table = table.drop_columns(stamped)  # Python's own times end at microseconds
    found = []
    for row, time_ns in zip(table.to_pylist(), times_ns, strict=True):
        mine = {
            name.rpartition(":")[2]: value
            for name, value in row.items()
            if name.rpartition(":")[0] == entity
        }
        if mine.get(component):
            found.append({**mine, "frame": row["frame"], "time_ns": time_ns})
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _listeners(port: int):
    own = psutil.Process()
    return [
        c
        for process in (own, *own.children(recursive=True))
        for c in process.net_connections("tcp")
        if c.status == psutil.CONN_LISTEN and c.laddr.port == port
    ]
