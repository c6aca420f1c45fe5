"""Format ``mesh``: a moving camera's frames fused into one surface, by Open3D.

The camera's way is found frame by frame: each depth image is laid on the last key frame (Open3D's
multi-scale RGB-D odometry), starting from where it would lie if the camera went on as it did. A
frame that moved far enough becomes the next key frame, so errors add up per key frame, not per
frame. Depth is fused into a truncated signed distance field (voxel block grid), from which the
surface is taken.
"""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lingbot_live.errors import ExportError
from lingbot_live.export.images import TUM_SCALE_M, in_units
from lingbot_live.export.shot import OneCalibration, Shot, Target
from lingbot_live.frame import ColorImage, DepthMap, Frame, Intrinsics, Matrix
from lingbot_live.system.outputs import MARK

if TYPE_CHECKING:
    import open3d as o3d

_FAR_ODOMETRY_M, _LEAST_FITNESS = 8.0, 0.5
# A key frame so far from the last, or with so little in common, is followed by a new one.
_KEY_M, _KEY_DEGREES, _KEY_FITNESS = 0.15, 9.0, 0.8
_ITERATIONS = (20, 10, 5)  # coarse to fine
_OUTLIER_M, _HUBER, _HUBER_M = 0.07, 0.05, 0.05  # of odometry; Open3D's own defaults
_BLOCK, _BLOCKS = 16, 2000  # voxels along a block's edge; blocks to begin with
_SEEN = 3  # by so many frames, or it is noise; fewer in a short recording


class MeshWriter:
    """Fuses frames into a coloured mesh, in metres, in the axes of the first camera."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._way: _Way | None = None
        self._grid: Any = None
        self._calibration = OneCalibration("mesh")
        self._fused = self._lost = 0

    def add(self, shot: Shot) -> None:
        """Find where the camera was, and fuse its depth; a frame that fits nowhere is left out."""
        color, depth_m = undistorted(shot.frame, shot.depth_m)
        intrinsics = self._calibration.of(shot)
        if self._way is None:
            self._way = _Way(intrinsics)
        pose = self._way.follow(color, depth_m)
        if pose is None:
            self._lost += 1
        else:
            self._fuse(color, depth_m, intrinsics, pose)
            self._fused += 1

    def finish(self) -> list[str]:
        """Take the surface and write it."""
        least = min(_SEEN, self._fused) - 0.5  # the weights taken are those above
        surface = self._grid.extract_triangle_mesh(least).to_legacy()
        if not surface.has_triangles():
            raise ExportError("mesh: no surface came of it; is there depth within far_m?")
        surface.compute_vertex_normals()
        write_mesh(self._target.path, surface)
        assert self._way is not None
        words = f"{len(surface.triangles)} triangles; the camera went {self._way.length_m:.2f} m"
        lost = f"{self._lost} frames could not be placed and are left out; move slower"
        return [words, lost] if self._lost else [words]

    def close(self) -> None:
        """Let the memory go."""
        self._grid = None

    def _fuse(
        self, color: ColorImage, depth_m: DepthMap, intrinsics: Intrinsics, pose: Matrix
    ) -> None:
        import open3d as o3d

        if self._grid is None:
            self._grid = self._new_grid()
        far_m = self._target.number("far_m")
        depth = o3d.t.geometry.Image(in_units(depth_m, TUM_SCALE_M))
        matrix = _tensor(intrinsics.matrix)
        place = _tensor(np.linalg.inv(pose))
        scale = 1 / TUM_SCALE_M
        seen = self._grid.compute_unique_block_coordinates(depth, matrix, place, scale, far_m)
        image = o3d.t.geometry.Image(color)
        self._grid.integrate(seen, depth, image, matrix, place, scale, far_m)

    def _new_grid(self) -> Any:
        import open3d as o3d

        types = (o3d.core.float32, o3d.core.uint16, o3d.core.uint16)
        make: Any = o3d.t.geometry.VoxelBlockGrid  # its published types want vectors for numbers
        return make(
            ("tsdf", "weight", "color"), types, ((1), (1), (3)),
            self._target.number("voxel_mm") / 1000, _BLOCK, _BLOCKS,
        )  # fmt: skip


class _Way:
    """The camera's way, pose by pose; ``T_first_camera``, 4x4."""

    def __init__(self, intrinsics: Intrinsics) -> None:
        import open3d as o3d

        odometry = o3d.t.pipelines.odometry
        self._matrix = _tensor(intrinsics.matrix)
        self._steps = [odometry.OdometryConvergenceCriteria(n) for n in _ITERATIONS]
        self._key: Any = None
        self._T_first_key = np.eye(4)
        self._T_key_last = np.eye(4)
        self._T_last_now = np.eye(4)
        self.length_m = 0.0

    def follow(self, color: ColorImage, depth_m: DepthMap) -> Matrix | None:
        """Return where the next frame was taken from; None if it fits nowhere."""
        import open3d as o3d

        image = o3d.t.geometry.RGBDImage(
            o3d.t.geometry.Image(color), o3d.t.geometry.Image(np.ascontiguousarray(depth_m))
        )
        if self._key is None:
            self._key = image
            return self._T_first_key
        found = self._found(image)
        if found is None or found.fitness < _LEAST_FITNESS:
            return None
        T_key_now = found.transformation.numpy()
        self._T_last_now = np.linalg.inv(self._T_key_last) @ T_key_now
        self.length_m += float(np.linalg.norm(self._T_last_now[:3, 3]))
        pose: Matrix = self._T_first_key @ T_key_now
        self._T_key_last = T_key_now
        if _is_far(T_key_now) or found.fitness < _KEY_FITNESS:
            self._key, self._T_first_key, self._T_key_last = image, pose, np.eye(4)
        return pose

    def _found(self, image: Any) -> Any:
        import open3d as o3d

        odometry = o3d.t.pipelines.odometry
        limits = odometry.OdometryLossParams(_OUTLIER_M, _HUBER, _HUBER_M)
        start = _tensor(self._T_key_last @ self._T_last_now)
        try:
            return odometry.rgbd_odometry_multi_scale(
                image, self._key, self._matrix, start, 1.0, _FAR_ODOMETRY_M, self._steps,
                odometry.Method.PointToPlane, limits,
            )  # fmt: skip
        except RuntimeError:  # too little depth in common: its equations have no solution
            return None


def _tensor(matrix: Matrix) -> Any:
    from open3d import core

    make: Any = core.Tensor  # its published types leave out the plain array
    return make(np.ascontiguousarray(matrix))


def _is_far(transform: Matrix) -> bool:
    turn = np.degrees(np.arccos(np.clip((np.trace(transform[:3, :3]) - 1) / 2, -1, 1)))
    return bool(np.linalg.norm(transform[:3, 3]) > _KEY_M or turn > _KEY_DEGREES)


def undistorted(frame: Frame, depth_m: DepthMap) -> tuple[ColorImage, DepthMap]:
    """Return colour and depth as a lens without distortion would show them, same matrix."""
    if not frame.intrinsics.is_distorted:
        return frame.color, depth_m
    import cv2

    intrinsics = frame.intrinsics
    size = (intrinsics.width, intrinsics.height)
    maps = cv2.initUndistortRectifyMap(
        intrinsics.matrix, np.array(intrinsics.distortion), np.eye(3), intrinsics.matrix, size,
        cv2.CV_32FC1,
    )  # fmt: skip
    color: ColorImage = cv2.remap(frame.color, *maps, cv2.INTER_LINEAR)
    depth: DepthMap = cv2.remap(depth_m, *maps, cv2.INTER_NEAREST)
    return color, depth


def write_mesh(path: Path, mesh: o3d.geometry.TriangleMesh) -> None:
    """Write a mesh as its suffix says.

    Raises:
        ExportError: Open3D could not write the file.
    """
    import open3d as o3d

    if not o3d.io.write_triangle_mesh(path, mesh):
        raise ExportError(f"{path}: Open3D could not write the mesh; is the disk full?")
    data = path.read_bytes()
    is_glb = path.suffix.lower() == ".glb"
    path.write_bytes(with_binary_chunk(data) if is_glb else with_comment(data))


def with_comment(ply: bytes) -> bytes:
    """Return a PLY file that says in its head which program wrote it."""
    head, line, rest = ply.partition(b"\n")  # of "ply"
    form, end, body = rest.partition(b"\n")
    return head + line + form + end + f"comment written by {MARK}\n".encode() + body


def with_binary_chunk(glb: bytes) -> bytes:
    """Move the data of a GLB file from its JSON, where Open3D puts it, into a chunk of its own.

    That is what the format is for (glTF 2.0, "GLB File Format Specification"), and what many
    readers insist on.
    """
    length = struct.unpack_from("<I", glb, 12)[0]
    scene = json.loads(glb[20 : 20 + length])
    (buffer,) = scene["buffers"]
    prefix, _, data = buffer.get("uri", "").partition(";base64,")
    if not prefix.startswith("data:"):
        return glb
    del buffer["uri"]
    scene["asset"]["generator"] = MARK
    text = json.dumps(scene, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    body = base64.b64decode(data)
    body += b"\0" * (-len(body) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(body), b"BIN\0") + body
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
