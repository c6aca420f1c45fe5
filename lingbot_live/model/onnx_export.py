"""LingBot-Depth as an ONNX file: one grid of tokens, all depth tokens, a mask of the real ones.

What is fixed makes it exact: a hidden depth token has no part in attention, so that the sequence of
fixed length gives what the network gives without it. Resizing to the network's size and back stays
with PyTorch, the same steps for every runtime. What is written is compared before it is kept.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lingbot_live.errors import ConfigError, RefinerError
from lingbot_live.model.checkpoint import read_checkpoint
from lingbot_live.model.network import GridTables, LingBotDepth
from lingbot_live.model.postprocess import Logits
from lingbot_live.model.precision import Precision
from lingbot_live.model.preprocess import Grid, token_grid
from lingbot_live.model.tokens import DepthTokens
from lingbot_live.model.weights.files import whole_file

FORMAT = 1
KEY = "lingbot_live"  # of our words in the file's metadata
INSTALL = 'pip install "lingbot-live[onnx]"'
INPUTS, OUTPUTS = ("image", "depth", "keep"), ("depth_logit", "mask_logit")
EXACT, HALF = 1e-4, 5e-3  # most difference in depth, relative: of all pixels; of 99.9 % in fp16
LARGEST = (2 << 30) - (64 << 20)  # bytes of weights; a protobuf holds no more than 2 GiB
_NEAR_M = 0.05  # nearer than this the difference counts as if it were as far


@dataclass(frozen=True, slots=True)
class Written:
    """What was exported, and how far it is from PyTorch."""

    path: Path
    grid: Grid
    size_px: tuple[int, int]  # (width, height) of pictures; others of this aspect fit, too
    difference: float  # of depth, relative; the most, in fp16 of 99.9 % of the pixels


class FixedNetwork(nn.Module):
    """The network with one grid, as a function of tensors alone."""

    def __init__(self, network: LingBotDepth, tables: GridTables, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.tables, self.dtype = network, tables, dtype
        self.index = torch.arange(tables.grid.cells)[None]  # (1, P)

    def forward(self, image: Tensor, depth: Tensor, keep: Tensor) -> tuple[Tensor, ...]:
        """Return the logits that the network has, each (1, 1, 16h, 16w).

        Args:
            image: (1, 3, 14h, 14w) of `preprocess.prepare_image`.
            depth: (1, 1, 14h, 14w) of `preprocess.prepare_depth`.
            keep: (1, P) bool of `preprocess.kept_patches`.
        """
        kept = DepthTokens(self.index, keep)
        logits: Logits = self.network(image, depth, kept, self.tables, self.dtype)
        return tuple(x for x in (logits.depth, logits.mask) if x is not None)


def export(
    source: Path,
    target: Path,
    num_tokens: int,
    size_px: tuple[int, int] = (640, 480),
    precision: Precision = Precision.FP32,
) -> Written:
    """Write a checkpoint as ONNX for pictures of a size (width, height), and compare it.

    Raises:
        WeightsError: the checkpoint is damaged.
        ConfigError: what the export needs is not installed.
        RefinerError: the network cannot be exported, or does not give the same; says why. No file
            is left then.
    """
    check_installed("onnx", "onnxscript", "onnxruntime")
    network = LingBotDepth.load(source)
    if network.depth_head is None:
        raise RefinerError(f"{source}: this network has no depth head, so it refines nothing")
    grid = token_grid(*size_px, num_tokens)
    fixed = _fixed(network, grid, size_px, precision)
    _check_size(source, fixed)
    about = _about(source, network, grid, size_px, precision)
    with whole_file(target) as temporary:
        _write(fixed, temporary, about)
        difference = _difference(fixed, temporary, network.config.remap_depth_out, precision)
        most = EXACT if precision is Precision.FP32 else HALF
        if not difference <= most:
            raise RefinerError(
                f"{source}: through onnxruntime depth differs by {difference:.1e}, more than "
                f"{most:g}; the file was not kept. Choose another precision"
            )
    return Written(target, grid, size_px, difference)


def check_installed(*modules: str) -> None:
    """Raise ConfigError unless all modules are installed."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise ConfigError(f"ONNX needs {module}, which is not installed. Run: {INSTALL}")


def sample(grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
    """Return a made-up picture, depth with holes and the patches kept, as the network takes them.

    The left third of the patches holds no depth.
    """
    noise = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, *grid.size_px, generator=noise)
    ramp = torch.linspace(0.3, 6.0, grid.size_px[1]).log()
    depth = ramp.expand(1, 1, *grid.size_px).clone()
    keep = torch.ones(1, grid.rows, grid.columns, dtype=torch.bool)
    keep[..., : grid.columns // 3] = False
    depth[..., : 14 * (grid.columns // 3)] = 0
    return image, depth, keep.flatten(1)


def apart(ours: npt.NDArray[Any], reference: npt.NDArray[Any], share: float = 1.0) -> float:
    """Return the difference of depth, relative, that ``share`` of the pixels keeps to."""
    scale = np.maximum(np.abs(reference), _NEAR_M)
    return float(np.quantile(np.abs(ours - reference) / scale, share))


# ---- private ---------------------------------------------------------------------------------


def _fixed(
    network: LingBotDepth, grid: Grid, size_px: tuple[int, int], precision: Precision
) -> FixedNetwork:
    tables = network.tables(grid, size_px[0] / size_px[1])
    return FixedNetwork(network.store(precision), tables, precision.dtype).eval()


def _check_size(source: Path, fixed: FixedNetwork) -> None:
    size = sum(tensor.numel() * tensor.element_size() for tensor in fixed.state_dict().values())
    if size > LARGEST:
        raise RefinerError(
            f"{source}: its weights take {size / 1e9:.1f} GB, and one ONNX file holds at most "
            "2 GB; try --fp16"
        )


def _about(
    source: Path, network: LingBotDepth, grid: Grid, size_px: tuple[int, int], precision: Precision
) -> dict[str, Any]:
    encoder = network.encoder
    return {
        "format": FORMAT,
        "grid": list(grid),
        "aspect": size_px[0] / size_px[1],
        "size_px": list(size_px),
        "precision": precision.value,
        "image_mean": encoder.image_mean.flatten().tolist(),
        "image_std": encoder.image_std.flatten().tolist(),
        "model": f"{source.absolute().parent.name}/{source.name}",
        "model_config": read_checkpoint(source).config,
    }


@torch.no_grad()
def _write(fixed: FixedNetwork, path: Path, about: dict[str, Any]) -> None:
    outputs = OUTPUTS if fixed.network.mask_head is not None else OUTPUTS[:1]
    example = sample(fixed.tables.grid)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        try:
            program = torch.onnx.export(
                fixed, example, dynamo=True, external_data=False, verbose=False,
                input_names=INPUTS, output_names=outputs,
            )  # fmt: skip
        except Exception as error:  # of kinds of its own, a page long
            reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
            raise RefinerError(f"this network cannot be written as ONNX: {reason[0]}") from error
    if program is None:
        raise RefinerError("this network cannot be written as ONNX")
    program.model.metadata_props[KEY] = json.dumps(about)
    program.save(path)


@torch.no_grad()
def _difference(fixed: FixedNetwork, path: Path, remap: str, precision: Precision) -> float:
    from lingbot_live.model.onnx_run import OnnxSession

    inputs = sample(fixed.tables.grid)
    logits = fixed(*inputs)[0], OnnxSession(path, "cpu").run(*inputs).depth
    reference, ours = (
        torch.as_tensor(x).float().exp() if remap == "exp" else torch.as_tensor(x).float()
        for x in logits
    )
    share = 1.0 if precision is Precision.FP32 else 0.999
    return apart(ours.numpy(), reference.numpy(), share)
