"""What fails is said at once, is in the file, and is in the exit status; nothing hides behind 0."""

from __future__ import annotations

import json
import signal
import time

import pytest
from command import command
from faults import App, one_line, plugins
from hostile import session

from lingbot_live.cameras.base import CameraState
from lingbot_live.config import SessionConfig
from lingbot_live.errors import CameraTimeoutError, RefinerError
from lingbot_live.pipeline.session import Session
from lingbot_live.recording.recorder import Recorder
from lingbot_live.recording.recording import Recording
from lingbot_live.refiners.base import PassthroughRefiner

FIVE = ("fine:good", "--frames", "9", "--refiner", "none")


@pytest.fixture
def run(tmp_path):
    """Return a function that runs the app to its end with some faulty plug-ins installed."""
    started = []

    def run(*arguments, schemes=("fine",)):
        environment = plugins(tmp_path / f"plugins{len(started)}", *schemes)
        app = App(tmp_path, *arguments, environment=environment)
        started.append(app)
        app.status = app.end(60)
        return app

    yield run
    for app in started:
        app.kill()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("realsense:auto", "realsense:auto: "),
        ("fine:open", "KeyError: 'no such register'"),
        ("fine:read-3", "ZeroDivisionError: division by zero"),
        ("fine:none-3", "'str' object"),
    ],
)
def test_one_of_two_cameras_failing_is_said_recorded_and_status_1(run, tmp_path, address, words):
    app = run("record", address, *FIVE, "-o", "a.mcap", schemes=["fine"])
    assert app.status == 1
    assert app.out == "a.mcap\n"
    lines = app.err.splitlines()
    assert lines[0].startswith(address)
    assert words in lines[0]
    assert lines[-1] == f"not all went well: 1 of 2 cameras failed ({address})"
    assert "Traceback" not in app.err
    (failure,) = json.loads(command("info", tmp_path / "a.mcap", "--json").stdout)["failures"]
    assert failure["camera"] == address
    assert words in failure["text"]
    assert f"{address} failed at " in command("info", tmp_path / "a.mcap").stdout


def test_headless_says_it_too(run):
    app = run("run", "--headless", "fine:read-3", *FIVE, "--stats", "s.json", schemes=["fine"])
    assert app.status == 1
    assert app.err.splitlines()[0] == "fine:read-3: ZeroDivisionError: division by zero"
    assert "1 of 2 cameras failed" in app.err.splitlines()[-1]
    assert (app.folder / "s.json").is_file()


def test_where_every_camera_fails_the_error_stands_alone_and_no_file_bars_the_retry(run):
    for _ in range(2):
        app = run("record", "fine:open", "-o", "a.mcap", "--refiner", "none", schemes=["fine"])
        assert app.status == 2
        assert one_line(app.err) == "lingbot-live: fine:open: KeyError: 'no such register'"
        assert not (app.folder / "a.mcap").exists()


@pytest.mark.parametrize("fault", ["raise", "nothing", "shape", "negative", "nan", "inf"])
def test_a_refiner_that_breaks_its_promise_is_refused_and_counted(run, fault):
    app = run("run", "--headless", *FIVE[:-1], f"faulty:{fault}", "--stats", "s.json")
    assert app.status == 1
    stats = json.loads((app.folder / "s.json").read_text())["feeds"]["fine:good"]
    assert stats["refined"] == 0
    assert stats["drops"]["refiner failed"] > 0
    assert "refiner faulty: " in app.err.splitlines()[0]
    assert "refiner failed on" in app.err.splitlines()[-1]
    assert "Traceback" not in app.err


def test_a_refiner_that_hangs_ends_the_wait_and_is_counted(tmp_path):
    from faulty_plugins import FaultyRefiner
    from sessions import NoisyCamera

    from lingbot_live.config import RefinerConfig

    class Hanging(FaultyRefiner):
        def _refine(self, frame):
            time.sleep(3)
            return super()._refine(frame)

    config = SessionConfig(refine_timeout_s=0.5, join_timeout_s=0.5)
    camera = NoisyCamera(count=3)
    session = Session(
        [("noisy:left", lambda: camera)], lambda: Hanging(RefinerConfig("faulty")), config
    )
    session.start()
    with pytest.raises(RefinerError, match="no answer for"):
        session.wait()
    assert not session.stop()
    stats = session.feeds[0].stats
    assert stats.dropped("refiner hangs") == 1
    assert stats.captured == 3 == stats.refined + sum(stats.figures().drops.values())


@pytest.mark.parametrize("words", [("run", "--headless"), ("record", "-o", "a.mcap")])
def test_drivers_that_hang_are_said_and_status_1(tmp_path, words):
    cameras = ("fine:stuck", "fine:hang-3", "fine:good", "--refiner", "none")
    app = App(tmp_path, *words, *cameras)
    try:
        app.until((tmp_path / ".plugins" / "streaming").exists)
        time.sleep(0.5)
        app.signal(signal.SIGTERM)
        assert app.end(30) == 1, app.err
    finally:
        app.kill()
    assert "fine:stuck: its driver does not return from open" in app.err
    assert "fine:hang-3: its driver does not return from read" in app.err
    assert app.err.splitlines()[-1].endswith("2 of 3 cameras failed (fine:stuck, fine:hang-3)")
    assert "Traceback" not in app.err


@pytest.mark.parametrize(("target", "call"), [("stuck", "open"), ("hang-2", "read")])
def test_a_driver_that_hangs_is_no_longer_waited_for(tmp_path, target, call):
    from faulty_plugins import FaultyCamera
    from sessions import NoisyCamera

    config = SessionConfig(hang_open_s=0.5, hang_read_s=0.5)
    bad, good = FaultyCamera(target, "fine"), NoisyCamera(count=3)
    session = Session(
        [("fine:bad", lambda: bad), ("noisy:left", lambda: good)], PassthroughRefiner, config
    )
    recorder = Recorder(tmp_path / "a.mcap")
    recorder.start(session)
    session.start()
    assert session.wait(60)
    begun_s = time.monotonic()
    assert not session.stop()
    assert time.monotonic() - begun_s < 5
    recorder.stop()
    feed = session.feeds[0]
    assert feed.state is CameraState.HANGING
    with Recording(tmp_path / "a.mcap") as recording:
        (failure,) = [event for event in recording.events if event.kind == "failed"]
    assert failure.camera == "fine:bad"
    assert f"does not return from {call}" in failure.text
    other = FaultyCamera(target, "fine")
    lonely = Session([("fine:bad", lambda: other)], PassthroughRefiner, config)
    lonely.start()
    with pytest.raises(CameraTimeoutError, match=call):
        lonely.wait(60)
    assert not lonely.stop()
    bad.returns.set()
    other.returns.set()


def test_a_driver_that_returns_late_streams_on():
    from sessions import NoisyCamera

    class Late(NoisyCamera):
        def _cam_read(self, timeout_s):
            if self.count == 3:
                time.sleep(1.5)
            return super()._cam_read(timeout_s)

    camera = Late(count=5)
    keeper = NoisyCamera(count=10_000, period_s=0.01)
    config = SessionConfig(hang_read_s=0.4)
    sources = [("noisy:late", lambda: camera), ("noisy:left", lambda: keeper)]
    seen = []
    with Session(sources, PassthroughRefiner, config) as session:
        feed = session.feeds[0]
        deadline_s = time.monotonic() + 30
        while feed.stats.captured < 5 and time.monotonic() < deadline_s:
            seen.append(feed.state)
            time.sleep(0.02)
        assert feed.stats.captured == 5
        assert feed.error is None
    assert CameraState.HANGING in seen


def test_drivers_that_misbehave_cost_themselves_alone(run):
    schemes = ["raising", "talking", "hanging", "wrong", "broken", "fine"]
    begun = time.monotonic()
    app = run("devices", "--json", schemes=schemes)
    assert app.status == 0, app.err
    assert time.monotonic() - begun < 20
    told = json.loads(app.out)
    assert "fine:0" in [camera["address"] for camera in told["cameras"]]
    assert "bus error" in told["unavailable"]["raising"]
    assert "no camera" in told["unavailable"]["talking"]
    assert "does not answer within 5 s" in told["unavailable"]["hanging"]
    assert "no such bus" in told["unavailable"]["wrong"]
    assert "not_there" in told["unavailable"]["broken"]


def test_a_file_opens_beside_a_driver_that_cannot_be_made(run, tmp_path):
    made = run("record", *FIVE, "-o", "a.mcap", "--raw-only")
    assert made.status == 0, made.err
    schemes = ["wrong", "broken", "fine"]
    app = run("run", "--headless", "a.mcap", "--refiner", "none", "--stats", "s", schemes=schemes)
    assert app.status == 0, app.err


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """A session of several chunks, one of them damaged."""
    path = session(tmp_path_factory.mktemp("damaged") / "a.mcap", frames=400)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "words",
    [
        ("info",),
        ("run", "--headless", "--refiner", "none", "--every-frame", "--stats", "s.json"),
        ("record", "--raw-only", "--frames", "5", "-o", "b.mcap"),
        ("snapshot", "-o", "shot", "--refiner", "none"),
        ("export", "--to", "npz", "-o", "arrays"),
        ("measure", "--frames", "3"),
        ("compare", "-o", "report", "--refiner", "none", "--duration", "0.1"),
        ("eval", "--frames", "1", "--seeds", "1", "--refiner", "guided"),
        ("refine", "-o", "shots", "--frames", "2", "--refiner", "none"),
        ("refine", "-o", "c.mcap", "--refiner", "none"),
        ("track", "-o", "t.csv", "--grid", "2", "--frames", "3", "--refiner", "none"),
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_every_command_says_that_what_it_read_is_damaged(damaged, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    done = command(words[0], damaged, *words[1:])
    assert done.returncode == 1, done.stderr
    assert "damaged" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
