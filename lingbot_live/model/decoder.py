"""The decoder: stacks of five levels, each twice the size of the one before.

Shapes: B batch, (h, w) token grid, level i is (h * 2**i, w * 2**i) with D_i channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lingbot_live.model.layers import Conv2d, ConvTranspose2x2, GroupNorm, InstanceNorm
from lingbot_live.model.model_config import LEVELS, StackConfig
from lingbot_live.model.preprocess import Grid

FP32_LEVELS = 2  # the last ones; the very last alone leaves 20 % more error on the golden cases


def uv_maps(grid: Grid, aspect: float, device: torch.device) -> tuple[Tensor, ...]:
    """Return for each level where its pixels lie in the picture, (1, 2, h * 2**i, w * 2**i) fp32.

    ``aspect`` is the picture's width by its height; the picture's half diagonal is 1.
    """
    half_height = 1 / (1 + aspect**2) ** 0.5
    half_width = aspect * half_height
    maps = []
    for level in range(LEVELS):
        rows, columns = grid.rows << level, grid.columns << level
        u_end, v_end = half_width * (columns - 1) / columns, half_height * (rows - 1) / rows
        u = torch.linspace(-u_end, u_end, columns, device=device)  # (columns,)
        v = torch.linspace(-v_end, v_end, rows, device=device)  # (rows,)
        v_map, u_map = torch.meshgrid(v, u, indexing="ij")  # (rows, columns)
        maps.append(torch.stack([u_map, v_map])[None])  # (1, 2, rows, columns)
    return tuple(maps)


def _norm(kind: str, channels: int) -> nn.Module:
    if kind == "group_norm":
        return GroupNorm(channels // 32, channels)
    if kind == "layer_norm":
        return GroupNorm(1, channels)
    return InstanceNorm(channels) if kind == "instance_norm" else nn.Identity()


def _activation(kind: str) -> nn.Module:
    makers = {"relu": nn.ReLU, "silu": nn.SiLU, "elu": nn.ELU}
    return nn.LeakyReLU(0.2) if kind == "leaky_relu" else makers[kind]()


def _resampler(kind: str, inputs: int, outputs: int) -> nn.Sequential:
    """Return what takes (B, inputs, h, w) to (B, outputs, 2h, 2w)."""
    if kind == "conv_transpose":
        return nn.Sequential(ConvTranspose2x2(inputs, outputs), Conv2d(outputs, outputs, 3))
    if kind == "pixel_shuffle":
        return nn.Sequential(
            Conv2d(inputs, 4 * outputs, 3),
            nn.PixelShuffle(2),
            Conv2d(outputs, outputs, 3),
        )
    return nn.Sequential(nn.Upsample(scale_factor=2, mode=kind), Conv2d(inputs, outputs, 3))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each after a norm and an activation, added to what came in."""

    def __init__(self, config: StackConfig, channels: int) -> None:
        super().__init__()
        hidden = config.hidden_factor * channels
        self.layers = nn.Sequential(
            _norm(config.in_norm, channels),
            _activation(config.activation),
            Conv2d(channels, hidden, 3),
            _norm(config.hidden_norm, hidden),
            _activation(config.activation),
            Conv2d(hidden, channels, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, rows, columns) to the same."""
        out: Tensor = x + self.layers(x)
        return out


class ConvStack(nn.Module):
    """Neck and heads: five levels with an entry and an exit at each.

    Computes in the dtype asked for, but the last two levels in fp32: their rounding would show as
    terraces in the depth.
    """

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        dims = config.dim_res
        self.input_blocks = nn.ModuleList(
            Conv2d(inputs, dim, 1) if inputs else nn.Identity()
            for inputs, dim in zip(config.dim_in, dims, strict=True)
        )
        self.resamplers = nn.ModuleList(
            _resampler(kind, dims[i], dims[i + 1]) for i, kind in enumerate(config.resamplers)
        )
        self.res_blocks = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(config, dim) for _ in range(count)))
            for dim, count in zip(dims, config.num_res_blocks, strict=True)
        )
        self.output_blocks = nn.ModuleList(
            Conv2d(dim, outputs, 1) if outputs else nn.Identity()
            for dim, outputs in zip(dims, config.dim_out, strict=True)
        )

    def forward(self, inputs: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
        """Return five maps (B, out_i, ...), level i at h * 2**i, from five (B, in_i, ...)."""
        outputs = []
        # Channels last is what fast convolutions want, on CPU and GPU; all that follows keeps it.
        x = inputs[0].to(dtype, memory_format=torch.channels_last)
        x = self.input_blocks[0](x)  # (B, D_0, h, w)
        for level in range(LEVELS):
            if level == LEVELS - FP32_LEVELS:
                x = x.float()
            if level:
                x = self.resamplers[level - 1](x)  # (B, D_i, h * 2**i, w * 2**i)
                x += self.input_blocks[level](inputs[level].to(x.dtype))
            x = self.res_blocks[level](x)  # (B, D_i, h * 2**i, w * 2**i)
            outputs.append(self.output_blocks[level](x))  # (B, out_i, ...)
        return outputs
