"""Which tokens a depth token attends to, read beside the network's fused kernels.

The network runs as always; what its attention layers were given is kept on the way, and only the
rows of the queries are computed plainly. Where nobody asks, nothing of this exists.

Symbols: L layers, H heads, Q queries, N tokens of the whole sequence, (h, w) token grid, P = h*w.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lingbot_live.model.layers import HEAD_WIDTH, Attention
from lingbot_live.model.preprocess import Grid
from lingbot_live.model.tokens import DepthTokens
from lingbot_live.refiners.attended import Attended, around_hole

if TYPE_CHECKING:
    from lingbot_live.model.network import GridTables, LingBotDepth


def query_cells(pixels: npt.ArrayLike, size_px: tuple[int, int], grid: Grid) -> npt.NDArray[Any]:
    """Return the tokens (Q, 2), row and column, under pixels (Q, 2), u and v, of a picture (H, W).

    Raises:
        ValueError: they have another shape, or lie outside the picture.
    """
    at = np.asarray(pixels, np.float64)
    if at.ndim != 2 or at.shape[1] != 2 or len(at) == 0:
        raise ValueError(f"queries: shape {at.shape}; (Q, 2) pixels, u and v, are needed")
    height, width = size_px
    inside = (at > -0.5) & (at < np.array([width, height]) - 0.5)
    if not inside.all():
        u, v = at[~inside.all(1)][0]
        raise ValueError(f"queries: {u:g},{v:g} lies outside the picture of {width}x{height}")
    scale = np.array([grid.columns / width, grid.rows / height])
    cells: npt.NDArray[np.int64] = np.floor((at + 0.5) * scale).astype(np.int64)[:, ::-1]
    return cells


def chosen_layers(layers: Sequence[int] | None, blocks: int) -> tuple[int, ...]:
    """Return the blocks to read, all for None; negative ones count from the end.

    Raises:
        ValueError: one is not there.
    """
    asked = range(blocks) if layers is None else layers
    if wrong := [layer for layer in asked if not -blocks <= layer < blocks]:
        raise ValueError(f"layers: {wrong[0]}; this network runs blocks 0 to {blocks - 1}")
    return tuple(sorted({layer % blocks for layer in asked}))


def attended(
    network: LingBotDepth,
    image: Tensor,
    depth: Tensor,
    keep: Tensor,
    tables: GridTables,
    cells: npt.NDArray[Any],
    layers: tuple[int, ...],
    *,
    rollout: bool,
    neighbours: bool,
) -> Attended:
    """Run the network on one prepared picture and return what the queries' depth tokens attend to.

    Every depth token is in the sequence, and those without depth are hidden from all, which gives
    the same result as without them; so a masked token's own row tells what it would look at.

    Args:
        network: to run.
        image: (1, 3, 14h, 14w), of `preprocess.prepare_image`.
        depth: (1, 1, 14h, 14w), of `preprocess.prepare_depth`.
        keep: (1, P) bool, which depth tokens take part.
        tables: of the grid.
        cells: (Q, 2), row and column of the queries.
        layers: blocks to read.
        rollout: whether attention through all blocks is wanted too.
        neighbours: whether the tokens around a hole are asked where a query lies in it.
    """
    grid = tables.grid
    kept = keep.view(grid.rows, grid.columns).cpu().numpy()
    asked = len(cells)
    if neighbours:
        border = {at for row, column in cells for at in around_hole(kept, int(row), int(column))}
        cells = np.concatenate([cells, np.array(sorted(border), np.int64).reshape(-1, 2)])
    seen = _given(network, image, depth, keep, tables)
    first = 1 + network.config.encoder.backbone.registers
    rows = torch.from_numpy(cells @ (grid.columns, 1)).to(image.device) + first + grid.cells
    weights = torch.stack([_weights(*seen[layer], rows) for layer in layers])  # (L, H, Q, N)
    flat = [weights[..., at : at + grid.cells] for at in (first, first + grid.cells)]
    color, deep = (part.unflatten(-1, tuple(grid)).cpu().numpy() for part in flat)
    rolled = None
    if rollout:
        through = _rollout(seen, rows)[:, first : first + grid.cells]  # (Q, P)
        rolled = through.unflatten(-1, tuple(grid)).cpu().numpy()
    masked = ~kept[cells[:, 0], cells[:, 1]]
    return Attended(layers, cells, asked, masked, kept, color, deep, rolled)


Given = tuple[Attention, Tensor, Tensor | None]  # a layer, its input (1, N, C), and its keys


def _given(
    network: LingBotDepth, image: Tensor, depth: Tensor, keep: Tensor, tables: GridTables
) -> list[Given]:
    """Run the encoder; return what each attention layer that ran was given."""
    seen: list[Given] = []

    def note(layer: nn.Module, given: tuple[Tensor, Tensor | None]) -> None:
        assert isinstance(layer, Attention)
        seen.append((layer, *given))

    backbone = network.encoder.backbone
    with ExitStack() as stack:
        stack.callback(setattr, backbone, "skips_hidden", backbone.skips_hidden)
        backbone.skips_hidden = False  # that needs the kept tokens first, and 16 bits
        for block in network.encoder.backbone.blocks:
            assert isinstance(block.attn, Attention)
            stack.callback(block.attn.register_forward_pre_hook(note).remove)
        every = torch.arange(keep.shape[1], device=keep.device)[None]
        network.encode(image, depth, DepthTokens(every, keep), tables, torch.float32)
    return seen


def _weights(layer: Attention, x: Tensor, keys: Tensor | None, rows: Tensor | None) -> Tensor:
    """Return softmax(Q K^T / sqrt(64)) of some rows (all: None), (H, Q, N)."""
    q, k, _ = layer.parts(x)  # (1, H, N, 64)
    some = q[0] if rows is None else q[0, :, rows]  # (H, Q, 64)
    scores = some @ k[0].transpose(1, 2) / HEAD_WIDTH**0.5  # (H, Q, N)
    if keys is not None:
        scores = scores.masked_fill(~keys[0], -torch.inf)
    weights: Tensor = scores.softmax(-1)
    return weights


def _rollout(seen: list[Given], rows: Tensor) -> Tensor:
    """Return attention of rows through all layers, (Q, N) (Abnar and Zuidema, ACL 2020).

    Each layer counts as the mean of its heads and, to half, as the token itself, which the
    residual stream carries on.
    """
    count = seen[0][1].shape[1]
    through = torch.nn.functional.one_hot(rows, count).float()  # (Q, N)
    for layer, x, keys in reversed(seen):
        mean = torch.zeros_like(through)
        q, k, _ = layer.parts(x)
        hidden = None if keys is None else ~keys[0, 0]  # (1, N)
        for head in range(layer.heads):  # one at a time: all of them hold gigabytes
            scores = q[0, head] @ k[0, head].T / HEAD_WIDTH**0.5  # (N, N)
            if hidden is not None:
                scores = scores.masked_fill(hidden, -torch.inf)
            mean += through @ scores.softmax(-1) / layer.heads
        through = (through + mean) / 2
    return through
