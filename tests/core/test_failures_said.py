"""What fails is said at once, is in the file, and is in the exit status; nothing hides behind 0."""

from __future__ import annotations

import json
import time

import pytest
from faults import App, one_line, plugins

from lingbot_live.config import SessionConfig
from lingbot_live.errors import RefinerError
from lingbot_live.pipeline.session import Session

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
    told = run("info", "a.mcap", "--json")
    (failure,) = json.loads(told.out)["failures"]
    assert failure["camera"] == address
    assert words in failure["text"]
    assert f"{address} failed at " in run("info", "a.mcap").out


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
