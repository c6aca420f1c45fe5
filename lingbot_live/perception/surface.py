"""A surface as plain arrays, which travel between processes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lingbot_live.quality.ruler import Box


@dataclass(frozen=True, slots=True, eq=False)
class SceneSurface:
    """A coloured surface in metres."""

    points_m: npt.NDArray[np.float32]  # (V, 3)
    colors: npt.NDArray[np.float32]  # (V, 3) RGB from 0 to 1
    triangles: npt.NDArray[np.int32]  # (T, 3)

    def cropped(self, box: Box | None) -> SceneSurface:
        """Return the triangles that lie in the box whole; without one, all."""
        if box is None:
            return self
        inside = box.holds(self.points_m.astype(np.float64))
        kept = self.triangles[inside[self.triangles].all(axis=1)]
        used, numbers = np.unique(kept, return_inverse=True)
        triangles = numbers.reshape(kept.shape).astype(np.int32)
        return SceneSurface(self.points_m[used], self.colors[used], triangles)
