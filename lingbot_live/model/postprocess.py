"""From the network's logits to depth, mask and points. Pure functions on tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Logits:
    """What the heads give, each (B, 1, 16h, 16w) fp32, or None where there is no such head."""

    depth: Tensor | None
    mask: Tensor | None


def resized(logit: Tensor, size_px: tuple[int, int]) -> Tensor:
    """Return a logit at the picture's size, (B, H, W); before exp or sigmoid, never after."""
    return F.interpolate(logit.float(), size_px, mode="bilinear")[:, 0]


def depth_of(logits: Logits, size_px: tuple[int, int], remap: str) -> Tensor | None:
    """Return depth (B, H, W) fp32 metres; ``remap`` is ``exp`` or ``linear``."""
    if logits.depth is None:
        return None
    depth = resized(logits.depth, size_px)
    return depth.exp() if remap == "exp" else depth


def mask_of(logits: Logits, size_px: tuple[int, int]) -> Tensor | None:
    """Return where the network vouches for its depth, (B, H, W) bool."""
    return None if logits.mask is None else resized(logits.mask, size_px).sigmoid() > 0.5


def points_of(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Return the points (B, H, W, 3) in metres that a pinhole camera sees.

    Args:
        depth: (B, H, W) metres.
        intrinsics: (B, 3, 3), row 0 divided by W and row 1 by H; integer = pixel centre.
    """
    _, height, width = depth.shape
    k = intrinsics.to(depth)[..., None, None]  # (B, 3, 3, 1, 1)
    u = torch.arange(width, device=depth.device)  # (W,)
    v = torch.arange(height, device=depth.device)[:, None]  # (H, 1)
    x = (u - k[:, 0, 2] * width) * depth / (k[:, 0, 0] * width)  # (B, H, W)
    y = (v - k[:, 1, 2] * height) * depth / (k[:, 1, 1] * height)  # (B, H, W)
    return torch.stack([x, y, depth], dim=-1)  # (B, H, W, 3)
