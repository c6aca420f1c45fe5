"""What is in exported files: the options of clouds, far depth, videos, meshes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import export_takes
import numpy as np
import pytest
from export_takes import ask, names
from sessions import HalfRefiner, NoisyCamera, record

from lingbot_live.errors import RefinerError
from lingbot_live.export.job import ExportRequest, run_export
from lingbot_live.export.source import Span
from lingbot_live.recording.offline import refine_file
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.state import RecorderOptions


@pytest.fixture(scope="module")
def take(tmp_path_factory) -> Path:
    return export_takes.make(tmp_path_factory.mktemp("take"))


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
