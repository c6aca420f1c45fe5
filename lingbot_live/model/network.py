"""LingBot-Depth: from a picture and its sensor depth to refined depth.

    model = LingBotDepth.from_pretrained("model.pt")
    out = model.infer(image, depth_in=depth_m)   # (B, 3, H, W) 0 to 1, (B, H, W) metres
    out["depth"], out["mask"]                    # (B, H, W) metres, (B, H, W) bool

`LingBotDepth.infer` is the whole way for one call. A live runtime walks it in steps, to keep shapes
and buffers: `preprocess`, `tokens`, `LingBotDepth.tables`, `LingBotDepth.forward`, `postprocess`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy.typing as npt
import torch
from torch import Tensor, nn

from lingbot_live.model import postprocess, tokens
from lingbot_live.model.asked import Given, Request
from lingbot_live.model.attention import attended, chosen_layers, query_cells
from lingbot_live.model.checkpoint import Loadable, load_weights
from lingbot_live.model.decoder import FP32_LEVELS, ConvStack, uv_maps
from lingbot_live.model.encoder import Encoder
from lingbot_live.model.layers import Conv2d, ConvTranspose2x2, Linear
from lingbot_live.model.model_config import ModelConfig
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
from lingbot_live.refiners.attended import Attended

MOST_TABLES = 8  # grids whose tables are kept


@dataclass(frozen=True, slots=True, eq=False)
class GridTables:
    """What depends on the grid and the picture's aspect alone; keep it as long as a CUDA graph."""

    grid: Grid
    position: Tensor  # (1, P, C) fp32
    uv: tuple[Tensor, ...]  # five of (1, 2, h * 2**i, w * 2**i) fp32


class LingBotDepth(Loadable):
    """The network; its parameters have the names of the published state dict."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder)
        self.neck = ConvStack(config.neck)
        self.depth_head = ConvStack(config.depth_head) if config.depth_head else None
        self.mask_head = ConvStack(config.mask_head) if config.mask_head else None
        self._tables: dict[tuple[Grid, float, torch.device], GridTables] = {}

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        precision: Precision = Precision.FP32,
        device: str | torch.device = "cpu",
    ) -> LingBotDepth:
        """Load a checkpoint: a ``.pt`` or ``.safetensors`` file, a folder with one, or a hub name.

        The weights are stored in ``precision``; `infer` may still compute in another. On the CPU
        in the file's own precision they stay mapped from the file, so they are held once.

        Raises:
            WeightsError: there is none, or it is damaged, or it does not fit; says which and why.
        """
        from lingbot_live.model.weights.trusted import trusted

        return cls.load(trusted(str(name_or_path)), precision, torch.device(device))

    @classmethod
    def load(
        cls, path: Path, precision: Precision = Precision.FP32, device: torch.device | None = None
    ) -> LingBotDepth:
        """As `from_pretrained`, of a file."""
        return load_weights(cls, path, precision, device)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.encoder.image_mean.device

    def matrix_layers(self) -> Iterator[nn.Module]:
        """Yield the layers that compute in the precision asked for; all others stay fp32."""
        parts = [*self.encoder.backbone.blocks, *self.encoder.output_projections]
        for stack in (self.neck, self.depth_head, self.mask_head):
            for blocks in stack.children() if stack is not None else ():
                assert isinstance(blocks, nn.ModuleList)
                parts += list(blocks)[:-FP32_LEVELS]
        for part in parts:
            for module in part.modules():
                if isinstance(module, (Linear, Conv2d, ConvTranspose2x2)):
                    yield module

    def fp32_names(self) -> set[str]:
        """Return the names in the state dict that stay fp32 in every precision."""
        rounded = {id(p) for layer in self.matrix_layers() for p in layer.parameters()}
        state = self.state_dict(keep_vars=True)
        return {name for name, value in state.items() if id(value) not in rounded}

    def store(self, precision: Precision) -> LingBotDepth:
        """Round the stored weights of `matrix_layers`, so that no call has to; return self."""
        for layer in self.matrix_layers():
            layer.to(precision.dtype)
        return self

    def tables(self, grid: Grid, aspect: float) -> GridTables:
        """Return the tables of a grid for pictures of an aspect (width by height); cached."""
        key = (grid, aspect, self.device)
        if key not in self._tables:
            if len(self._tables) >= MOST_TABLES:
                self._tables.pop(next(iter(self._tables)))
            uv = uv_maps(grid, aspect, self.device)
            self._tables[key] = GridTables(grid, self.encoder.positions(grid), uv)
        return self._tables[key]

    def encode(
        self,
        image: Tensor,
        depth: Tensor | None,
        kept: DepthTokens | None,
        tables: GridTables,
        dtype: torch.dtype,
    ) -> Tensor:
        """Return the feature map (B, C, h, w) fp32; arguments as of `forward`."""
        features: Tensor = self.encoder(image, depth, kept, tables.position, dtype)
        return features

    def decode(self, features: Tensor, tables: GridTables, dtype: torch.dtype) -> Logits:
        """Return the logits of a feature map (B, C, h, w)."""
        uv = [table.expand(len(features), -1, -1, -1) for table in tables.uv]  # (B, 2, ...)
        maps = self.neck([torch.cat([features, uv[0]], dim=1), *uv[1:]], dtype)
        heads = (self.depth_head, self.mask_head)
        depth, mask = (head(maps, dtype)[-1] if head else None for head in heads)
        return Logits(depth, mask)

    def forward(
        self,
        image: Tensor,
        depth: Tensor | None,
        kept: DepthTokens | None,
        tables: GridTables,
        dtype: torch.dtype = torch.float32,
    ) -> Logits:
        """Run the network; no step waits for the device.

        Args:
            image: (B, 3, 14h, 14w) of `preprocess.prepare_image`.
            depth: (B, 1, 14h, 14w) of `preprocess.prepare_depth`, or None for a picture alone.
            kept: which depth tokens take part; None with ``depth``.
            tables: of the grid (h, w), from `tables`.
            dtype: of matrix products, of `Precision.dtype`.
        """
        return self.decode(self.encode(image, depth, kept, tables, dtype), tables, dtype)

    @torch.inference_mode()
    def infer(
        self,
        image: Given,
        depth_in: Given | None = None,
        num_tokens: int | None = None,
        resolution_level: float = 9,
        apply_mask: bool = True,
        use_fp16: bool = True,
        intrinsics: Given | None = None,
        enable_depth_mask: bool = True,
        *,
        packing: TokenPacking = TokenPacking.DROP,
    ) -> dict[str, Tensor]:
        """Refine depth; inputs are left as they are and moved to the model's device.

        Tensors, or NumPy arrays of the same shapes and types; the results are tensors.

        Args:
            image: (B, 3, H, W) or (3, H, W) RGB, float from 0 to 1 or uint8 from 0 to 255.
            depth_in: metres, float, (B, H', W'), (B, 1, H', W'), or for one picture (H', W'); its
                size may differ from the picture's. Zero, negative, inf and nan mean no measurement.
                None leaves depth out altogether: the network then estimates it from the picture.
            num_tokens: about how many picture tokens; more are finer and slower.
            resolution_level: 0 to 9 over the model's own range of tokens, unless ``num_tokens``.
            apply_mask: make depth and points inf where the network does not vouch for them.
            use_fp16: compute in true fp16 with the fp32 parts of `Precision`, on any device; on a
                CPU that is exact but slower than fp32.
            intrinsics: (B, 3, 3) or (3, 3), row 0 divided by W and row 1 by H; asks for points.
            enable_depth_mask: leave out tokens of patches without depth; False keeps them all.
            packing: how they are left out; the result is the same.

        Returns:
            ``depth`` (B, H, W) fp32 metres, ``mask`` (B, H, W) bool, ``points`` (B, H, W, 3) fp32
            metres, as far as the model has such heads and intrinsics are given; without the axis B
            where the picture had none.

        Raises:
            ValueError: an argument does not fit, or can only be meant in other units: a float
                picture above 1, a median depth above 100 m, intrinsics in pixels, not finite, or
                without a focal length; says which and what is needed.
        """
        request = Request.of(image, depth_in, intrinsics)
        if request.intrinsics is not None and self.depth_head is None:
            raise ValueError("intrinsics: this model has no depth head, so it gives no points")
        grid = token_grid(
            request.width_px, request.height_px, self._tokens(num_tokens, resolution_level)
        )
        precision = Precision.FP16 if use_fp16 else Precision.FP32
        logits = self._logits(
            request.to(self.device), grid, enable_depth_mask, packing, precision.dtype
        )
        return self._results(logits, request, apply_mask)

    @torch.inference_mode()
    def attention(
        self,
        image: Given,
        depth: Given,
        queries: npt.ArrayLike,
        layers: Sequence[int] | None = None,
        *,
        num_tokens: int | None = None,
        resolution_level: float = 9,
        rollout: bool = False,
        neighbours: bool = False,
    ) -> Attended:
        """Return what the depth tokens at ``queries`` attend to; computed in fp32.

        Args:
            image: (3, H, W) RGB, as for `infer`.
            depth: (H', W') metres, as for `infer`.
            queries: (Q, 2) pixels of the picture, u and v.
            layers: blocks to read, from 0; negative ones from the end; None reads all that run.
            num_tokens: as for `infer`.
            resolution_level: as for `infer`.
            rollout: also follow attention through all blocks at once, which takes seconds on a CPU.
            neighbours: where a query lies in a hole of the depth, ask the tokens around that too.

        Raises:
            ValueError: an argument does not fit, as for `infer`; a query lies outside the picture;
                a layer is not there.
        """
        request = Request.of(image, depth, None)
        if not request.single or request.depth is None:
            raise ValueError("attention: one picture (3, H, W) with its depth (H, W) is needed")
        request = request.to(self.device)
        size_px = (request.height_px, request.width_px)
        grid = token_grid(*size_px[::-1], self._tokens(num_tokens, resolution_level))
        cells = query_cells(queries, size_px, grid)
        chosen = chosen_layers(layers, self.config.encoder.taken[-1] + 1)
        tables = self.tables(grid, request.width_px / request.height_px)
        mean, std = self.encoder.image_mean, self.encoder.image_std
        picture = prepare_image(request.image, grid, mean, std)  # (1, 3, 14h, 14w)
        deep = prepare_depth(cast(Tensor, request.depth), grid, self.config.remap_depth_in)
        keep = kept_patches(deep, grid)  # (1, P)
        return attended(
            self, picture, deep, keep, tables, cells, chosen,
            rollout=rollout, neighbours=neighbours,
        )  # fmt: skip

    def _tokens(self, num_tokens: int | None, level: float) -> int:
        if num_tokens is None:
            num_tokens = self.config.tokens_at(level)
        if num_tokens < 1:
            raise ValueError(
                f"num_tokens: {num_tokens} (resolution level {level}) must be positive"
            )
        return num_tokens

    def _logits(
        self,
        request: Request,
        grid: Grid,
        leave_out: bool,
        packing: TokenPacking,
        dtype: torch.dtype,
    ) -> Logits:
        tables = self.tables(grid, request.width_px / request.height_px)
        image = prepare_image(
            request.image, grid, self.encoder.image_mean, self.encoder.image_std
        )  # (B, 3, 14h, 14w)
        if request.depth is None:
            return self.forward(image, None, None, tables, dtype)
        depth = prepare_depth(request.depth, grid, self.config.remap_depth_in)  # (B, 1, 14h, 14w)
        keep = kept_patches(depth, grid) | (not leave_out)  # (B, P)
        if packing is TokenPacking.BUCKET:
            before = 1 + self.config.encoder.backbone.registers + grid.cells
            length = tokens.bucket_length(int(keep.sum(1).max()), grid.cells, before)
            return self.forward(image, depth, tokens.pack(keep, length), tables, dtype)
        features = [  # one at a time: sequences differ in length
            self.encode(
                image[b : b + 1], depth[b : b + 1], tokens.drop(keep[b : b + 1]), tables, dtype
            )
            for b in range(len(image))
        ]
        return self.decode(torch.cat(features), tables, dtype)

    def _results(self, logits: Logits, request: Request, apply_mask: bool) -> dict[str, Tensor]:
        size_px = (request.height_px, request.width_px)
        depth = postprocess.depth_of(logits, size_px, self.config.remap_depth_out)
        mask = postprocess.mask_of(logits, size_px)
        points = None
        if depth is not None and request.intrinsics is not None:
            points = postprocess.points_of(depth, request.intrinsics)
        if apply_mask and mask is not None:
            depth = None if depth is None else depth.where(mask, torch.inf)
            points = None if points is None else points.where(mask[..., None], torch.inf)
        found = {"depth": depth, "mask": mask, "points": points}
        return {k: v[0] if request.single else v for k, v in found.items() if v is not None}
