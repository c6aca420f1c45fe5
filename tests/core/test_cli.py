"""The command line as a user meets it: real processes, real exit states."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import typer
from command import command, in_new_python
from rgbd_folder import write_examples

from lingbot_live.cli.lazy import command_names, only
from lingbot_live.cli.main import app

HEAVY = ("torch", "open3d", "PySide6", "pyqtgraph", "cv2", "pyrealsense2", "pyorbbecsdk", "pyk4a")


def cli(*arguments: str, timeout_s: float = 100, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lingbot_live", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, check=False, **options
    )


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"]])
def test_help_answers_without_heavy_imports(arguments):
    code = (
        "import sys\nfrom lingbot_live.cli.main import main\n"
        f"sys.argv = ['lingbot-live', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    assert "lingbot-live" in in_new_python(code)


def test_commands_that_are_only_listed_cost_no_options():
    whole, light = (typer.main.get_command(a) for a in (app, only(app, "measure")))
    assert command_names(app) == set(whole.commands) == set(light.commands)
    for name, one in whole.commands.items():
        assert one.get_short_help_str() == light.commands[name].get_short_help_str()
    assert len(light.commands["measure"].params) == len(whole.commands["measure"].params) > 5
    assert len(light.commands["compare"].params) == 0
    group = typer.main.get_command(only(app, "models")).commands["models"]
    assert len(group.commands["download"].params) > 1


def test_headless_run_writes_stats_that_add_up(tmp_path):
    path = tmp_path / "s.json"
    done = cli(
        "run", "synthetic:stereo", "synthetic:tof", "--size", "160x120", "--headless",
        "--frames", "20", "--refiner", "none", "--stats", str(path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    stats = json.loads(path.read_text())
    assert set(stats["feeds"]) == {"synthetic:stereo", "synthetic:tof"}
    for feed in stats["feeds"].values():
        assert feed["captured"] == 20
        assert feed["captured"] == feed["refined"] + sum(feed["drops"].values())
        assert {"p50", "p95"} <= set(feed["latency_ms"]["refine"])


def test_run_is_the_default_command(tmp_path):
    path = tmp_path / "s.json"
    done = cli(
        "synthetic:stereo", "--size", "160x120", "--headless", "--frames", "2",
        "--refiner", "none", "--stats", str(path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(path.read_text())["feeds"]["synthetic:stereo"]["captured"] == 2


def test_devices_lists_the_simulated_cameras():
    done = cli("devices", "--json")
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    assert "synthetic:stereo" in [camera["address"] for camera in listed["cameras"]]


def test_snapshot_of_a_simulated_camera(tmp_path):
    import cv2
    import open3d as o3d

    from lingbot_live.export.snapshot import FILES

    folder = tmp_path / "shot"
    done = cli(
        "snapshot", "synthetic:stereo", "--size", "160x120", "--frame", "2",
        "--refiner", "guided", "-o", str(folder),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    raw, refined = np.load(folder / "depth_input.npy"), np.load(folder / "depth_refined.npy")
    assert raw.shape == refined.shape == (120, 160)
    assert raw.dtype == refined.dtype == np.float32
    assert (refined > 0).mean() > (raw > 0).mean()
    cloud = o3d.io.read_point_cloud(str(folder / "point_cloud.ply"))
    assert len(cloud.points) == np.count_nonzero(refined)
    assert np.asarray(cloud.colors).std() > 0
    assert np.loadtxt(folder / "intrinsics.txt").shape == (3, 3)
    assert cv2.imread(str(folder / "depth_comparison.png")).shape == (120, 320, 3)
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["refiner"]["name"] == "guided"
    assert meta["frame"]["index"] == 2
    assert meta["camera"]["simulated"] is True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "syntetic:stereo"], "Did you mean 'synthetic'"),
        (["run", "synthetic:stero"], "Did you mean 'stereo'"),
        (["run", "/nowhere/at/all.bag"], "no such file"),
        (["run", "folder:/nowhere/at/all"], "/nowhere/at/all"),
        (["run", "synthetic:stereo", "--refiner", "giuded"], "Did you mean 'guided'"),
        (["run", "synthetic:stereo", "--size", "640"], "WIDTHxHEIGHT"),
        (["run", "synthetic:stereo", "--renderer", "cuda"], "known are auto, gpu, software"),
        (["run", "synthetic:stereo", "--depth-size", "x"], "--depth-size x: write WIDTHxHEIGHT"),
        (["run", "synthetic:stereo", "--stats", "/nowhere/s.json"], "folder does not exist"),
        (["run", "synthetic:stereo", "--screenshot", "a.png"], "--headless"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(arguments, words):
    done = command(*arguments, "--headless")
    assert done.returncode == 2, done.stdout
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_bad_input_ends_a_real_process_the_same_way():
    done = cli("run", "syntetic:stereo", "--headless")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


def test_debug_shows_the_traceback():
    done = cli("--debug", "run", "syntetic:stereo", "--headless")
    assert done.returncode != 0
    assert "Traceback" in done.stderr


def test_snapshot_never_overwrites(tmp_path):
    (tmp_path / "taken.txt").write_text("mine")
    done = cli(
        "snapshot", "synthetic:stereo", "--size", "160x120", "--refiner", "none",
        "-o", str(tmp_path),
    )  # fmt: skip
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert (tmp_path / "taken.txt").read_text() == "mine"
    assert not list(Path(tmp_path.parent).glob(f".{tmp_path.name}-*")), "no half folder stays"


def test_ctrl_c_ends_a_headless_run_cleanly(tmp_path):
    import signal
    import time

    path = tmp_path / "s.json"
    source = f"folder:{write_examples(tmp_path / 'in')}"  # there at once, even on a busy machine
    command = [
        sys.executable, "-m", "lingbot_live", "run", source,
        "--headless", "--duration", "60", "--refiner", "none", "--stats", str(path),
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while psutil.Process(process.pid).num_threads() < 3:  # capture and refiner
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    assert json.loads(path.read_text())["feeds"][source]["captured"] > 0
