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

from lingbot_live.errors import RefinerError
from lingbot_live.frame import ColorImage, DepthMap, Mask, RawDepth
from lingbot_live.model import postprocess, tokens
from lingbot_live.model.device import Device
from lingbot_live.model.network import GridTables, LingBotDepth
from lingbot_live.model.postprocess import Logits
from lingbot_live.model.precision import Precision
from lingbot_live.model.preprocess import (
    Grid,
    kept_patches,
    prepare_depth,
    prepare_image,
    token_grid,
)
from lingbot_live.model.tokens import DepthTokens, TokenPacking

MOST_PLANS = 4  # each holds its own graphs and buffers
DROPPED = -1  # in place of a bucket's length


@dataclass(frozen=True, slots=True)
class OutputPolicy:
    """What becomes of the network's answer."""

    apply_mask: bool = True  # pixels that it does not vouch for become 0, invalid
    keep_raw: bool = False  # raw depth stands where there is any

    def apply(self, depth_m: Tensor, mask: Tensor | None, raw_m: Tensor) -> tuple[Tensor, Tensor]:
        """Return depth (H, W) fp32 metres, finite and 0 where invalid, and its mask (H, W) bool.

        The mask is where the network, or with ``keep_raw`` the sensor, vouches for the depth; it is
        the same whether it is applied or not.
        """
        valid = depth_m.isfinite() & (depth_m > 0)
        vouched = valid if mask is None else valid & mask
        depth_m = torch.where(vouched if self.apply_mask else valid, depth_m, 0.0)
        if self.keep_raw:
            measured = raw_m > 0
            return torch.where(measured, raw_m, depth_m), vouched | measured
        return depth_m, vouched


@dataclass(frozen=True, slots=True, eq=False)
class Buffers:
    """Memory for one picture size and grid, filled anew by every frame."""

    tables: GridTables
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

    @property
    def grid(self) -> Grid:
        """Of the picture tokens."""
        return self.tables.grid


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Buffers and the steps captured on them; no step refers to its plan, so nothing lingers."""

    buffers: Buffers
    prepare: Callable[[], None]
    runs: dict[tuple[int, OutputPolicy], Callable[[], tuple[Tensor, Tensor]]] = field(
        default_factory=dict
    )


class Engine:
    """A network on a device. Made and used on one thread; ``policy`` may change between frames."""

    def __init__(
        self,
        network: LingBotDepth,
        device: Device,
        precision: Precision,
        policy: OutputPolicy | None = None,
        packing: TokenPacking | None = None,
        *,
        compiled: bool = False,
    ) -> None:
        self.network = network
        self.device = device
        self.precision = precision
        self.policy = policy or OutputPolicy()
        self._packing = packing or device.packing
        self._plans: dict[tuple[int, int, float, Grid], Plan] = {}
        self._encode, self._decode = network.encode, network.decode
        if compiled:
            self._encode = torch.compile(network.encode)
            self._decode = torch.compile(network.decode)

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
        plan = self.plan(color.shape[0], color.shape[1], scale_m, num_tokens)
        held = plan.buffers
        held.color_host.numpy()[:] = color
        held.depth_host.numpy()[:] = depth_raw.view(np.int16)
        self.upload(held)
        plan.prepare()
        length = self.length(held)
        kind = length, self.policy
        if kind not in plan.runs:
            plan.runs[kind] = self._captured_run(held, length)
        refined, mask = plan.runs[kind]()
        self.device.download([(held.refined_host, refined), (held.mask_host, mask)])
        return held.refined_host.numpy().copy(), held.mask_host.numpy().copy(), held.grid.cells

    @torch.inference_mode()
    def is_finite(self, num_tokens: int = 12) -> bool:
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

    # ---- steps of `run`, one by one for who measures them --------------------------------------

    def plan(self, height_px: int, width_px: int, scale_m: float, num_tokens: int) -> Plan:
        """Return the plan of a kind of frames; the one not used for longest makes room."""
        grid = token_grid(width_px, height_px, num_tokens)
        key = (height_px, width_px, scale_m, grid)
        plan = self._plans.pop(key, None)
        if plan is None:
            if len(self._plans) >= MOST_PLANS:
                del self._plans[next(iter(self._plans))]
            buffers = self._buffers((height_px, width_px), grid)
            plan = Plan(buffers, self.device.captured(lambda: self._prepare(buffers, scale_m)))
        self._plans[key] = plan
        return plan

    def upload(self, held: Buffers) -> None:
        """Send the picture and the depth that lie in the host's buffers."""
        self.device.upload([(held.color, held.color_host), (held.depth, held.depth_host)])

    def length(self, held: Buffers) -> int:
        """Return the bucket of the prepared frame, `DROPPED` for none; waits for the device."""
        if self._packing is TokenPacking.DROP:
            return DROPPED
        before = 1 + self.network.config.encoder.backbone.registers + held.grid.cells
        return tokens.bucket_length(int(held.keep.sum()), held.grid.cells, before)

    def kept(self, held: Buffers, length: int) -> DepthTokens:
        """Return the depth tokens that take part in the prepared frame."""
        return tokens.drop(held.keep) if length == DROPPED else tokens.pack(held.keep, length)

    def encode(self, held: Buffers, length: int) -> Tensor:
        """Return the feature map (1, C, h, w) of the prepared frame."""
        kept, dtype = self.kept(held, length), self.precision.dtype
        return self._encode(held.image, held.prepared, kept, held.tables, dtype)

    def decode(self, held: Buffers, features: Tensor) -> Logits:
        """Return the logits of a feature map."""
        return self._decode(features, held.tables, self.precision.dtype)

    def answer(self, held: Buffers, logits: Logits) -> tuple[Tensor, Tensor]:
        """Return depth (H, W) metres and mask (H, W) by the policy."""
        height_px, width_px = held.depth.shape
        size = (height_px, width_px)
        refined = postprocess.depth_of(logits, size, self.network.config.remap_depth_out)
        mask = postprocess.mask_of(logits, size)
        if refined is None:
            raise RefinerError("this network has no depth head")
        return self.policy.apply(refined[0], None if mask is None else mask[0], held.raw_m)

    # ---- private -----------------------------------------------------------------------------

    def _captured_run(self, held: Buffers, length: int) -> Callable[[], tuple[Tensor, Tensor]]:
        """Return the step from prepared buffers to depth and mask for one number of tokens."""

        def refine() -> tuple[Tensor, Tensor]:
            return self.answer(held, self.decode(held, self.encode(held, length)))

        return refine if length == DROPPED else self.device.captured(refine)

    def _buffers(self, size_px: tuple[int, int], grid: Grid) -> Buffers:
        host = self.device.host_buffer

        def buffer(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=self.device.where)

        return Buffers(
            tables=self.network.tables(grid, size_px[1] / size_px[0]),
            color=buffer(*size_px, 3, dtype=torch.uint8),
            depth=buffer(*size_px, dtype=torch.int16),
            color_host=host((*size_px, 3), torch.uint8),
            depth_host=host(size_px, torch.int16),
            refined_host=host(size_px, torch.float32),
            mask_host=host(size_px, torch.bool),
            image=buffer(1, 3, *grid.size_px),
            prepared=buffer(1, 1, *grid.size_px),
            keep=buffer(1, grid.cells, dtype=torch.bool),
            raw_m=buffer(*size_px),
        )

    def _prepare(self, held: Buffers, scale_m: float) -> None:
        """Fill the prepared buffers from picture and depth."""
        encoder, remap = self.network.encoder, self.network.config.remap_depth_in
        pixels = held.color.permute(2, 0, 1)[None]  # (1, 3, H, W)
        held.image.copy_(prepare_image(pixels, held.grid, encoder.image_mean, encoder.image_std))
        raw = held.depth.to(torch.int32) & 0xFFFF  # (H, W), the sign bit is a digit of uint16
        held.prepared.copy_(prepare_depth(raw[None, None], held.grid, remap, scale_m))
        held.keep.copy_(kept_patches(held.prepared, held.grid))
        held.raw_m.copy_(raw.float() * scale_m)
