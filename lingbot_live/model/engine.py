"""The network on live frames: fixed buffers, one bucket of tokens per frame, one wait.

uint8 pictures and uint16 depth go up; resizing, scaling and normalising happen on the device;
refined depth and mask come down. Whatever depends only on the picture's size, the scale and the
grid lives in a `Plan` and is used again for every frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lingbot_live.frame import ColorImage, DepthMap, Mask, RawDepth
from lingbot_live.model import postprocess, tokens
from lingbot_live.model.device import Device
from lingbot_live.model.network import LingBotDepth
from lingbot_live.model.precision import Precision
from lingbot_live.model.preprocess import (
    Grid,
    kept_patches,
    prepare_depth,
    prepare_image,
    token_grid,
)
from lingbot_live.model.tokens import TokenPacking

MOST_PLANS = 4  # each holds its own graphs and buffers


@dataclass(frozen=True, slots=True)
class OutputPolicy:
    """What becomes of the network's answer."""

    apply_mask: bool = True  # pixels that it does not vouch for become 0, invalid
    keep_raw: bool = False  # raw depth stands where there is any

    def apply(self, depth_m: Tensor, mask: Tensor | None, raw_m: Tensor) -> tuple[Tensor, Tensor]:
        """Return depth (H, W) fp32 metres, finite and 0 where invalid, and its mask (H, W) bool."""
        valid = depth_m.isfinite() & (depth_m > 0)
        if mask is not None and self.apply_mask:
            valid = valid & mask
        depth_m = torch.where(valid, depth_m, 0.0)
        if self.keep_raw:
            depth_m = torch.where(raw_m > 0, raw_m, depth_m)
            valid = valid | (raw_m > 0)
        return depth_m, valid


@dataclass(slots=True, eq=False)
class Plan:
    """Buffers and prepared steps for one picture size, depth scale and grid."""

    grid: Grid
    color: Tensor  # (H, W, 3) uint8, device
    depth: Tensor  # (H, W) int16 with the bits of uint16, device
    color_host: Tensor
    depth_host: Tensor
    refined_host: Tensor  # (H, W) fp32
    mask_host: Tensor  # (H, W) bool
    image: Tensor  # (1, 3, 14h, 14w) fp32, prepared
    prepared: Tensor  # (1, 1, 14h, 14w) fp32
    keep: Tensor  # (1, P) bool
    raw_m: Tensor  # (H, W) fp32 metres
    prepare: Callable[[], None] = lambda: None
    runs: dict[int, Callable[[], tuple[Tensor, Tensor]]] = field(default_factory=dict)


class Engine:
    """A network on a device. Made and used on one thread."""

    def __init__(
        self,
        network: LingBotDepth,
        device: Device,
        precision: Precision,
        policy: OutputPolicy | None = None,
        packing: TokenPacking | None = None,
    ) -> None:
        self.network = network
        self.device = device
        self.precision = precision
        self.policy = policy or OutputPolicy()
        self._packing = packing or device.packing
        self._plans: dict[tuple[int, int, float, Grid], Plan] = {}

    @torch.inference_mode()
    def run(
        self, color: ColorImage, depth_raw: RawDepth, scale_m: float, num_tokens: int
    ) -> tuple[DepthMap, Mask, int]:
        """Refine one frame.

        Args:
            color: (H, W, 3) uint8 RGB.
            depth_raw: (H, W) uint16, 0 = no measurement.
            scale_m: metres per unit of ``depth_raw``.
            num_tokens: about how many picture tokens.

        Returns:
            Depth (H, W) float32 metres, 0 = invalid; its mask (H, W); the tokens really used.
        """
        plan = self._plan(color.shape[0], color.shape[1], scale_m, num_tokens)
        plan.color_host.numpy()[:] = color
        plan.depth_host.numpy()[:] = depth_raw.view(np.int16)
        self.device.upload([(plan.color, plan.color_host), (plan.depth, plan.depth_host)])
        plan.prepare()
        length = self._length(plan)
        if length not in plan.runs:
            plan.runs[length] = self._compiled(plan, length)
        refined, mask = plan.runs[length]()
        self.device.download([(plan.refined_host, refined), (plan.mask_host, mask)])
        return plan.refined_host.numpy().copy(), plan.mask_host.numpy().copy(), plan.grid.cells

    @torch.inference_mode()
    def is_finite(self, num_tokens: int = 100) -> bool:
        """Whether a made-up scene passes the network without inf or nan in this precision."""
        grid = token_grid(4, 3, num_tokens)
        noise = torch.Generator().manual_seed(0)
        image = torch.randn(1, 3, *grid.size_px, generator=noise).to(self.device.where)
        ramp = torch.linspace(0.3, 6.0, grid.size_px[1]).log()
        depth = ramp.expand(1, 1, *grid.size_px).contiguous().to(self.device.where)
        keep = kept_patches(depth, grid)
        tables = self.network.tables(grid, 4 / 3)
        logits = self.network(image, depth, tokens.drop(keep), tables, self.precision.dtype)
        return all(bool(x.isfinite().all()) for x in (logits.depth, logits.mask) if x is not None)

    def forget(self) -> None:
        """Drop all buffers and graphs and give their memory back."""
        self._plans.clear()
        self.device.free()

    # ---- private -----------------------------------------------------------------------------

    def _plan(self, height_px: int, width_px: int, scale_m: float, num_tokens: int) -> Plan:
        grid = token_grid(width_px, height_px, num_tokens)
        key = (height_px, width_px, scale_m, grid)
        if key not in self._plans:
            if len(self._plans) >= MOST_PLANS:
                self._plans.pop(next(iter(self._plans)))
            self._plans[key] = self._make_plan(height_px, width_px, scale_m, grid)
        return self._plans[key]

    def _make_plan(self, height_px: int, width_px: int, scale_m: float, grid: Grid) -> Plan:
        size, inner = (height_px, width_px), grid.size_px
        host = self.device.host_buffer

        def buffer(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=self.device.where)

        plan = Plan(
            grid=grid,
            color=buffer(*size, 3, dtype=torch.uint8),
            depth=buffer(*size, dtype=torch.int16),
            color_host=host((*size, 3), torch.uint8),
            depth_host=host(size, torch.int16),
            refined_host=host(size, torch.float32),
            mask_host=host(size, torch.bool),
            image=buffer(1, 3, *inner),
            prepared=buffer(1, 1, *inner),
            keep=buffer(1, grid.cells, dtype=torch.bool),
            raw_m=buffer(*size),
        )
        plan.prepare = self.device.captured(lambda: self._prepare(plan, scale_m))
        return plan

    def _prepare(self, plan: Plan, scale_m: float) -> None:
        """Fill the plan's prepared buffers from its picture and depth."""
        encoder, remap = self.network.encoder, self.network.config.remap_depth_in
        pixels = plan.color.permute(2, 0, 1)[None]  # (1, 3, H, W)
        plan.image.copy_(prepare_image(pixels, plan.grid, encoder.image_mean, encoder.image_std))
        raw = plan.depth.to(torch.int32) & 0xFFFF  # (H, W), the sign bit is a digit of uint16
        plan.prepared.copy_(prepare_depth(raw[None, None], plan.grid, remap, scale_m))
        plan.keep.copy_(kept_patches(plan.prepared, plan.grid))
        plan.raw_m.copy_(raw.float() * scale_m)

    def _length(self, plan: Plan) -> int:
        """Return the bucket of this frame (the one wait for the device), -1 to drop for good."""
        if self._packing is TokenPacking.DROP:
            return -1
        before = 1 + self.network.config.encoder.backbone.registers + plan.grid.cells
        return tokens.bucket_length(int(plan.keep.sum()), plan.grid.cells, before)

    def _compiled(self, plan: Plan, length: int) -> Callable[[], tuple[Tensor, Tensor]]:
        """Return the step from prepared buffers to depth and mask for one number of tokens."""
        network, remap = self.network, self.network.config.remap_depth_out
        size = (plan.color.shape[0], plan.color.shape[1])
        tables = network.tables(plan.grid, size[1] / size[0])

        def refine() -> tuple[Tensor, Tensor]:
            kept = tokens.drop(plan.keep) if length < 0 else tokens.pack(plan.keep, length)
            logits = network(plan.image, plan.prepared, kept, tables, self.precision.dtype)
            refined = postprocess.depth_of(logits, size, remap)
            mask = postprocess.mask_of(logits, size)
            assert refined is not None, "load_engine refuses a network without a depth head"
            return self.policy.apply(refined[0], None if mask is None else mask[0], plan.raw_m)

        return refine if length < 0 else self.device.captured(refine)
