"""The network's configuration, as checkpoints carry it, parsed and checked.

Everything in ``model_config`` comes from a file, so every value is checked before it is used; a
value that the network cannot be built from is a `WeightsError` that names it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lingbot_live.errors import WeightsError

log = logging.getLogger(__name__)

LEVELS = 5  # of every decoder stack; each doubles the size of the one before
UV_CHANNELS = 2
REGISTERS = 4
MOST_CHANNELS = 16_384  # a larger width is a damaged file, not a network
MOST_BLOCKS = 64

BACKBONES = {"vits": (384, 12), "vitb": (768, 12), "vitl": (1024, 24), "vitg": (1536, 40)}
SWIGLU_HIDDEN = 4096  # of vitg
NORMS = ("none", "layer_norm", "group_norm", "instance_norm")
ACTIVATIONS = ("relu", "leaky_relu", "silu", "elu")
RESAMPLERS = ("conv_transpose", "bilinear", "nearest", "pixel_shuffle")
WITHOUT_EFFECT = {"normal_head", "scale_head", "remap_output"}  # read upstream, never used


@dataclass(frozen=True, slots=True)
class BackboneConfig:
    """A DINOv2 vision transformer with 14-pixel patches and heads of 64 channels."""

    name: str
    width: int
    blocks: int
    hidden: int  # of the feed-forward branch
    gated: bool  # SwiGLU instead of GELU
    registers: int

    @classmethod
    def parse(cls, name: object) -> BackboneConfig:
        """Read a name such as ``dinov2_vitl14`` or ``dinov2_vits14_reg``."""
        match = re.fullmatch(r"dinov2_(vit[sblg])14(_reg)?|dinov2_(vitl)16", str(name))
        if match is None:
            known = ", ".join(f"dinov2_{size}14[_reg]" for size in BACKBONES)
            raise WeightsError(f"model_config: encoder.backbone is {name!r}; known: {known}")
        size = match[1] or match[3]  # vitl16 is vitl14 by another name: patches stay 14 pixels
        width, blocks = BACKBONES[size]
        gated = size == "vitg"
        hidden = SWIGLU_HIDDEN if gated else 4 * width
        return cls(str(name), width, blocks, hidden, gated, REGISTERS if match[2] else 0)


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """The backbone and which of its blocks are read out."""

    backbone: BackboneConfig
    taken: tuple[int, ...]  # block indices, ascending

    @classmethod
    def parse(cls, raw: object) -> EncoderConfig:
        """Read ``model_config["encoder"]``."""
        values = _mapping(raw, "encoder")
        backbone = BackboneConfig.parse(values.get("backbone"))
        fixed = {
            "in_chans": 3,
            "img_depth_fuse_mode": "cat_token",
            "depth_emb_mode": "conv_1c",
            "img_mask_ratio": 0,
            "dim_out": backbone.width,  # the class token is added to the projections
        }
        for key, only in fixed.items():
            if values.get(key, only) != only:
                raise WeightsError(
                    f"model_config: encoder.{key} is {values[key]!r}; only {only!r} is known "
                    f"with {backbone.name}"
                )
        return cls(backbone, _taken(values.get("intermediate_layers"), backbone.blocks))


def _taken(raw: object, blocks: int) -> tuple[int, ...]:
    indices = range(blocks - raw, blocks) if isinstance(raw, int) else raw
    fine = (
        isinstance(indices, (list, tuple, range))
        and 0 < len(indices) <= blocks
        and all(type(i) is int and 0 <= i < blocks for i in indices)
        and len(set(indices)) == len(indices)
    )
    if not fine or isinstance(raw, bool):
        raise WeightsError(
            f"model_config: encoder.intermediate_layers is {raw!r}; it must be a number of blocks "
            f"from 1 to {blocks} or a list of different indices from 0 to {blocks - 1}"
        )
    assert isinstance(indices, (list, tuple, range))
    return tuple(sorted(indices))


@dataclass(frozen=True, slots=True)
class StackConfig:
    """A decoder stack (neck or head) of five levels."""

    dim_in: tuple[int | None, ...]  # None: no convolution at this entry
    dim_res: tuple[int, ...]
    dim_out: tuple[int | None, ...]
    resamplers: tuple[str, ...]  # four, between the levels
    num_res_blocks: tuple[int, ...]
    hidden_factor: int
    in_norm: str
    hidden_norm: str
    activation: str

    @property
    def outputs(self) -> tuple[int, ...]:
        """Channels of the five outputs."""
        return tuple(o or r for o, r in zip(self.dim_out, self.dim_res, strict=True))

    @classmethod
    def parse(cls, raw: object, name: str, inputs: tuple[int, ...]) -> StackConfig:
        """Read a stack that is fed maps of ``inputs`` channels."""
        values = _mapping(raw, name)
        widths = range(1, MOST_CHANNELS + 1)
        stack = cls(
            dim_in=_numbers(values, name, "dim_in", widths, optional=True),
            dim_res=_required(_numbers(values, name, "dim_res_blocks", widths)),
            dim_out=_numbers(values, name, "dim_out", widths, optional=True),
            resamplers=_resamplers(values, name),
            num_res_blocks=_required(
                _numbers(values, name, "num_res_blocks", range(MOST_BLOCKS + 1), default=1)
            ),
            hidden_factor=_hidden_factor(values, name),
            in_norm=_norm(values, name, "res_block_in_norm", "layer_norm"),
            hidden_norm=_norm(values, name, "res_block_hidden_norm", "group_norm"),
            activation=_choice(values, name, "activation", ACTIVATIONS, "relu"),
        )
        stack._check(name, inputs)
        return stack

    def _check(self, name: str, inputs: tuple[int, ...]) -> None:
        for i, (got, asked, res) in enumerate(zip(inputs, self.dim_in, self.dim_res, strict=True)):
            if got != (asked or res):
                raise WeightsError(
                    f"model_config: {name}.dim_in[{i}] asks for {asked or res} channels, but its "
                    f"input has {got}"
                )
        for i, (res, count) in enumerate(zip(self.dim_res, self.num_res_blocks, strict=True)):
            hidden = self.hidden_factor * res
            for norm, channels in ((self.in_norm, res), (self.hidden_norm, hidden)):
                groups = channels // 32
                if count and norm == "group_norm" and (groups == 0 or channels % groups):
                    raise WeightsError(
                        f"model_config: {name}: level {i} has {channels} channels, which "
                        "group_norm cannot split into groups of about 32"
                    )


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """All that is needed to build the network."""

    encoder: EncoderConfig
    neck: StackConfig
    depth_head: StackConfig | None
    mask_head: StackConfig | None
    remap_depth_in: str  # log or linear
    remap_depth_out: str  # exp or linear
    num_tokens_range: tuple[int, int]  # at resolution levels 0 and 9

    def tokens_at(self, level: float) -> int:
        """Return the number of tokens of a resolution level, meant from 0 to 9."""
        least, most = self.num_tokens_range
        return int(least + level / 9 * (most - least))

    @classmethod
    def parse(cls, raw: object) -> ModelConfig:
        """Read ``model_config`` of a checkpoint.

        Raises:
            WeightsError: no network can be built from it; the message names the value.
        """
        values = _mapping(raw, "")
        known = {*cls.__slots__, *WITHOUT_EFFECT}
        for key in sorted(str(k) for k in values if k not in known):
            log.warning("model_config: unknown key %r is ignored", key)
        encoder = EncoderConfig.parse(values.get("encoder"))
        uv = (UV_CHANNELS,) * (LEVELS - 1)
        neck = StackConfig.parse(
            values.get("neck"), "neck", (encoder.backbone.width + UV_CHANNELS, *uv)
        )
        return cls(
            encoder=encoder,
            neck=neck,
            depth_head=_head(values, "depth_head", neck),
            mask_head=_head(values, "mask_head", neck),
            remap_depth_in=_choice(values, "", "remap_depth_in", ("log", "linear"), "log"),
            remap_depth_out=_choice(values, "", "remap_depth_out", ("exp", "linear"), "exp"),
            num_tokens_range=_tokens_range(values.get("num_tokens_range", (1200, 3600))),
        )


def _head(values: Mapping[str, Any], name: str, neck: StackConfig) -> StackConfig | None:
    if values.get(name) is None:
        return None
    head = StackConfig.parse(values[name], name, neck.outputs)
    if head.outputs[-1] != 1:
        raise WeightsError(f"model_config: {name}.dim_out[4] is {head.outputs[-1]}, not 1")
    return head


def _mapping(raw: object, name: str) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        where = f"model_config: {name}" if name else "model_config"
        raise WeightsError(f"{where} is {type(raw).__name__}, not a dictionary")
    return raw


def _numbers(
    values: Mapping[str, Any],
    name: str,
    key: str,
    allowed: range,
    *,
    optional: bool = False,
    default: int | None = None,
) -> tuple[int | None, ...]:
    raw = values.get(key, default)
    numbers = tuple(raw) if isinstance(raw, (list, tuple)) else (raw,) * LEVELS
    fine = len(numbers) == LEVELS and all(
        (type(n) is int and n in allowed) or (n is None and optional) for n in numbers
    )
    if not fine:
        raise WeightsError(
            f"model_config: {name}.{key} is {raw!r}; it must be {LEVELS} whole numbers from "
            f"{allowed[0]} to {allowed[-1]}{', or None' if optional else ''}"
        )
    return numbers


def _required(numbers: tuple[int | None, ...]) -> tuple[int, ...]:
    return tuple(n for n in numbers if n is not None)


def _hidden_factor(values: Mapping[str, Any], name: str) -> int:
    return _required(_numbers(values, name, "dim_times_res_block_hidden", range(1, 17), default=1))[
        0
    ]


def _choice(
    values: Mapping[str, Any], name: str, key: str, known: tuple[str, ...], default: str
) -> str:
    value = values.get(key, default)
    if not isinstance(value, str) or value not in known:
        where = f"{name}.{key}" if name else key
        raise WeightsError(f"model_config: {where} is {value!r}; known: {', '.join(known)}")
    return value


def _norm(values: Mapping[str, Any], name: str, key: str, default: str) -> str:
    value = values.get(key, default)
    if value not in NORMS:
        log.warning("model_config: %s.%s %r is unknown and means no norm", name, key, value)
        return "none"
    return str(value)


def _resamplers(values: Mapping[str, Any], name: str) -> tuple[str, ...]:
    raw = values.get("resamplers")
    kinds = tuple(raw) if isinstance(raw, (list, tuple)) else ()
    if len(kinds) != LEVELS - 1 or any(kind not in RESAMPLERS for kind in kinds):
        raise WeightsError(
            f"model_config: {name}.resamplers is {raw!r}; it must be a list of {LEVELS - 1} out "
            f"of {', '.join(RESAMPLERS)}"
        )
    return kinds


def _tokens_range(raw: object) -> tuple[int, int]:
    if isinstance(raw, (list, tuple)) and len(raw) == 2:
        low, high = raw
        if all(isinstance(n, (int, float)) for n in raw) and 1 <= low <= high <= 1_000_000:
            return low, high
    raise WeightsError(
        f"model_config: num_tokens_range is {raw!r}; it must be two numbers, 1 <= least <= most"
    )
