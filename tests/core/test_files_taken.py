"""Files that other programs take away, cut or replace while they are written or read."""

from __future__ import annotations

import json
import os
import time

import psutil
import pytest
from command import command
from faults import failing_disk, slow_disk

from lingbot_live.recording.session_file import SessionFile

WORDS = {
    "deleted": lambda path: path.unlink(),
    "renamed": lambda path: path.rename(path.with_name("elsewhere.mcap")),
    "replaced": lambda path: _replace(path),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "written over": lambda path: path.write_bytes(bytes(40_000_000)),
}


def _replace(path):
    other = path.with_name("other")
    other.write_bytes(b"of another program")
    other.replace(path)


def told(path):
    said = command("info", path, "--json")
    found = json.loads(said.stdout)
    assert said.returncode == (1 if found["damage"] else 0), said.stderr
    return found


@pytest.mark.parametrize("what", WORDS)
def test_a_recording_goes_on_in_a_new_file(start, tmp_path, what):
    path = tmp_path / "a.mcap"
    app = start("record", "fine:good", "-o", path.name, "--raw-only")
    app.until(lambda: path.exists() and path.stat().st_size > 4_000_000)
    WORDS[what](path)
    app.until(lambda: "while recording" in app.err, 15)  # a second, and a busy machine
    app.until(lambda: (tmp_path / "a_001.mcap").stat().st_size > 2_000_000)
    app.signal()
    assert app.end() == (0 if what == "renamed" else 1)
    written = app.out.split()
    assert "a_001.mcap" in written
    for name in written:
        found = told(tmp_path / name)
        assert found["frames"] > 0
        assert found["damage"] == []
    (mishap,) = told(tmp_path / "a_001.mcap")["mishaps"]
    assert "a.mcap: it was" in mishap["text"]
    if what == "renamed":
        assert told(tmp_path / "elsewhere.mcap")["damage"] == []
    else:
        assert "file taken away" in app.err.splitlines()[-1]
    if what == "replaced":
        assert path.read_bytes() == b"of another program"
    if what == "written over":
        assert path.read_bytes() == bytes(40_000_000)


@pytest.mark.parametrize("what", ["deleted", "replaced", "cut"])
def test_a_replay_stops_with_a_word(start, tmp_path, what):
    path = tmp_path / "a.mcap"
    made = start("record", "fine:good", "-o", path.name, "--raw-only", "--duration", "3")
    assert made.end() == 0, made.err
    app = start("run", "--headless", path.name, "--refiner", "none", "--stats", "s.json", "--loop")
    for _ in range(2):  # it looks into the file first, then plays it
        app.until(
            lambda: str(path) in [f.path for f in psutil.Process(app.process.pid).open_files()]
        )
        time.sleep(1.5)
    WORDS[what](path)
    begun = time.monotonic()
    assert app.end(30) == 2
    assert time.monotonic() - begun < 10
    assert f"the file was {what}" in app.err


def test_a_slow_disk_is_waited_for(start, tmp_path):
    environment = slow_disk("a.mcap", 150)
    app = start(
        "record", "fine:good", "-o", "a.mcap", "--raw-only", "--duration", "2",
        environment=environment,
    )  # fmt: skip
    assert app.end(120) == 0
    assert "saving: " in app.err
    assert "drops: none" in app.err
    frames = int(app.err.splitlines()[-1].split(", ")[1].split()[0])
    assert told(tmp_path / "a.mcap")["frames"] == frames


def test_what_a_slow_disk_does_not_get_is_counted(start, tmp_path):
    environment = slow_disk("a.mcap", 200)
    app = start(
        "record", "fine:good", "-o", "a.mcap", "--raw-only", "--duration", "4",
        environment=environment,
    )  # fmt: skip
    app.until(lambda: "gives them up" in app.err)
    app.signal()
    assert app.end(30) == 1
    assert "given up before it was written" in app.err.splitlines()[-1]
    found = told(tmp_path / "a.mcap")
    drops = found["cameras"]["fine:good"]["drops"]
    assert drops["not recorded: given up before it was written"] > 0
    assert found["damage"] == []


@pytest.mark.parametrize(("number", "words"), [(5, "Input/output error"), (28, "disk is full")])
@pytest.mark.parametrize("after", [0, 6_000_000])
def test_a_disk_that_fails_is_told_with_path_rest_and_remedy(start, tmp_path, number, words, after):
    app = start(
        "record", "fine:good", "-o", "a.mcap", "--raw-only", "--duration", "5",
        environment=failing_disk("a.mcap", number, after),
    )  # fmt: skip
    assert app.end() == 2
    last = app.err.splitlines()[-1]
    assert last.startswith("lingbot-live: a.mcap: ")
    assert words in last
    assert "kept" in last
    assert "record again" in last
    assert "Traceback" not in app.err
    if after:
        assert told(tmp_path / "a.mcap")["frames"] > 3
    else:
        assert not (tmp_path / "a.mcap").exists()


def test_a_file_that_is_deleted_just_now_was_not_renamed(tmp_path, monkeypatch):
    path, fstat = tmp_path / "a.mcap", os.fstat
    file = SessionFile(path, [])

    def late(descriptor):
        found = fstat(descriptor)
        path.unlink(missing_ok=True)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", late)
        first = file.mishap()
    then = file.mishap()
    file.abort()
    assert first in ("", "was deleted"), "what was true a moment ago, or is"
    assert then == "was deleted"
