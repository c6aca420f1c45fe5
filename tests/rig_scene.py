"""A corner of a room with things in it, seen by any camera from any place; by Open3D's rays."""

from __future__ import annotations

import functools

import numpy as np

from lingbot_live.calibration.icp import Shot
from lingbot_live.calibration.rig import move_of
from lingbot_live.frame import Extrinsics, Intrinsics
from lingbot_live.geometry import rays

CAMERA = Intrinsics(240, 180, 195.0, 195.0, 119.5, 89.5)
TRUE = move_of((0.3, -0.02, 0.06), (2.0, -12.0, 2.0))  # T_left_right


@functools.cache
def room():
    """Return the scene: walls, floor, two boxes, a ball."""
    import open3d as o3d

    make = o3d.geometry.TriangleMesh
    parts = [
        make.create_box(5, 4, 0.1).translate((-2.5, -2, 2.6)),
        make.create_box(0.1, 4, 5).translate((-1.3, -2, 0)),
        make.create_box(5, 0.1, 5).translate((-2.5, 0.8, 0)),
        make.create_box(0.5, 0.7, 0.4).translate((-0.6, 0.1, 1.6)),
        make.create_box(0.3, 0.3, 0.3).rotate(make.get_rotation_matrix_from_xyz((0.3, 0.7, 0)))
        .translate((0.5, 0.3, 1.5)),
        make.create_sphere(0.25, 40).translate((0.1, -0.2, 2.0)),
    ]  # fmt: skip
    scene = o3d.t.geometry.RaycastingScene()
    for part in parts:
        scene.add_triangles(o3d.t.geometry.TriangleMesh.from_legacy(part))
    return scene


def shot(T_common_camera: Extrinsics, seed: int = 0, camera: Intrinsics = CAMERA) -> Shot:
    """Return colour and depth with the noise of a good sensor: 1.5 mm at 1 m, growing with z^2."""
    import open3d as o3d

    ray = np.dstack([rays(camera), np.ones((camera.height, camera.width), np.float32)])
    turn = np.asarray(T_common_camera.rotation, np.float32)
    origin = np.broadcast_to(np.float32(T_common_camera.translation_m), ray.shape)
    cast = room().cast_rays(o3d.core.Tensor(np.dstack([origin, ray @ turn.T])))
    z = cast["t_hit"].numpy()
    place = origin + ray @ turn.T * z[..., None]
    wave = [np.sin(place @ np.array(k)) for k in ((23, 5, 9), (-7, 31, 4), (11, -8, 27))]
    color = 128 + 45 * np.dstack([wave[0] + wave[1], wave[1] - wave[2], wave[2] + wave[0]])
    rng = np.random.default_rng(seed)
    color = np.clip(color + rng.normal(0, 3, color.shape), 0, 255).astype(np.uint8)
    depth = z + 0.0015 * z * z * rng.standard_normal(z.shape)
    return Shot(color, np.where(np.isfinite(z), depth, 0).astype(np.float32), camera)
