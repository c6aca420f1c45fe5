"""From pictures and depth maps to what the network reads. Pure functions on tensors.

They take what cameras deliver (uint8 pictures, uint16 depth) as well as floats, and run wherever
their tensors are, so that small integers travel to a GPU and are scaled there.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

PATCH_PX = 14
LEAST_DEPTH_M = 0.01  # strictly above is a measurement
KEPT_RANGE = (-9.5, 200.0)  # of remapped depth; a pixel outside does not keep its patch


class Grid(NamedTuple):
    """Size of the token grid."""

    rows: int
    columns: int

    @property
    def cells(self) -> int:
        """Number of picture tokens."""
        return self.rows * self.columns

    @property
    def size_px(self) -> tuple[int, int]:
        """(height, width) of the picture that the network reads."""
        return self.rows * PATCH_PX, self.columns * PATCH_PX


def token_grid(width_px: int, height_px: int, num_tokens: int) -> Grid:
    """Return the grid of about ``num_tokens`` square patches nearest to the picture's aspect."""
    aspect = width_px / height_px
    rows, columns = round((num_tokens / aspect) ** 0.5), round((num_tokens * aspect) ** 0.5)
    return Grid(max(1, rows), max(1, columns))


def prepare_image(image: Tensor, grid: Grid, mean: Tensor, std: Tensor) -> Tensor:
    """Return the normalised picture at the network's size, (B, 3, 14h, 14w) fp32.

    Args:
        image: (B, 3, H, W) RGB, uint8 or float from 0 to 1; a float that is no number counts as 0.
        grid: of tokens.
        mean: (1, 3, 1, 1), of the pictures that the network was trained on.
        std: (1, 3, 1, 1), of the same.
    """
    if image.dtype == torch.uint8:
        pixels = image.float() / 255
    else:  # one bad pixel would reach every token through attention
        pixels = image.float().nan_to_num(0.0, 1.0, 0.0)
    pixels = F.interpolate(pixels, grid.size_px, mode="bilinear", antialias=True)
    return (pixels - mean.float()) / std.float()


def prepare_depth(depth: Tensor, grid: Grid, remap: str, scale_m: float = 1.0) -> Tensor:
    """Return the remapped depth at the network's size, (B, 1, 14h, 14w) fp32, 0 = no measurement.

    Args:
        depth: (B, 1, H, W), any size with the picture's field of view; any real dtype.
        grid: of tokens.
        remap: ``log`` (natural logarithm of metres) or ``linear`` (metres).
        scale_m: metres per unit of ``depth``.
    """
    depth_m = F.interpolate(depth.float(), grid.size_px, mode="nearest") * scale_m
    valid = depth_m.isfinite() & (depth_m > LEAST_DEPTH_M)
    remapped = depth_m.log() if remap == "log" else depth_m
    return torch.where(valid, remapped, 0.0)


def kept_patches(depth: Tensor, grid: Grid) -> Tensor:
    """Return which patches hold depth, (B, P) bool, from prepared depth (B, 1, 14h, 14w).

    A pixel of exactly 1 m has the logarithm 0 and so does not count, as in the published network.
    """
    low, high = KEPT_RANGE
    counts = (depth != 0) & (depth >= low) & (depth <= high)  # (B, 1, 14h, 14w)
    cells = counts.view(-1, grid.rows, PATCH_PX, grid.columns, PATCH_PX)
    return cells.any(dim=4).any(dim=2).flatten(1)  # (B, h, 14, w, 14) to (B, h, w) to (B, P)
