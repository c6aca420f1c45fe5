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

import cv2
import numpy as np
import pytest
from fixtures_folder import plain
from sessions import HalfRefiner, NoisyCamera, record

from lingbot_live import cli_export
from lingbot_live.errors import (
    ConfigError,
    ExportCancelledError,
    ExportError,
    RecordingError,
    RefinerError,
)
from lingbot_live.export.child import ExportJob, ExportState
from lingbot_live.export.formats import FORMATS, format_named
from lingbot_live.export.job import ExportRequest, run_export
from lingbot_live.export.shot import DepthSource
from lingbot_live.export.source import Span
from lingbot_live.recording.offline import refine_file
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions

DOC = Path(__file__).parents[2] / "docs" / "export.md"


@pytest.fixture(scope="module")
def take(tmp_path_factory) -> Path:
    """Two cameras, of 12 and 8 frames, the second in steps of 0.25 mm; refined."""
    folder = tmp_path_factory.mktemp("take")
    raw, path = folder / "raw.mcap", folder / "desk.mcap"
    cameras = NoisyCamera("left", 12), NoisyCamera("right", 8, 0.00025, seed=1)
    record(raw, *cameras, options=RecorderOptions(lossless=True, refined=False))
    refine_file(raw, path, HalfRefiner(), exact=True)  # every frame, however busy the machine
    return path


def ask(take: Path, form: str, out: Path, **others) -> ExportRequest:
    return ExportRequest(str(take), form, out, **{"camera": "noisy:left", **others})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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
    with pytest.raises(ExportError, match="no export wrote this folder"):
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
    with pytest.raises(ExportError, match="cannot write there"):
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
    assert job.state is ExportState.READY
    job.start()
    assert job.join(60)
    assert (job.state, job.done, job.total, job.error) == (ExportState.DONE, 12, 12, None)
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
    assert job.state is ExportState.CANCELLED
    assert isinstance(job.error, ExportCancelledError)
    assert names(tmp_path) == ["cache", "in"]
    assert folder.exists()


def test_a_job_says_why_it_failed(tmp_path):
    job = ExportJob(ExportRequest("nowhere.mcap", "ply", tmp_path / "out"))
    job.start()
    assert job.join(60)
    assert job.state is ExportState.FAILED
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
    assert ", ".join(FORMATS) == cli_export.NAMES


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
        "normals": True, "voxel_mm": 5.0, "outliers": False,
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
        wait_for(lambda: any(tmp_path.glob(".out-*/*.npz")))
        os.kill(child.pid, signal.SIGINT)
        _, error = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "stopped; nothing was written" in error
    assert names(tmp_path) == ["cache"]


# ---- what the options do -------------------------------------------------------------------------


def test_options_of_clouds(take, tmp_path):
    import open3d as o3d

    counts = {}
    for name, options in {
        "all": {},
        "coarse": {"voxel_mm": 500},
        "clean": {"outliers": True, "normals": True},
    }.items():
        run_export(ask(take, "pcd", tmp_path / name, span=Span(0, 1), options=options))
        cloud = o3d.io.read_point_cloud(tmp_path / name / "000000.pcd")
        counts[name] = len(cloud.points)
    assert counts["all"] == 40 * 30 - 1
    assert max(counts["coarse"], counts["clean"]) < counts["all"]
    normals, points = np.asarray(cloud.normals), np.asarray(cloud.points)
    assert (np.einsum("ij,ij->i", normals, points) <= 1e-9).all()  # towards the camera


def test_depth_too_far_for_a_format_is_said(take, tmp_path):
    report = run_export(ask(take, "tum", tmp_path / "out", span=Span(0, 1)))
    (depth,) = (tmp_path / "out" / "depth").iterdir()
    written = cv2.imread(str(depth), cv2.IMREAD_UNCHANGED)
    with Recording(take) as recording:
        raw = recording.tracks["noisy:left"][0].depth_raw
    far = raw > 13107
    assert (written[far] == 0).all()
    assert np.array_equal(written[~far], raw[~far] * 5)
    assert report.remarks == [f"{far.sum()} pixels lie beyond 13.1 m: 0"]


class Sleepy(HalfRefiner):
    """Gives nothing for its first two frames, nor for the fourth."""

    def _refine(self, frame):
        if frame.index in (0, 1, 3):
            raise RefinerError("not awake")
        return super()._refine(frame)


def test_in_a_video_the_last_refined_depth_stays(tmp_path):
    import av

    raw, take = tmp_path / "raw.mcap", tmp_path / "a.mcap"
    camera = NoisyCamera("left", 5, scale_m=1e-4)
    record(raw, camera, options=RecorderOptions(refined=False))
    assert refine_file(raw, take, Sleepy()) == 3
    run_export(ask(take, "mp4", tmp_path / "a.mp4", options={"quality": 0, "colors": "grey"}))
    with av.open(str(tmp_path / "a.mp4")) as container:
        pictures = [p.to_ndarray(format="rgb24") for p in container.decode(video=0)]
    assert [picture.shape for picture in pictures] == [(30, 120, 3)] * 5
    refined = [picture[:, 82:].astype(int) for picture in pictures]
    assert max(refined[0].std(), refined[1].std()) < 8  # dark all over: nothing yet
    assert refined[2].std() > 30
    assert np.abs(refined[3] - refined[2]).mean() < 8
    assert np.abs(refined[4] - refined[3]).mean() > 30


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_a_mesh_of_a_walk_lies_on_the_walls(tmp_path, suffix):
    import moving_room
    import open3d as o3d

    folder = moving_room.walk(tmp_path / "walk", 12)
    request = ExportRequest(
        str(folder), "mesh", tmp_path / f"room{suffix}", options={"voxel_mm": 20, "far_m": 5}
    )
    report = run_export(request)
    assert (report.frames, report.left_out) == (12, 0)
    mesh = o3d.io.read_triangle_mesh(tmp_path / f"room{suffix}")
    assert len(mesh.triangles) > 10_000
    assert mesh.has_vertex_colors()
    start = moving_room.pose(0)
    points = np.asarray(mesh.vertices) @ start[:3, :3].T + start[:3, 3]
    tensor = o3d.core.Tensor(points.astype(np.float32))
    off_mm = 1000 * moving_room.scene().compute_distance(tensor).numpy()
    assert np.median(off_mm) < 10  # half a voxel
    assert np.percentile(off_mm, 95) < 20
    went = float(report.remarks[0].split("went ")[1].split(" m")[0])
    assert went == pytest.approx(0.45, abs=0.04)


def test_a_frame_that_fits_nowhere_is_left_out_of_a_mesh(tmp_path):
    import moving_room

    folder = moving_room.walk(tmp_path / "walk", 6)
    blank = np.zeros((moving_room.HEIGHT, moving_room.WIDTH), np.uint16)
    cv2.imwrite(str(folder / "depth" / "0003.png"), blank)
    options = {"voxel_mm": 30, "far_m": 5}
    report = run_export(ExportRequest(str(folder), "mesh", tmp_path / "room", options=options))
    assert names(tmp_path / "room") == ["export.json", "mesh.ply"]
    assert "1 frames could not be placed" in report.remarks[1]
    assert json.loads((tmp_path / "room" / "export.json").read_text())["format"] == "mesh"
