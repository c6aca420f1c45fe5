"""Meshes of a walk: where they lie, what is left out, the way that is written beside them."""

from __future__ import annotations

import dataclasses
import json

import cv2
import moving_room
import numpy as np
import open3d as o3d
import pytest
from export_takes import names

from lingbot_live.export.job import ExportRequest, run_export
from lingbot_live.export.mesh import MeshWriter
from lingbot_live.export.shot import DepthSource, Shot, Target
from lingbot_live.export.source import Span, open_sources


@pytest.mark.parametrize("suffix", [".ply", ".glb"])
def test_a_mesh_of_a_walk_lies_on_the_walls(tmp_path, suffix):
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
    assert went == pytest.approx(0.45, abs=0.02)
    assert "drift is not known" in report.remarks[0]


def test_the_way_of_a_mesh_is_written_beside_it(tmp_path):
    folder = moving_room.walk(tmp_path / "walk", 12)
    options = {"voxel_mm": 30, "far_m": 5}
    run_export(ExportRequest(str(folder), "mesh", tmp_path / "room", options=options))
    run_export(ExportRequest(str(folder), "tum", tmp_path / "t", options={"trajectory": True}))
    ways = [np.loadtxt(tmp_path / name / "trajectory.txt") for name in ("room", "t")]
    np.testing.assert_allclose(ways[0][:, 1:], ways[1][:, 1:], atol=1e-6)
    start = np.linalg.inv(moving_room.pose(0))
    true_m = [(start @ moving_room.pose(n / 12))[:3, 3] for n in range(12)]
    np.testing.assert_allclose(ways[0][:, 1:4], true_m, atol=0.0045)  # 1 % of the walk


def test_frames_are_fused_anew_where_a_loop_moved_the_way(tmp_path):
    folder = moving_room.walk(tmp_path / "walk", 4)
    options = {"voxel_mm": 30.0, "far_m": 5.0}
    means = []
    for shift_m in (0.0, 2.0):
        with open_sources(str(folder)) as (source,):
            target = Target(tmp_path / "mesh.ply", source.info, options, DepthSource.RAW)
            writer = MeshWriter(target)
            for number, frame in source.frames(Span()):
                writer.add(Shot(number, number / 30, frame, DepthSource.RAW, frame.depth_m))
        odometry = writer._scene._odometry
        way, shifted = odometry.closed(), np.eye(4)
        shifted[0, 3] = shift_m
        moved = dataclasses.replace(way, keys=tuple(shifted @ key for key in way.keys))
        odometry.closed = lambda moved=moved: moved
        writer.finish()
        writer.close()
        means.append(np.asarray(o3d.io.read_triangle_mesh(tmp_path / "mesh.ply").vertices).mean(0))
    np.testing.assert_allclose(means[1] - means[0], [2.0, 0, 0], atol=0.02)


def test_a_frame_that_fits_nowhere_is_left_out_of_a_mesh(tmp_path):
    folder = moving_room.walk(tmp_path / "walk", 6)
    blank = np.zeros((moving_room.HEIGHT, moving_room.WIDTH), np.uint16)
    cv2.imwrite(str(folder / "depth" / "0003.png"), blank)
    options = {"voxel_mm": 30, "far_m": 5}
    report = run_export(ExportRequest(str(folder), "mesh", tmp_path / "room", options=options))
    assert names(tmp_path / "room") == ["export.json", "mesh.ply", "trajectory.txt"]
    assert "1 frame could not be placed" in report.remarks[1]
    assert json.loads((tmp_path / "room" / "export.json").read_text())["format"] == "mesh"
