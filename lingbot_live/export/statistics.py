"""Least, greatest, mean and spread of what is exported, gathered as it goes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class Statistics:
    """Of the values along all axes but the first ``channels``; in memory are sums alone."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._count = 0
        self._least = np.full(shape[0], np.inf)
        self._most = np.full(shape[0], -np.inf)
        self._sum, self._squares = np.zeros(shape[0]), np.zeros(shape[0])
        self._values = 0

    def add(self, values: npt.NDArray[Any]) -> None:
        """Take a frame's values, (C, ...) with C as in the shape."""
        flat = np.asarray(values, np.float64).reshape(self._shape[0], -1)
        self._count += 1
        self._values += flat.shape[1]
        self._least = np.minimum(self._least, flat.min(axis=1))
        self._most = np.maximum(self._most, flat.max(axis=1))
        self._sum += flat.sum(axis=1)
        self._squares += (flat**2).sum(axis=1)

    def as_dict(self) -> dict[str, Any]:
        """Return all of it in lists of the shape; ``count`` is of frames."""
        mean = self._sum / max(1, self._values)
        spread = np.sqrt(np.maximum(self._squares / max(1, self._values) - mean**2, 0))
        found = {"min": self._least, "max": self._most, "mean": mean, "std": spread}
        shaped = {name: value.reshape(self._shape).tolist() for name, value in found.items()}
        return {**shaped, "count": [self._count]}
