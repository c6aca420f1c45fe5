"""The encoder: a DINOv2 transformer over picture and depth tokens in one sequence.

Shapes: B batch, (h, w) token grid, P = h*w picture tokens, K depth tokens, R registers, C width,
N = 1 + R + P + K tokens in all.
"""

from __future__ import annotations

import importlib.util
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lingbot_live.model.layers import (
    BACKBONE_EPS,
    Block,
    Conv2d,
    FirstKeys,
    LayerNorm,
    PatchEmbed,
)
from lingbot_live.model.model_config import BackboneConfig, EncoderConfig
from lingbot_live.model.preprocess import PATCH_PX, Grid
from lingbot_live.model.tokens import DepthTokens

STORED_GRID = 37  # side of the stored position table: 518 / 14


def resample_positions(table: Tensor, grid: Grid, antialias: bool) -> Tensor:
    """Return the position table for a grid, (1, P, C) fp32, from the stored one (1, 1 + 37*37, C).

    Backbones with registers resize to the grid's size with ``antialias``; the others scale by
    (h + 0.1) / 37, which samples at other places, as DINOv2 was trained.
    """
    side = math.isqrt(table.shape[1] - 1)
    stored = table[:, 1:].float()  # (1, 37*37, C)
    if grid == (side, side):
        return stored
    square = stored.view(1, side, side, -1).permute(0, 3, 1, 2)  # (1, C, 37, 37)
    if antialias:
        square = F.interpolate(square, tuple(grid), mode="bicubic", antialias=True)
    else:
        scale = ((grid.rows + 0.1) / side, (grid.columns + 0.1) / side)
        square = F.interpolate(square, scale_factor=scale, mode="bicubic")
    return square.flatten(2).transpose(1, 2).contiguous()  # (1, P, C)


def can_skip_hidden(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether attention can pass over hidden tokens there (torch 2.10 and newer)."""
    there = importlib.util.find_spec("torch.nn.attention.varlen") is not None
    return there and device.type == "cuda" and dtype.itemsize == 2


class Backbone(nn.Module):
    """The vision transformer.

    The published network adds 1 to every channel of its picture tokens and 2 to those of its depth
    tokens. A constant over channels is removed by each norm, so it is left out here, which is the
    same network and more exact in 16 bits.

    With ``skips_hidden`` attention passes over hidden tokens instead of reading a mask, by
    PyTorch's ``varlen_attn``: for one sample of 16 bits on CUDA. `can_skip_hidden` tells where.
    """

    skips_hidden = False

    def __init__(self, config: BackboneConfig, taken: tuple[int, ...]) -> None:
        super().__init__()
        width = config.width
        self.taken = taken
        self.registers = config.registers
        self.patch_embed = PatchEmbed(3, width, PATCH_PX)
        self.depth_patch_embed = PatchEmbed(1, width, PATCH_PX)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + STORED_GRID**2, width))
        if config.registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, config.registers, width))
        self.blocks = nn.ModuleList(
            Block(width, config.hidden, config.gated) for _ in range(config.blocks)
        )
        self.norm = LayerNorm(width, eps=BACKBONE_EPS)

    def sequence(
        self, image: Tensor, depth: Tensor | None, tokens: DepthTokens | None, position: Tensor
    ) -> Tensor:
        """Return the tokens (B, N, C) fp32: class, registers, picture, depth."""
        picture = self.patch_embed(image) + position  # (B, P, C)
        first = self.cls_token.float() + self.pos_embed[:, :1].float()  # (1, 1, C)
        parts = [first.expand(len(picture), -1, -1)]  # (B, 1, C)
        if self.registers:
            parts.append(self.register_tokens.float().expand(len(picture), -1, -1))  # (B, R, C)
        parts.append(picture)
        if depth is not None and tokens is not None:
            cells = self.depth_patch_embed(depth) + position  # (B, P, C)
            parts.append(cells.take_along_dim(tokens.index[..., None], dim=1))  # (B, K, C)
        return torch.cat(parts, dim=1)  # (B, N, C)

    def forward(
        self,
        image: Tensor,
        depth: Tensor | None,
        tokens: DepthTokens | None,
        position: Tensor,
        dtype: torch.dtype,
    ) -> list[Tensor]:
        """Return the normed sequence after each block that is read out, (B, N, C) fp32."""
        x = self.sequence(image, depth, tokens, position)  # (B, N, C)
        keys: Tensor | FirstKeys | None = None
        if tokens is not None and tokens.real is not None:
            before = x.shape[1] - tokens.real.shape[1]
            seen = F.pad(tokens.real, (before, 0), value=True)  # (B, N)
            first = self.skips_hidden and len(x) == 1  # kept tokens come first, see `tokens.pack`
            keys = FirstKeys.of(seen) if first else seen[:, None, None]  # (B, 1, 1, N)
        outputs = []
        for i, block in enumerate(self.blocks[: self.taken[-1] + 1]):
            x = block(x, keys, dtype)  # (B, N, C)
            if i in self.taken:
                outputs.append(self.norm(x))
        return outputs


class Encoder(nn.Module):
    """The backbone and the projections of its outputs onto one feature map."""

    image_mean: Tensor  # (1, 3, 1, 1)
    image_std: Tensor  # (1, 3, 1, 1)

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.backbone.width
        self.backbone = Backbone(config.backbone, config.taken)
        self.output_projections = nn.ModuleList(Conv2d(width, width, 1) for _ in config.taken)
        self.register_buffer("image_mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("image_std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def positions(self, grid: Grid) -> Tensor:
        """Return the position table of a grid, (1, P, C) fp32."""
        return resample_positions(self.backbone.pos_embed, grid, self.backbone.registers > 0)

    def forward(
        self,
        image: Tensor,
        depth: Tensor | None,
        tokens: DepthTokens | None,
        position: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        """Return the feature map (B, C, h, w) fp32.

        Args:
            image: (B, 3, 14h, 14w), prepared.
            depth: (B, 1, 14h, 14w), prepared, or None for a picture alone.
            tokens: depth tokens that take part; None with ``depth``.
            position: (1, P, C), of `positions`.
            dtype: of matrix products.
        """
        outputs = self.backbone(image, depth, tokens, position, dtype)  # each (B, N, C)
        start, cells = 1 + self.backbone.registers, position.shape[1]
        grid = (image.shape[2] // PATCH_PX, image.shape[3] // PATCH_PX)
        features: Tensor = outputs[-1][:, 0, :, None, None]  # (B, C, 1, 1) class token
        for output, project in zip(outputs, self.output_projections, strict=True):
            picture = output[:, start : start + cells].to(dtype)  # (B, P, C)
            picture = picture.transpose(1, 2).unflatten(2, grid)  # (B, C, h, w)
            features = features + project(picture)  # (B, C, h, w)
        return features
