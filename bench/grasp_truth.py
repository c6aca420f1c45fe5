"""Whether a grasp holds a thing of known shape: exact contacts by rays against the true surface."""

from __future__ import annotations

import numpy as np

from drivers.synthetic.stage import scene_of, tensor
from drivers.synthetic.tabletop import Tabletop, table
from lingbot_live.perception.grasps import Grasp, Gripper

PAD = 5  # rays across and along a finger's pad
PAD_M = 0.016  # its height, from the tip
PATCH_M = 0.0015  # what is so much nearer or farther touches as well


class TrueScene:
    """The meshes of a table, ready to be asked."""

    def __init__(self, tabletop: Tabletop) -> None:
        self.tabletop = tabletop
        meshes = [table(), *(body.mesh for body in tabletop.bodies)]
        self._scene = scene_of(meshes)

    def holds(self, grasp: Grasp, gripper: Gripper) -> int | None:
        """Return which body (its place in the list) a grasp holds by force closure, or None.

        The gripper, opened as the grasp says, must meet no surface while it stands there; then
        its pads close until each touches. Some pair of points that touch must be in force closure:
        the line between them within both friction cones, with the true normals.
        """
        T = self.tabletop.T_room_camera @ grasp.T_camera_gripper
        if self._meets(T, grasp, gripper):
            return None
        touches = [self._touch(T, grasp, gripper, side) for side in (-1, 1)]
        if any(len(t[0]) == 0 for t in touches):
            return None
        (first, n1, one), (second, n2, other) = touches
        if len({*one, *other}) != 1 or one[0] == 0:
            return None
        way = second[None] - first[:, None]
        way /= np.linalg.norm(way, axis=-1, keepdims=True)
        cone = np.cos(np.arctan(gripper.friction))
        leaving = -np.einsum("ijk,ik->ij", way, n1)
        arriving = np.einsum("ijk,jk->ij", way, n2)
        held = (leaving > cone) & (arriving > cone)
        return int(one[0]) - 1 if held.any() else None

    def _touch(
        self, T: np.ndarray, grasp: Grasp, gripper: Gripper, side: int
    ) -> tuple[np.ndarray, np.ndarray, list[int]]:
        """Return points, outward normals and bodies that a closing pad touches first."""
        y = np.linspace(-0.5, 0.5, PAD) * gripper.breadth_m
        z = np.linspace(gripper.tip_m - PAD_M, gripper.tip_m, PAD)
        yy, zz = (part.ravel() for part in np.meshgrid(y, z))
        start = np.column_stack([np.full(len(yy), side * grasp.opened_m / 2), yy, zz])
        origin = start @ T[:3, :3].T + T[:3, 3]
        way = np.tile(-side * T[:3, 0], (len(yy), 1))
        rays = np.concatenate([origin, way], 1).astype(np.float32)
        found = self._scene.cast_rays(tensor(rays))
        far = found["t_hit"].numpy()
        limit = grasp.opened_m - 0.002
        first = far.min()
        if not first < limit:
            return np.zeros((0, 3)), np.zeros((0, 3)), []
        at = far < min(first + PATCH_M, limit)
        normal = found["primitive_normals"].numpy()[at].astype(np.float64)
        normal *= -np.sign((normal * way[at]).sum(1, keepdims=True))
        points = (origin + way * far[:, None])[at]
        return points, normal, found["geometry_ids"].numpy()[at].tolist()

    def _meets(self, T: np.ndarray, grasp: Grasp, gripper: Gripper) -> bool:
        """Whether any line of a grid through fingers and palm crosses a surface."""
        for low, high in gripper.boxes(grasp.opened_m):
            for axis in range(3):
                others = [a for a in range(3) if a != axis]
                u, v = (np.linspace(low[a], high[a], 6) for a in others)
                uu, vv = (part.ravel() for part in np.meshgrid(u, v))
                start = np.empty((len(uu), 3))
                start[:, axis], start[:, others[0]], start[:, others[1]] = low[axis], uu, vv
                way = T[:3, axis] * (high[axis] - low[axis])
                rays = np.concatenate(
                    [start @ T[:3, :3].T + T[:3, 3], np.tile(way, (len(uu), 1))], 1
                ).astype(np.float32)
                if self._scene.test_occlusions(tensor(rays), 0.0, 1.0).numpy().any():
                    return True
        return False
