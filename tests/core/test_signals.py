"""Ctrl-C, SIGTERM and SIGHUP end every command in peace, once, wherever it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from faults import plugins

from lingbot_live.system.scratch import put_in_place, scratch_folder

STOPS = ["SIGINT", "SIGTERM", "SIGHUP"]


def send(app, name, times=2):
    """Send a signal as a terminal and a shell may: twice within 50 ms."""
    for _ in range(times):
        if app.process.poll() is None:
            app.signal(getattr(signal, name))
        time.sleep(0.02)


@pytest.mark.parametrize("name", STOPS)
def test_a_recording_is_closed(start, tmp_path, name):
    path = tmp_path / "a.mcap"
    app = start("record", "fine:good", "-o", path.name, "--refiner", "guided")
    app.until(lambda: path.exists() and path.stat().st_size > 2_000_000)
    send(app, name)
    assert app.end(20) == 0, app.err
    told = start("info", path.name, "--json")
    assert told.end() == 0
    assert json.loads(told.out)["damage"] == []


@pytest.mark.parametrize("name", STOPS)
def test_a_headless_run_writes_its_statistics(start, tmp_path, name):
    app = start("run", "--headless", "fine:good", "--refiner", "none", "--stats", "s.json")
    app.until((tmp_path / ".plugins" / "streaming").exists)
    send(app, name)
    assert app.end(20) == 0, app.err
    assert json.loads((tmp_path / "s.json").read_text())["feeds"]["fine:good"]["captured"] > 0


@pytest.mark.parametrize("name", STOPS)
def test_an_export_leaves_nothing(start, tmp_path, name):
    made = start("record", "fine:good", "-o", "a.mcap", "--raw-only", "--duration", "5")
    assert made.end() == 0
    app = start("export", "a.mcap", "--to", "ply", "-o", "clouds")
    app.until(lambda: list(tmp_path.glob(".clouds-*")))
    send(app, name)
    assert app.end(20) == 130, app.err
    assert "nothing was written" in app.err
    assert not list(tmp_path.glob("*clouds*"))
    assert not list(tmp_path.glob(".clouds*"))


@pytest.mark.parametrize("delay_s", [0.0, 0.3, 2.0])
def test_an_interrupted_start_leaves_no_empty_session(start, tmp_path, delay_s):
    app = start("record", "fine:silent", "-o", "a.mcap", "--refiner", "none")
    app.until_heard()
    time.sleep(delay_s)
    send(app, "SIGTERM")
    assert app.end(20) != 0
    assert not (tmp_path / "a.mcap").exists()


def test_nohup_is_respected(start, tmp_path):
    path = tmp_path / "a.mcap"
    code = (
        "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        f"sys.argv = ['x', 'record', 'fine:good', '-o', {str(path)!r}, '--raw-only', "
        "'--duration', '4']\nfrom lingbot_live.cli.main import main; main()"
    )
    environment = {**os.environ, **plugins(tmp_path / ".plugins", "fine")}
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, env=environment
    )
    while not path.exists():
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert child.poll() is None
    assert child.wait(30) == 0


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    code = (
        "import os, sys; from pathlib import Path\n"
        "from lingbot_live.system.scratch import scratch_folder\n"
        "with scratch_folder(Path(sys.argv[1])) as work:\n"
        "    (work / 'half').write_text('x'); os.kill(os.getpid(), 9)"
    )
    for name in ("clouds", "more"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], check=False)
    assert len(list(tmp_path.glob(".*"))) == 1, "the second cleared the first away"
    with scratch_folder(tmp_path / "other") as mine:
        with scratch_folder(tmp_path / "beside"):
            assert mine.is_dir(), "one that still works is left alone"
        assert len(list(tmp_path.glob(".*"))) == 1
    assert not list(tmp_path.glob(".*"))


def test_what_was_replaced_comes_back_when_the_process_is_killed_in_between(tmp_path):
    (tmp_path / "clouds").mkdir()
    (tmp_path / "clouds" / "precious").write_text("1")
    code = (
        "import os, sys; from pathlib import Path\n"
        "from lingbot_live.system import scratch\n"
        "rename = Path.rename\n"
        "def stop(self, to):\n"
        "    rename(self, to); os.kill(os.getpid(), 9)\n"
        "Path.rename = stop\n"
        "with scratch.scratch_folder(Path(sys.argv[1])) as work:\n"
        "    scratch.put_in_place(work, Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "clouds")], check=False)
    assert not (tmp_path / "clouds").exists()
    with scratch_folder(tmp_path / "clouds") as work:
        assert (tmp_path / "clouds" / "precious").read_text() == "1"
        put_in_place(work, tmp_path / "clouds")
    assert os.listdir(tmp_path) == ["clouds"]
    assert not list((tmp_path / "clouds").iterdir())
