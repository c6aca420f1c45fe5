"""Which depth tokens take part, and two exact ways to leave out the others.

A patch without any measured depth adds nothing, so its token is left out of the sequence. `drop`
leaves it out for good: the sequence is as short as can be, and its length changes with every frame.
`pack` moves the kept tokens to the front and hides the rest from attention, so that the length is
one of a few, which CUDA graphs and compilers need. Both give the same result.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

BUCKETS = 8  # lengths besides 0: a frame computes at most an eighth of the grid for nothing
ALIGNMENT = 8  # fused attention kernels want a mask of rows that are a multiple of this long


class TokenPacking(str, Enum):
    """How depth tokens without a measurement leave the sequence."""

    DROP = "drop"
    BUCKET = "bucket"


@dataclass(frozen=True, slots=True, eq=False)
class DepthTokens:
    """Depth tokens in the sequence: (B, K) rows of the grid, and which of them are real."""

    index: Tensor  # (B, K) int64
    real: Tensor | None = None  # (B, K) bool, False where padding; None: all are real


def drop(keep: Tensor) -> DepthTokens:
    """Return just the kept tokens of one sample, from ``keep`` (1, P) bool; reads the device."""
    return DepthTokens(keep[0].nonzero().T)


def pack(keep: Tensor, length: int) -> DepthTokens:
    """Return ``length`` tokens, kept ones first in grid order, from ``keep`` (B, P) bool.

    Does not wait for the device. ``length`` must not be below the number kept in any sample.
    """
    order = keep.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
    places = torch.arange(length, device=keep.device)
    return DepthTokens(order[:, :length], places < keep.sum(1, keepdim=True))


def bucket_length(kept: int, cells: int, before: int) -> int:
    """Return the shortest bucket for ``kept`` of ``cells`` depth tokens.

    ``before`` tokens (class, registers, picture) precede them; together with these, a bucket is a
    multiple of 8 long where the grid allows it.
    """
    for step in range(BUCKETS + 1):
        length = -(-cells * step // BUCKETS)
        if step:
            length = min(length + -(before + length) % ALIGNMENT, cells)
        if kept <= length:
            return length
    raise ValueError(f"{kept} depth tokens kept of {cells}")
