"""Format ``mesh``: a moving camera's frames fused into one surface, by Open3D.

Where the camera was is `lingbot_live.perception.odometry`'s to find. Depth is fused into a
truncated signed distance field (voxel block grid), from which the surface is taken. Frames are kept
on disk meanwhile: where a place seen again moves the way, they are fused anew.
"""

from __future__ import annotations

import base64
import json
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lingbot_live.errors import ExportError
from lingbot_live.export.images import TRAJECTORY, TUM_SCALE_M, in_units
from lingbot_live.export.shot import OneCalibration, Shot, Target
from lingbot_live.frame import ColorImage, Matrix, RawDepth
from lingbot_live.perception.landmarks import View
from lingbot_live.perception.odometry import Odometry, Place, Way
from lingbot_live.perception.trajectory import drift_words, tum_lines
from lingbot_live.system.held import Held
from lingbot_live.system.outputs import MARK
from lingbot_live.system.quiet import muted_stderr

if TYPE_CHECKING:
    import open3d as o3d

_BLOCK, _BLOCKS = 16, 2000  # voxels along a block's edge; blocks to begin with
_SEEN = 3  # by so many frames, or it is noise; fewer in a short recording


class MeshWriter:
    """Fuses frames into a coloured mesh, in metres, in the axes of the first camera."""

    _volume: Held[_Volume] = Held()

    def __init__(self, target: Target) -> None:
        self._target = target
        self._odometry = Odometry()
        self._calibration = OneCalibration("mesh")
        self._kept = _Kept(target.path.parent)
        self._places: list[tuple[float, Place]] = []
        self._lost = 0

    def add(self, shot: Shot) -> None:
        """Find where the camera was, and fuse its depth; a frame that fits nowhere is left out."""
        self._calibration.of(shot)
        view = View.of(shot.frame, shot.depth_m)
        place = self._odometry.follow(view)
        if place is None:
            self._lost += 1
            return
        if type(self)._volume.peek(self) is None:
            self._volume = self._new_volume(view.intrinsics.matrix)
        depth = in_units(view.depth_m, TUM_SCALE_M)
        self._volume.fuse(view.color, depth, place.T_first_now)
        self._kept.add(view.color, depth)
        self._places.append((shot.time_s, place))

    def finish(self) -> list[str]:
        """Take the surface and write it, and the way beside it."""
        way = self._odometry.closed()
        if way.was_moved:
            self._fuse_anew(way)
        surface = self._volume.surface(min(_SEEN, len(self._places)))
        if not surface.has_triangles():
            raise ExportError("mesh: no surface came of it; is there depth within far_m?")
        surface.compute_vertex_normals()
        write_mesh(self._target.path, surface)
        poses = [(time_s, way.pose(place)) for time_s, place in self._places]
        lines = tum_lines(poses)
        path = self._target.path.with_name(TRAJECTORY)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        went = f"the camera went {self._odometry.length_m:.2f} m; {drift_words(way)}"
        lost = f"{self._lost} frames could not be placed and are left out; move slower"
        return [f"{len(surface.triangles)} triangles; {went}", *([lost] if self._lost else [])]

    def close(self) -> None:
        """Let memory and disk go."""
        self._volume = None
        self._kept.close()

    def _new_volume(self, matrix: Matrix) -> _Volume:
        return _Volume(self._target.number("voxel_mm") / 1000, self._target.number("far_m"), matrix)

    def _fuse_anew(self, way: Way) -> None:
        self._volume = self._new_volume(self._volume.matrix)
        for (_, place), (color, depth) in zip(self._places, self._kept.frames(), strict=True):
            self._volume.fuse(color, depth, way.pose(place))


class _Volume:
    """Open3D's voxel block grid; depth comes in units of `TUM_SCALE_M`."""

    def __init__(self, voxel_m: float, far_m: float, matrix: Matrix) -> None:
        import open3d as o3d

        types = (o3d.core.float32, o3d.core.uint16, o3d.core.uint16)
        make: Any = o3d.t.geometry.VoxelBlockGrid  # its published types want vectors for numbers
        names = ("tsdf", "weight", "color")
        self._grid = make(names, types, ((1), (1), (3)), voxel_m, _BLOCK, _BLOCKS)
        self._far_m = far_m
        self.matrix = matrix

    def fuse(self, color: ColorImage, depth: RawDepth, pose: Matrix) -> None:
        """Add a frame taken from ``pose``, T_first_camera."""
        import open3d as o3d

        image, seen_depth = o3d.t.geometry.Image(color), o3d.t.geometry.Image(depth)
        matrix, place = _tensor(self.matrix), _tensor(np.linalg.inv(pose))
        limits = (1 / TUM_SCALE_M, self._far_m)
        seen = self._grid.compute_unique_block_coordinates(seen_depth, matrix, place, *limits)
        self._grid.integrate(seen, seen_depth, image, matrix, place, *limits)

    def surface(self, frames: int) -> o3d.geometry.TriangleMesh:
        """Return what at least so many frames saw."""
        least = frames - 0.5  # the weights taken are those above
        taken: o3d.geometry.TriangleMesh = self._grid.extract_triangle_mesh(least).to_legacy()
        return taken


class _Kept:
    """Frames in a file without a name, colour as JPEG, in the order in which they came."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (`close` closes it)
        self._sizes: list[tuple[int, int, tuple[int, ...]]] = []

    def add(self, color: ColorImage, depth: RawDepth) -> None:
        import cv2
        import lz4.frame

        bgr = cv2.cvtColor(color, cv2.COLOR_RGB2BGR)
        picture = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
        packed = lz4.frame.compress(np.ascontiguousarray(depth).tobytes())
        self._file.write(picture + packed)
        self._sizes.append((len(picture), len(packed), depth.shape))

    def frames(self) -> Iterator[tuple[ColorImage, RawDepth]]:
        import cv2
        import lz4.frame

        self._file.seek(0)
        for picture, packed, shape in self._sizes:
            bgr = cv2.imdecode(np.frombuffer(self._file.read(picture), np.uint8), cv2.IMREAD_COLOR)
            raw = lz4.frame.decompress(self._file.read(packed))
            yield cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.frombuffer(raw, np.uint16).reshape(shape)

    def close(self) -> None:
        self._file.close()


def _tensor(matrix: Matrix) -> Any:
    from open3d import core

    make: Any = core.Tensor  # its published types leave out the plain array
    return make(np.ascontiguousarray(matrix))


def write_mesh(path: Path, mesh: o3d.geometry.TriangleMesh) -> None:
    """Write a mesh as its suffix says.

    Raises:
        ExportError: Open3D could not write the file.
    """
    import open3d as o3d

    with muted_stderr():
        is_written = o3d.io.write_triangle_mesh(path, mesh)
    if not is_written:
        raise OSError("Open3D could not write the mesh")
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
