"""The table of all sessions: what is in it, that only news are read, that DuckDB reads it."""

from __future__ import annotations

import os
import shutil

import cv2
import numpy as np
import pytest
from command import command
from sessions import HalfRefiner, NoisyCamera, record

from lingbot_live.errors import RecordingError
from lingbot_live.recording import catalog
from lingbot_live.recording.catalog import NAME, read, update
from lingbot_live.recording.offline import refine_file
from lingbot_live.recording.state import RecorderOptions

pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def takes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("takes")
    (folder / "lab").mkdir()
    raw = folder / "two.mcap"
    cameras = NoisyCamera("left", 9, with_imu=True), NoisyCamera("right", 7, 0.00025, seed=1)
    record(raw, *cameras, options=RecorderOptions(refined=False), during=lambda s, r: r.marker("x"))
    refine_file(raw, folder / "lab" / "refined.mcap", HalfRefiner())
    return folder


@pytest.fixture
def folder(takes, tmp_path):
    return shutil.copytree(takes, tmp_path / "all")


def test_a_row_for_each_camera_of_each_session(folder):
    found = update(folder)
    assert (found.sessions, found.rows, found.read_anew, found.gone) == (2, 4, 2, 0)
    assert found.path == folder / NAME
    rows = {(row["session"], row["camera"]): row for row in read(found.path)}
    left = rows["two.mcap", "noisy:left"]
    assert (left["frames"], left["refined"], left["imu"], left["serial"]) == (9, 0, 27, "0042")
    assert (left["width"], left["height"], left["markers"], left["error"]) == (40, 30, 1, "")
    assert left["raw_fill"] == pytest.approx(1 - 1 / 1200, abs=0.001)
    assert left["refined_fill"] is None
    refined = rows["lab/refined.mcap", "noisy:right"]
    assert (refined["frames"], refined["refined"]) == (7, 7)
    assert refined["kept"] + refined["changed"] + refined["filled"] == pytest.approx(1, abs=0.01)
    assert "passthrough" in refined["refiners"] or refined["refiners"]
    picture = cv2.imdecode(np.frombuffer(left["thumbnail"], np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (30, 40, 3)


def test_only_what_changed_is_read_again(folder, monkeypatch):
    update(folder)
    read_files = []
    right = catalog._rows_of
    monkeypatch.setattr(
        catalog, "_rows_of", lambda file, name: read_files.append(name) or right(file, name)
    )
    before = (folder / NAME).stat().st_mtime_ns
    assert update(folder).read_anew == 0
    assert (folder / NAME).stat().st_mtime_ns == before, "nothing new, nothing written"
    shutil.copy(folder / "two.mcap", folder / "third.mcap")
    os.utime(folder / "two.mcap", ns=(1, 1))
    (folder / "lab" / "refined.mcap").unlink()
    found = update(folder)
    assert (found.sessions, found.read_anew, found.gone) == (2, 2, 1)
    assert sorted(read_files) == ["third.mcap", "two.mcap"]


def test_duckdb_reads_it(folder):
    duckdb = pytest.importorskip("duckdb")
    update(folder)
    query = f"select camera, sum(frames) from '{folder / NAME}' group by camera order by camera"
    assert duckdb.sql(query).fetchall() == [("noisy:left", 18), ("noisy:right", 14)]


def test_a_file_that_cannot_be_read_has_its_row_and_costs_nothing_else(folder):
    (folder / "bad.mcap").write_bytes(b"\x89MCAP0\r\n" + b"\0" * 100)
    done = command("index", folder)
    assert done.returncode == 1
    assert "bad.mcap: " in done.stderr
    assert f"{folder / NAME}: 3 sessions in 5 rows; 3 read anew, 0 gone" in done.stdout
    (bad,) = (row for row in read(folder / NAME) if row["session"] == "bad.mcap")
    assert bad["error"]
    assert bad["camera"] is None


def test_what_is_no_table_of_ours_is_never_replaced(folder):
    (folder / NAME).write_text("mine")
    with pytest.raises(RecordingError, match="cannot be read"):
        update(folder)
    assert (folder / NAME).read_text() == "mine"
    with pytest.raises(RecordingError, match="no such folder"):
        update(folder / "nowhere")
