"""Where points of the room and of the person in it truly are, at any phase of the sweep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drivers.synthetic import scene
from drivers.synthetic.shapes import Floats
from drivers.synthetic.stage import Stage
from lingbot_live.frame import Intrinsics

_SEEN_M = 0.02  # a surface so near to a point is the point's own


@dataclass(frozen=True, slots=True, eq=False)
class TruePoints:
    """At one phase, in the camera's axes."""

    pixels: Floats  # (N, 2)
    points_m: Floats  # (N, 3)
    visible: npt.NDArray[np.bool_]  # (N,) inside the picture and not behind anything opaque


class TrueTracks:
    """Follows what is seen at ``pixels`` (N, 2) of the picture at ``phase``.

    Pixels at which nothing is met, as in the window, follow what stands at (0, 0, 0).
    """

    def __init__(self, phase: float, intrinsics: Intrinsics, pixels: npt.ArrayLike) -> None:
        self._intrinsics = intrinsics
        stage = Stage(phase)
        u, v = np.asarray(pixels, np.float32).T
        x, y = (u - intrinsics.cx) / intrinsics.fx, (v - intrinsics.cy) / intrinsics.fy
        ways = np.stack([x, y, np.ones_like(x)], -1) @ stage.turn.T
        start = np.broadcast_to(stage.position, ways.shape)
        rays = np.concatenate([start, ways], -1).astype(np.float32)
        self.on_person, self._triangle, self._weights = stage.touched(rays)

    def at(self, phase: float) -> TruePoints:
        """Return where the points are at another phase."""
        stage = Stage(phase)
        world = np.zeros((len(self._triangle), 3), np.float32)
        for mesh, here in (
            (scene.opaque(), ~self.on_person),
            (scene.person(phase), self.on_person),
        ):
            corners = mesh.vertices[mesh.triangles[self._triangle[here]]]
            world[here] = np.einsum("nk,nkc->nc", self._weights[here], corners)
        local = (world - stage.position) @ stage.turn
        of = self._intrinsics
        z = np.maximum(local[:, 2], np.float32(1e-6))
        pixels = np.stack(
            [of.fx * local[:, 0] / z + of.cx, of.fy * local[:, 1] / z + of.cy], -1
        ).astype(np.float32)
        inside = (local[:, 2] > 0) & (pixels >= 0).all(1)
        inside &= (pixels[:, 0] <= of.width - 1) & (pixels[:, 1] <= of.height - 1)
        ways = world - stage.position
        rays = np.concatenate([np.broadcast_to(stage.position, ways.shape), ways], -1)
        near = 1 - _SEEN_M / np.maximum(np.linalg.norm(ways, axis=1), np.float32(1e-3))
        met = stage.cast(rays.astype(np.float32)).t
        return TruePoints(pixels, local.astype(np.float32), inside & (met >= near))
