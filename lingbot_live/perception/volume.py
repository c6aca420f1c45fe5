"""Depth from many places fused into one surface, by Open3D.

A truncated signed distance field in a hash of voxel blocks (Curless and Levoy, SIGGRAPH 1996;
Niessner et al., TOG 2013), from which the surface is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lingbot_live.errors import ConfigError
from lingbot_live.frame import ColorImage, DepthMap, Matrix, RawDepth
from lingbot_live.perception.surface import SceneSurface

if TYPE_CHECKING:
    import open3d as o3d

_BLOCK = 8  # voxels along its edge
UNIT_M = 2e-4  # of depth as it is fused and kept
_FARTHEST_M = 65535 * UNIT_M  # that 16 bits reach: 13.1 m
_ASKED = 4  # pixels: Open3D asks every fourth measurement of every fourth row for its block
_SEEN = 3  # by so many frames, or it is noise; fewer in a short recording


@dataclass(frozen=True, slots=True)
class Reach:
    """How much of space a frame says something of."""

    band: float  # voxels to either side of a surface
    made: float  # voxels to either side of a measurement where there is to be a block
    blocks: int  # that there is room for to begin with; Open3D doubles it where that is too little
    width: int | None = None  # pixels across that are asked where blocks are to be; None: all


# Where lone measurements lie, the quick one makes no block: a third of the blocks is left, and of
# the surfaces that a stereo camera's noise makes between things nearly none.
EXACT, QUICK = Reach(8.0, 8.0, 16_000), Reach(4.0, 2.0, 4_000, 160)


class Volume:
    """Fuses depth (H, W) metres into voxels of ``voxel_m``; depth beyond ``far_m`` is left out.

    ``device`` is where Open3D does it: ``cpu``, ``cuda`` or ``cuda:1``.

    Raises:
        ConfigError: there is no such device.
    """

    def __init__(
        self,
        voxel_m: float,
        far_m: float,
        matrix: Matrix,
        device: str = "cpu",
        reach: Reach = EXACT,
    ) -> None:
        import open3d as o3d

        self._device = open3d_device(device)
        types = (o3d.core.float32, o3d.core.uint16, o3d.core.uint16)
        make: Any = o3d.t.geometry.VoxelBlockGrid  # its published types want vectors for numbers
        names, sizes = ("tsdf", "weight", "color"), ((1), (1), (3))
        self._grid = make(names, types, sizes, voxel_m, _BLOCK, reach.blocks, self._device)
        self._far_m = far_m
        self._matrix, self._reach = matrix, reach
        self.frames = 0

    def fuse(self, color: ColorImage, depth_m: DepthMap, pose: Matrix) -> None:
        """Add a frame taken from ``pose``, T_first_camera."""
        import open3d as o3d

        units = in_units(depth_m, self._far_m)
        step = max(1, units.shape[1] // (self._reach.width or units.shape[1]))
        thin = units[::step, ::step]
        rows, columns = (size // _ASKED * _ASKED for size in thin.shape)
        if not thin[:rows:_ASKED, :columns:_ASKED].any():  # Open3D does not bear that
            return
        image, depth, asked = (
            o3d.t.geometry.Image(np.ascontiguousarray(array)).to(self._device)
            for array in (color, units, thin)
        )
        thinned = np.diag([1 / step, 1 / step, 1.0]) @ self._matrix
        place, limits = _tensor(np.linalg.inv(pose)), (1 / UNIT_M, self._far_m)
        seen = self._grid.compute_unique_block_coordinates(
            asked, _tensor(thinned), place, *limits, self._reach.made
        )
        matrix = _tensor(self._matrix)
        self._grid.integrate(seen, depth, image, matrix, place, *limits, self._reach.band)
        self.frames += 1

    def mesh(self) -> o3d.geometry.TriangleMesh:
        """Return what enough frames saw; maybe without a triangle."""
        import open3d as o3d

        if not self.frames:  # Open3D does not bear an empty grid
            return o3d.geometry.TriangleMesh()
        taken: o3d.geometry.TriangleMesh = self._taken().to_legacy()
        colors = np.clip(np.asarray(taken.vertex_colors), 0, 1)  # sums of many round beyond 1
        taken.vertex_colors = o3d.utility.Vector3dVector(colors)
        return taken

    def surface(self) -> SceneSurface:
        """Return the same as arrays."""
        taken = self._taken().cpu() if self.frames else None
        if taken is None or "indices" not in taken.triangle:
            none = np.zeros((0, 3), np.float32)
            return SceneSurface(none, none, np.zeros((0, 3), np.int32))
        colors = taken.vertex["colors"].numpy()
        triangles = taken.triangle["indices"].numpy().astype(np.int32)
        return SceneSurface(taken.vertex["positions"].numpy(), colors, triangles)

    def _taken(self) -> Any:
        least = min(_SEEN, self.frames) - 0.5  # the weights taken are those above
        return self._grid.extract_triangle_mesh(least)


def in_units(depth_m: DepthMap, far_m: float = _FARTHEST_M) -> RawDepth:
    """Return depth in units of `UNIT_M`, (H, W) uint16; what is farther away than that is 0."""
    import cv2

    far_m = min(far_m, _FARTHEST_M)
    _, near_m = cv2.threshold(depth_m, far_m, 0, cv2.THRESH_TOZERO_INV)
    return np.asarray(cv2.multiply(near_m, 1 / UNIT_M, dtype=cv2.CV_16U), np.uint16)


def open3d_device(name: str) -> Any:
    """Return Open3D's device of this name.

    Raises:
        ConfigError: there is none.
    """
    import open3d as o3d

    text = name.upper() if ":" in name else f"{name.upper()}:0"
    kind = text.partition(":")[0]
    if kind == "CUDA" and not o3d.core.cuda.is_available():
        raise ConfigError(f"--device {name}: Open3D finds no CUDA device here; leave it out")
    if kind not in ("CPU", "CUDA"):
        raise ConfigError(f"--device {name}: write cpu, cuda or cuda:1")
    return o3d.core.Device(text)


def _tensor(matrix: Matrix) -> Any:
    from open3d import core

    make: Any = core.Tensor  # its published types leave out the plain array
    return make(np.ascontiguousarray(matrix))
