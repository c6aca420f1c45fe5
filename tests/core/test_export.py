"""Exports: what may be written where, what is left of a stopped one, and what is in the files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import export_takes
import numpy as np
import pytest
from export_takes import ask, names
from fixtures_folder import plain
from sessions import NoisyCamera, record

from lingbot_live.cli.export import NAMES
from lingbot_live.errors import (
    ConfigError,
    ExportCancelledError,
    ExportError,
    RecordingError,
)
from lingbot_live.export.child import ExportJob
from lingbot_live.export.formats import FORMATS, format_named
from lingbot_live.export.job import ExportRequest, run_export
from lingbot_live.export.shot import DepthSource
from lingbot_live.export.source import Span
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions
from lingbot_live.system.job import JobState

DOC = Path(__file__).parents[2] / "docs" / "export.md"


@pytest.fixture(scope="module")
def take(tmp_path_factory) -> Path:
    return export_takes.make(tmp_path_factory.mktemp("take"))


# ---- where to ------------------------------------------------------------------------------------


def test_several_cameras_go_into_folders_of_their_own(take, tmp_path):
    report = run_export(ask(take, "npz", tmp_path / "out", camera=""))
    assert report.frames == 20
    assert names(tmp_path / "out") == ["export.json", "noisy_left", "noisy_right"]
    assert len(names(tmp_path / "out" / "noisy_right")) == 8
    assert json.loads((tmp_path / "out" / "export.json").read_text())["frames"] == 20
    assert report.bytes == sum(p.stat().st_size for p in (tmp_path / "out").rglob("*.*"))


def test_an_empty_folder_may_be_filled(take, tmp_path):
    (tmp_path / "out").mkdir()
    run_export(ask(take, "npz", tmp_path / "out", span=Span(0, 2)))
    assert names(tmp_path / "out") == ["000000.npz", "000001.npz", "export.json"]


def test_nothing_is_overwritten_without_force(take, tmp_path):
    out = tmp_path / "out"
    run_export(ask(take, "npz", out, span=Span(0, 3)))
    with pytest.raises(ExportError, match="it exists"):
        run_export(ask(take, "npz", out))
    assert len(names(out)) == 4
    run_export(ask(take, "npz", out, span=Span(5, 6), force=True))
    assert names(out) == ["000005.npz", "export.json"]
    assert names(tmp_path) == ["out"]


def test_force_replaces_only_what_an_export_wrote(take, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("aunt")
    with pytest.raises(ExportError, match=r"no export wrote dear\.txt in this folder"):
        run_export(ask(take, "npz", tmp_path / "letters", force=True))
    assert names(tmp_path / "letters") == ["dear.txt"]


def test_a_format_of_one_file_may_name_it(take, tmp_path):
    file = tmp_path / "a.mp4"
    report = run_export(ask(take, "mp4", file, span=Span(0, 2)))
    assert names(tmp_path) == ["a.mp4"]
    assert report.bytes == file.stat().st_size > 100
    with pytest.raises(ExportError, match="it exists"):
        run_export(ask(take, "mp4", file))
    run_export(ask(take, "mp4", file, span=Span(0, 2), force=True))
    with pytest.raises(ExportError, match="one file for 2 cameras"):
        run_export(ask(take, "mp4", tmp_path / "b.mp4", camera=""))
    assert names(tmp_path) == ["a.mp4"]


def test_a_folder_that_cannot_be_written(take, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ExportError, match="it cannot be written"):
        run_export(ask(take, "npz", tmp_path / "file" / "out"))


@pytest.mark.parametrize("form", ["ply", "images", "npz", "tum", "mp4"])
def test_a_full_disk_leaves_nothing(take, small_disk, form):
    fill = small_disk / "fill"
    fill.write_bytes(bytes((16 << 20) - (8 << 10)))
    with pytest.raises(ExportError):
        run_export(ask(take, form, small_disk / "out"))
    assert names(small_disk) == ["fill"]


# ---- which frames --------------------------------------------------------------------------------


def test_spans():
    assert Span.parse(":") == Span.parse("") == Span()
    assert Span.parse("3:") == Span(3)
    assert Span.parse("3:9:2") == Span(3, 9, 2)
    assert Span.parse("7") == Span(7, 8)
    for text in ("a", "-1:", "1:2:0", "5:5", "1:2:3:4", "1.5"):
        with pytest.raises(ExportError, match="frames"):
            Span.parse(text)
    assert Span(3, 9, 2).count(None) == 3
    assert Span(3, None, 2).count(6) == 2
    assert Span(3).count(None) is None


def test_only_the_frames_of_the_span(take, tmp_path):
    told = []
    run_export(
        ask(take, "npz", tmp_path / "out", span=Span(1, 8, 3)), lambda *news: told.append(news)
    )
    assert names(tmp_path / "out")[:3] == ["000001.npz", "000004.npz", "000007.npz"]
    assert told == [(1, 3), (2, 3), (3, 3)]
    with Recording(take) as recording:
        frame = recording.tracks["noisy:left"][4]
    assert np.array_equal(np.load(tmp_path / "out" / "000004.npz")["depth_raw"], frame.depth_raw)


def test_a_span_without_frames_and_a_camera_without_name(take, tmp_path):
    with pytest.raises(ExportError, match="no frame lies in the span"):
        run_export(ask(take, "npz", tmp_path / "out", span=Span(40, 50)))
    with pytest.raises(RecordingError, match="Did you mean 'noisy:left'"):
        run_export(ask(take, "npz", tmp_path / "out", camera="left"))
    assert names(tmp_path) == []


def test_raw_only_recordings_hold_no_refined_depth(tmp_path):
    record(tmp_path / "raw.mcap", NoisyCamera("left", 3), options=RecorderOptions(refined=False))
    with pytest.raises(ExportError, match=r"no frame holds refined depth.*lingbot-live refine"):
        run_export(ask(tmp_path / "raw.mcap", "npz", tmp_path / "out", source=DepthSource.REFINED))


def test_damaged_frames_are_left_out_and_counted(tmp_path):
    folder = plain(tmp_path / "in", 5)
    (folder / "depth" / "0002.png").write_bytes(b"no picture")
    report = run_export(ExportRequest(str(folder), "npz", tmp_path / "out"))
    assert (report.frames, report.left_out) == (4, 1)
    assert "0002.png" in report.remarks[0]
    assert names(tmp_path / "out")[2] == "000003.npz"  # numbers are places in the recording


def test_a_camera_without_end_wants_a_span(tmp_path):
    with pytest.raises(ExportError, match="--frames 0:N"):
        run_export(ExportRequest("synthetic:tof", "npz", tmp_path / "out"))


# ---- stopping ------------------------------------------------------------------------------------


def test_a_stopped_export_leaves_nothing(take, tmp_path):
    done = []
    with pytest.raises(ExportCancelledError):
        run_export(
            ask(take, "tum", tmp_path / "out"),
            lambda count, total: done.append(count),
            lambda: len(done) == 3,
        )
    assert done == [1, 2, 3]
    assert names(tmp_path) == []


def test_a_failed_replacement_keeps_the_old(take, tmp_path):
    run_export(ask(take, "npz", tmp_path / "out", span=Span(0, 2)))
    with pytest.raises(ExportCancelledError):
        run_export(ask(take, "npz", tmp_path / "out", force=True), should_stop=lambda: True)
    assert names(tmp_path / "out") == ["000000.npz", "000001.npz", "export.json"]
    assert names(tmp_path) == ["out"]


def wait_for(condition, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_job_in_a_process_of_its_own(take, tmp_path):
    job = ExportJob(ask(take, "images", tmp_path / "out", source=DepthSource.REFINED))
    assert job.state is JobState.READY
    job.start()
    assert job.join(60)
    assert (job.state, job.done, job.total, job.error) == (JobState.DONE, 12, 12, None)
    assert job.report is not None
    assert (job.report.frames, job.report.output) == (12, tmp_path / "out")


def test_a_job_is_cancelled(tmp_path):
    folder = plain(tmp_path / "in", 2)
    request = ExportRequest("synthetic:tof", "tum", tmp_path / "out", Span(0, 100_000))
    job = ExportJob(request)
    job.start()
    wait_for(lambda: job.done > 0)
    job.cancel()
    assert job.join(30)
    assert job.state is JobState.CANCELLED
    assert isinstance(job.error, ExportCancelledError)
    assert names(tmp_path) == ["in"]
    assert folder.exists()


def test_a_job_says_why_it_failed(tmp_path):
    job = ExportJob(ExportRequest("nowhere.mcap", "ply", tmp_path / "out"))
    job.start()
    assert job.join(60)
    assert job.state is JobState.FAILED
    assert "no such file" in str(job.error)


# ---- the table, the document, the command line ---------------------------------------------------


def test_the_document_says_what_the_table_says():
    text = " ".join(DOC.read_text("utf-8").split())
    for kind in FORMATS.values():
        assert f"## {kind.name}: {kind.title}" in text
        assert kind.words in text, kind.name
        for option in kind.options:
            assert f"| `{option.name}` |" in text
            assert option.help in text, option.name
            assert option.span in text, option.name
    assert ", ".join(FORMATS) == NAMES


def test_the_readme_lists_the_formats():
    readme = (DOC.parents[1] / "README.md").read_text("utf-8")
    table = readme.split("| `--to` |")[1].split("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines()[2:]]
    assert re.findall(r"`(\w+)`", " ".join(rows)) == list(FORMATS)


def test_unknown_formats_and_options():
    with pytest.raises(ExportError, match="Did you mean 'pcd'"):
        format_named("pdc")
    ply = format_named("ply")
    with pytest.raises(ConfigError, match=r"no option 'voxel'.*Did you mean 'voxel_mm'"):
        ply.settings({"voxel": 3})
    with pytest.raises(ConfigError, match="it takes 0 to 1000 mm"):
        ply.settings({"voxel_mm": "far"})
    assert ply.settings({"voxel_mm": "5", "normals": "on"}) == {
        "normals": True, "voxel_mm": 5.0, "outliers": False, "trust": False,
    }  # fmt: skip


def test_a_format_whose_package_is_missing_says_how_to_get_it():
    lacking = replace(FORMATS["ply"], module="no_such_package", install="pip install it")
    assert lacking.unavailable == (
        "ply needs no_such_package, which is not installed. Run: pip install it"
    )
    assert FORMATS["ply"].unavailable == ""


def export(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lingbot_live", "export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command(take, tmp_path):
    out = tmp_path / "out"
    done = export(
        take, "--to", "images", "-o", out, "--frames", "0:10:4", "--camera", "noisy:left",
        "--source", "refined",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert names(out) == ["000000", "000004", "000008", "export.json"]
    assert f"{out}: 3 frames" in done.stdout
    again = export(take, "--to", "images", "-o", out)
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert "Traceback" not in again.stderr


def test_the_command_lists_its_formats():
    done = export("--list")
    assert done.returncode == 0
    for kind in FORMATS.values():
        assert kind.words in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_leaves_nothing(tmp_path):
    command = [sys.executable, "-m", "lingbot_live", "export", "synthetic:tof", "--to", "npz"]
    command += ["-o", str(tmp_path / "out"), "--frames", "0:100000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as child:
        try:
            wait_for(lambda: any(tmp_path.glob(".out-*/**/*.npz")))
            os.kill(child.pid, signal.SIGINT)
            _, error = child.communicate(timeout=30)
        finally:
            child.kill()  # else a failure here waits for an export without end
    assert child.returncode == 130
    assert "stopped; nothing was written" in error
    assert names(tmp_path) == []
