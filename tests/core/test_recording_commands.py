"""The commands on sessions: record, info, repair, refine; names and sizes."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from fixtures_folder import plain
from sessions import NoisyCamera, record

from lingbot_live.cli.main import app
from lingbot_live.errors import ConfigError, RecordingError
from lingbot_live.pipeline.session import Session
from lingbot_live.recording.format import expand_name, slug
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions, parse_split


def run(*arguments):
    app(args=[str(a) for a in arguments], prog_name="lingbot-live", standalone_mode=False)


def test_record_info_repair_and_refine_commands(tmp_path, capsys):
    path = tmp_path / "{camera}.mcap"
    run("record", "synthetic:stereo", "-o", path, "--frames", 4, "--refiner", "none")
    made = tmp_path / "synthetic_stereo.mcap"
    assert capsys.readouterr().out.split() == [str(made)]
    run("info", made, "--json")
    found = json.loads(capsys.readouterr().out)
    camera = found["cameras"]["synthetic:stereo"]
    assert found["frames"] == camera["frames"] == 4
    assert found["duration_s"] > 0
    assert found["settings"]["addresses"] == "synthetic:stereo"
    assert camera["calibration"]["color"]["width"] == 640
    run("info", made)
    assert "4 frames at" in capsys.readouterr().out
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(made.read_bytes()[:-30])
    run("info", cut, "--json")
    assert json.loads(capsys.readouterr().out)["damage"]
    run("repair", cut, "-o", tmp_path / "whole.mcap")
    assert "0 damaged chunks" in capsys.readouterr().out
    run("refine", tmp_path / "whole.mcap", "-o", tmp_path / "again.mcap", "--refiner", "none")
    with Recording(tmp_path / "again.mcap") as again:
        assert all(again.refined(row) is not None for row in range(4))


def test_info_tells_of_inertial_sensors_calibration_and_settings(tmp_path, capsys):
    record(tmp_path / "a.mcap", NoisyCamera("left", 5, with_imu=True))
    with Recording(tmp_path / "a.mcap") as recording:
        readings = sum(len(frame.imu) for frame in recording)
    assert readings > 0
    run("info", tmp_path / "a.mcap")
    text = capsys.readouterr().out
    assert f"{readings} readings of inertial sensors" in text
    assert "fx 33.1, fy 33.7, cx 19.4, cy 14.6; a raw unit is 1 mm" in text
    assert "model: none" in text
    run("info", tmp_path / "a.mcap", "--json")
    camera = json.loads(capsys.readouterr().out)["cameras"]["noisy:left"]
    assert camera["imu"] == readings
    assert camera["imu_hz"] > 0


def test_record_warns_when_the_disk_is_nearly_full(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("lingbot_live.recording.disk.WARN_MINUTES", 1e9)
    folder = plain(tmp_path / "in")
    run("record", f"folder:{folder}", "-o", tmp_path / "a.mcap", "--duration", 3, "--raw-only")
    err = capsys.readouterr().err
    assert err.count("the disk has room for") == 1


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("info", "none.mcap"), RecordingError, "cannot be opened"),
        (("repair", "none.mcap", "-o", "x.mcap"), RecordingError, "no such file"),
        (("record", "synthetic:stereo", "-o", "no/x.mcap"), RecordingError, "does not exist"),
        (("record", "synthetic:stereo", "-o", "{x}.mcap"), ConfigError, "known fields"),
        (("record", "synthetic:stereo", "--split", "often"), ConfigError, "4G, 500M"),
        (("record", "synthetic:stereo", "--size", "big"), ConfigError, "WIDTHxHEIGHT"),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path, monkeypatch, arguments, error, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=words) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.glob("*.mcap")) == []


def test_split_sizes_and_times():
    assert parse_split("4G") == (4 << 30, None)
    assert parse_split("500MB") == (500 << 20, None)
    assert parse_split("10min") == (None, 600.0)
    assert parse_split("1.5h") == (None, 5400.0)


def test_names():
    from datetime import datetime

    assert slug("realsense:f12") == "realsense_f12"
    assert slug("orbbec:/a/b/take 1.bag") == "orbbec_take_1"
    assert slug("a:x", ["a_x"]) == "a_x_2"
    assert slug("12:3") == "camera_12_3"
    now = datetime(2024, 5, 6, 7, 8, 9)
    assert expand_name("{date}_{time}_{camera}", "kinect:0", now) == (
        "2024-05-06_07-08-09_kinect_0.mcap"
    )
    for wrong in ({"quality": 0}, {"compression": "rar"}, {"queue_bytes": 0}):
        with pytest.raises(ConfigError):
            RecorderOptions(**wrong)


def test_a_slow_start_does_not_end_a_recording(tmp_path, monkeypatch):
    """The session's clock runs while its threads still start."""
    real = Session.start

    def slow(self, max_frames=None):
        real(self, max_frames)
        time.sleep(0.4)

    monkeypatch.setattr(Session, "start", slow)
    run("record", "synthetic:stereo", "-o", tmp_path / "a.mcap", "--frames", 40, "--raw-only")
    with Recording(tmp_path / "a.mcap") as made:
        assert len(made) == 40


def test_record_waits_for_enter_and_begins_before_it(tmp_path):
    out = tmp_path / "late.mcap"
    child = subprocess.Popen(
        [
            sys.executable, "-m", "lingbot_live.cli.main", "record", "synthetic:stereo",
            "--raw-only", "--pre-trigger", "2", "--duration", "0.3", "-o", str(out),
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert child.stderr.readline() == "press Enter to record\n"
        time.sleep(3.0)
        asked_ns = time.time_ns()
        assert not out.exists()
        told, _ = child.communicate("\n", timeout=60)
    finally:
        child.kill()
        child.wait()
    assert (child.returncode, told) == (0, f"{out}\n")
    with Recording(out) as recording:
        assert recording.start_ns < asked_ns < recording.end_ns + 1_000_000_000
