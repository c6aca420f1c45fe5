"""What a network's tokens attended to in one frame, as arrays; made by `Refiner.attend`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import ConfigError
from lingbot_live.frame import ColorImage, Mask

Weights = npt.NDArray[np.float32]
Cells = npt.NDArray[np.int64]  # (Q, 2): row and column in the grid of tokens


@dataclass(frozen=True, slots=True, eq=False)
class Attended:
    """Attention of Q depth tokens in L layers with H heads each, over a grid of (h, w) tokens.

    A token's weights on colour and depth tokens, and on the few that stand for no place, sum to 1.
    """

    layers: tuple[int, ...]  # blocks of the network, from 0
    cells: Cells  # (Q, 2) of the queries; those around a hole follow the ones asked for
    asked: int  # how many of them were asked for
    masked: npt.NDArray[np.bool_]  # (Q,) whose depth token takes no part: it holds no depth
    kept: Mask  # (h, w) depth tokens that take part
    to_color: Weights  # (L, H, Q, h, w)
    to_depth: Weights  # (L, H, Q, h, w), 0 where the token takes no part
    rollout: Weights | None  # (Q, h, w) on colour tokens, through all layers at once

    @property
    def mean(self) -> Weights:
        """Weights on colour tokens, mean of all layers and heads, (Q, h, w)."""
        mean: Weights = self.to_color.mean((0, 1))
        return mean

    def of(self, layer: int | None, head: int | None) -> Weights:
        """Return weights on colour tokens (Q, h, w) of a layer and head; None: the mean of all.

        Raises:
            ConfigError: there is no such layer or head.
        """
        if layer is not None and layer not in self.layers:
            known = ", ".join(map(str, self.layers))
            raise ConfigError(f"attention: layer {layer} was not read; there are {known}")
        heads = self.to_color.shape[1]
        if head is not None and not 0 <= head < heads:
            raise ConfigError(f"attention: head {head}; there are 0 to {heads - 1}")
        some = self.to_color if layer is None else self.to_color[[self.layers.index(layer)]]
        mean: Weights = (some if head is None else some[:, [head]]).mean((0, 1))
        return mean


def around_hole(kept: Mask, row: int, column: int, most: int = 12) -> list[tuple[int, int]]:
    """Return the tokens that border the hole in which a token lies, nearest first.

    Args:
        kept: (h, w), where depth is.
        row: of the token, in the grid; nothing borders it where it has depth.
        column: of the same.
        most: how many to return.
    """
    import cv2

    if kept[row, column]:
        return []
    parts = cv2.connectedComponents((~kept).view(np.uint8), connectivity=8)[1]
    hole = (parts == parts[row, column]).astype(np.uint8)
    border = (cv2.dilate(hole, np.ones((3, 3), np.uint8)) > 0) & kept
    cells = np.argwhere(border)
    order = np.argsort(((cells - (row, column)) ** 2).sum(1), kind="stable")[:most]
    return [(int(r), int(c)) for r, c in cells[order]]


def centres_px(cells: Cells, grid: tuple[int, int], size: tuple[int, int]) -> Weights:
    """Return the pixels (Q, 2) in the middle of tokens (Q, 2) of a picture of ``size`` (H, W)."""
    rows, columns = grid
    height, width = size
    u = (cells[:, 1] + 0.5) * width / columns - 0.5
    v = (cells[:, 0] + 0.5) * height / rows - 0.5
    return np.asarray(np.stack([u, v], -1), np.float32)


def heat(weights: Weights) -> npt.NDArray[np.uint8]:
    """Return weights (h, w) as colours to lay over a picture, (h, w, 4) RGBA, not premultiplied."""
    import cv2

    top = max(float(np.percentile(weights, 99.5)), 1e-12)  # a lone token must not hide the rest
    share = np.clip(weights / top, 0, 1).astype(np.float32)
    codes = (255 * share).astype(np.uint8)
    rgb = cv2.applyColorMap(codes, cv2.COLORMAP_INFERNO)[..., ::-1]
    alpha = (255 * (0.35 + 0.5 * share)).astype(np.uint8)
    return np.ascontiguousarray(np.dstack([rgb, alpha]))


def overlay(color: ColorImage, weights: Weights) -> ColorImage:
    """Return a picture (H, W, 3) under the `heat` of weights (h, w)."""
    import cv2

    size = (color.shape[1], color.shape[0])
    rgba = cv2.resize(heat(weights), size, interpolation=cv2.INTER_LINEAR).astype(np.float32)
    alpha = rgba[..., 3:] / 255
    return np.asarray(color * (1 - alpha) + rgba[..., :3] * alpha, np.uint8)
