"""A surface as plain arrays, which travel between processes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class SceneSurface:
    """A coloured surface in metres."""

    points_m: npt.NDArray[np.float32]  # (V, 3)
    colors: npt.NDArray[np.float32]  # (V, 3) RGB from 0 to 1
    triangles: npt.NDArray[np.int32]  # (T, 3)
