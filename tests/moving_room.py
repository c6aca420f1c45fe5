"""A camera carried through a still room, with the truth: rendered by Open3D's ray caster."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open3d as o3d
from fixtures_folder import write

from lingbot_live.frame import Calibration, Frame, Intrinsics
from lingbot_live.perception.landmarks import View

BOXES = (  # centre and size, metres; the first is the room itself
    ((0, 0, 1.5), (4, 2.6, 6)),
    ((-0.6, 0.9, 2.4), (0.5, 0.8, 0.5)),
    ((0.5, 0.7, 2.0), (0.4, 1.2, 0.4)),
    ((0, 0.3, 3.2), (0.6, 0.4, 0.3)),
    ((1.2, -0.2, 3.0), (0.3, 1.5, 0.6)),
    ((0.2, -0.5, 2.6), (0.3, 0.3, 0.3)),
)
WIDTH, HEIGHT = 320, 240
K = np.array([[256, 0, 159.5], [0, 256, 119.5], [0, 0, 1.0]])


def scene() -> o3d.t.geometry.RaycastingScene:
    made = o3d.t.geometry.RaycastingScene()
    for centre, size in BOXES:
        box = o3d.geometry.TriangleMesh.create_box(*size)
        box.translate(np.array(centre) - np.array(size) / 2)
        made.add_triangles(o3d.t.geometry.TriangleMesh.from_legacy(box))
    return made


def pose(phase: float) -> np.ndarray:
    """T_room_camera, 4x4, along half a metre and 20 degrees."""
    yaw = np.radians(-10 + 20 * phase)
    T = np.eye(4)
    T[:3, :3] = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    T[:3, 3] = [0.4 * phase - 0.2, 0.05 * np.sin(6 * phase), 0.2 * phase]
    return T


def picture(room: o3d.t.geometry.RaycastingScene, T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """RGB and depth in metres from a pose."""
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    ways = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones(u.shape)], -1)
    start = np.broadcast_to(T[:3, 3], ways.shape)
    rays = np.concatenate([start, ways @ T[:3, :3].T], -1).astype(np.float32)
    depth_m = room.cast_rays(o3d.core.Tensor(rays))["t_hit"].numpy()
    points = rays[..., :3] + depth_m[..., None] * rays[..., 3:]
    waves = np.sin(points @ np.array([[7, 11, 4], [5, 13, 9], [3, 8, 12]]))
    return np.clip(128 + 90 * waves, 0, 255).astype(np.uint8), depth_m


def walk(folder: Path, count: int, of: int | None = None) -> Path:
    """Write a walk, or the first of so many pictures, as `folder:` plays it; depth in 0.1 mm."""
    room = scene()
    for i in range(count):
        color, depth_m = picture(room, pose(i / (of or count)))
        write(folder / "color" / f"{i:04d}.png", color)
        write(folder / "depth" / f"{i:04d}.png", np.rint(depth_m * 1e4).astype(np.uint16))
    values = {"fx": K[0, 0], "fy": K[1, 1], "cx": K[0, 2], "cy": K[1, 2], "depth_scale_m": 1e-4}
    (folder / "intrinsics.json").write_text(json.dumps(values))
    return folder


INTRINSICS = Intrinsics.from_matrix(K, WIDTH, HEIGHT)


def view_of(color, depth_m, intrinsics=INTRINSICS):
    raw = np.zeros(depth_m.shape, np.uint16)
    frame = Frame("room", 0, 0, 0, color, raw, 1e-4, Calibration(intrinsics))
    return View.of(frame, np.ascontiguousarray(depth_m, np.float32))


def walked(poses, noise=0.0, *, blank=False):
    """Views of the rendered room; depth with noise that grows with its square, as stereo's does."""
    room, rng = scene(), np.random.default_rng(0)
    for pose in poses:
        color, depth_m = picture(room, pose)
        depth_m = depth_m + noise * depth_m**2 * rng.standard_normal(depth_m.shape)
        yield view_of(np.zeros_like(color) if blank else color, depth_m)


def errors_m(places, poses):
    first = np.linalg.inv(poses[0])
    return np.array(
        [np.linalg.norm((first @ T)[:3, 3] - p[:3, 3]) for p, T in zip(places, poses, strict=True)]
    )
