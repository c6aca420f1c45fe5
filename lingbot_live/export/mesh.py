"""Format ``mesh``: a moving camera's frames fused into one surface, and files of such surfaces.

How, is `lingbot_live.perception.reconstruction`'s; the command ``reconstruct`` does the same.
"""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from lingbot_live.errors import ExportError, ReconstructionError
from lingbot_live.export.images import TRAJECTORY
from lingbot_live.export.shot import OneCalibration, Shot, Target
from lingbot_live.perception.reconstruction import Depth, Fusing, Reconstruction
from lingbot_live.perception.trajectory import tum_lines
from lingbot_live.perception.trust import trusted
from lingbot_live.system.outputs import MARK
from lingbot_live.system.quiet import muted_stderr

if TYPE_CHECKING:
    import open3d as o3d


class MeshWriter:
    """Fuses frames into a coloured mesh, in metres, in the axes of the first camera."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._calibration = OneCalibration("mesh")
        self._depth = Depth(target.source.value)
        voxel_m, far_m = target.number("voxel_mm") / 1000, target.number("far_m")
        self._fusing = Fusing((self._depth,), voxel_m, far_m)
        self._scene = Reconstruction(self._fusing, folder=target.path.parent)

    def add(self, shot: Shot) -> None:
        """Find where the camera was, and fuse its depth; a frame that fits nowhere is left out."""
        self._calibration.of(shot)
        depth_m = shot.depth_m
        if self._depth is Depth.REFINED:
            depth_m = trusted(shot.as_refined(), self._fusing.least_trust)
        self._scene.add(shot.frame, {self._depth: depth_m}, shot.time_s)

    def finish(self) -> list[str]:
        """Take the surface and write it, and the way beside it."""
        try:
            self._scene.finish()
            mesh = self._scene.mesh(self._depth)
        except ReconstructionError as error:
            raise ExportError(f"mesh: {error}") from error
        write_mesh(self._target.path, mesh)
        write_way(self._target.path.with_name(TRAJECTORY), self._scene)
        went, *others = self._scene.words()
        return [f"{len(mesh.triangles)} triangles; {went}", *others]

    def close(self) -> None:
        """Let memory and disk go."""
        self._scene.close()


def write_way(path: Path, scene: Reconstruction) -> None:
    """Write a scene's trajectory as TUM has them."""
    path.write_text("\n".join(tum_lines(scene.trajectory())) + "\n", encoding="utf-8")


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
