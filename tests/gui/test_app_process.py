"""The app as a process under a real X server: first frame, files, endings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import cv2
import psutil
import pytest
from rgbd_folder import write_examples


@pytest.fixture
def start(x_display, tmp_path):
    """Return a function that starts the app; all of it is gone after the test."""
    environment = {**os.environ, "DISPLAY": x_display}
    environment.pop("QT_QPA_PLATFORM", None)
    started = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "lingbot_live", *arguments]
        process = subprocess.Popen(
            command, env=environment, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(condition, timeout_s: float = 30.0):
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return value


def cloud_child(process: subprocess.Popen[str]) -> psutil.Process | None:
    for child in psutil.Process(process.pid).children():
        try:
            if "ui.cloud.process" in " ".join(child.cmdline()):
                return child
        except psutil.Error:  # another child, such as the one that looks for cameras, just ended
            continue
    return None


def test_a_timed_run_leaves_a_screenshot_a_snapshot_and_stats(start, tmp_path):
    folder = write_examples(tmp_path / "examples")
    shot, stats, snapshot = tmp_path / "shot.png", tmp_path / "s.json", tmp_path / "snap"
    process = start(
        "run", f"folder:{folder}", "--refiner", "guided", "--duration", "8",
        "--screenshot", str(shot), "--stats", str(stats), "--snapshot", str(snapshot),
    )  # fmt: skip
    _, stderr = process.communicate(timeout=90)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    picture = cv2.imread(str(shot))
    assert picture.shape[0] >= 600
    assert picture.std() > 10, "an empty window"
    assert (snapshot / "point_cloud.ply").exists()
    written = json.loads(stats.read_text())
    assert written["ui"]["fps"] > 0
    assert written["ui"]["renderer"] == "software"  # Xvfb's OpenGL is none that auto takes
    assert {"max_stall_ms", "p99_stall_ms"} <= set(written["ui"])
    feed = written["feeds"][f"folder:{folder}"]
    assert feed["captured"] > 0
    assert "until_shown" in feed["latency_ms"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_app_and_its_child(start, tmp_path, how):
    folder = write_examples(tmp_path / "examples")
    process = start("run", f"folder:{folder}", "--refiner", "none")
    child = wait_for(lambda: cloud_child(process))
    process.send_signal(how)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_killed_cloud_process_comes_back(start, tmp_path):
    folder = write_examples(tmp_path / "examples")
    process = start("run", f"folder:{folder}", "--refiner", "none")
    child = wait_for(lambda: cloud_child(process))
    child.kill()
    again = wait_for(lambda: (c := cloud_child(process)) and c.pid != child.pid and c)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0
    wait_for(lambda: not again.is_running())


def test_a_killed_app_takes_its_child_along(start, tmp_path):
    folder = write_examples(tmp_path / "examples")
    process = start("run", f"folder:{folder}", "--refiner", "none")
    child = wait_for(lambda: cloud_child(process))
    process.kill()
    process.communicate(timeout=10)
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 10)


def test_a_run_that_never_had_a_picture_is_exit_status_2(start):
    process = start("run", "folder:/nowhere/at/all", "--duration", "3")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "/nowhere/at/all" in stderr
    assert "Traceback" not in stderr
