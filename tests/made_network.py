"""A small made-up LingBot-Depth checkpoint: a real layout with weights that take no room.

Every tensor is a window of one of three short storages, as a checkpoint may have them, so that the
file of a 22-million-parameter network has 7 MB. Only the first two blocks are read out, so that it
runs fast.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from lingbot_live.model import LingBotDepth
from lingbot_live.model.model_config import ModelConfig

DIMS = [32] * 5
STACK = {
    "dim_res_blocks": DIMS,
    "resamplers": ["conv_transpose", "conv_transpose", "conv_transpose", "bilinear"],
    "res_block_in_norm": "none",
    "res_block_hidden_norm": "none",
}
HEAD = {**STACK, "dim_in": DIMS, "dim_out": [None] * 4 + [1], "num_res_blocks": [0, 1, 0, 0, 0]}


def made_config(**changes: Any) -> dict[str, Any]:
    """A ``model_config`` as checkpoints have it."""
    config = {
        "encoder": {"backbone": "dinov2_vits14", "intermediate_layers": [0, 1], "dim_out": 384},
        "neck": {**STACK, "dim_in": [386, 2, 2, 2, 2], "dim_out": None, "num_res_blocks": 0},
        "depth_head": HEAD,
        "mask_head": HEAD,
        "num_tokens_range": [40, 120],
    }
    return config | changes


def made_weights(config: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Weights of a size at which every part of the network matters."""
    with torch.device("meta"):
        needed = LingBotDepth(ModelConfig.parse(config)).state_dict()
    generator = torch.Generator().manual_seed(0)
    pool = torch.randn(max(like.numel() for like in needed.values()), generator=generator)
    pools = {spread: spread[0] + spread[1] * pool for spread in SPREADS}
    weights = {}
    for name, like in needed.items():
        start = int(torch.randint(pool.numel() - like.numel() + 1, (), generator=generator))
        window = pools[_spread(name, like)][start : start + like.numel()]
        weights[name] = window.view(like.shape)
    return weights


SPREADS = ((1.0, 0.1), (0.0, 0.04), (0.0, 0.2))  # mean and deviation


def _spread(name: str, like: torch.Tensor) -> tuple[float, float]:
    if name.endswith(("norm1.weight", "norm2.weight", "norm.weight", "gamma", "image_std")):
        return SPREADS[0]
    return SPREADS[1 if name.endswith("weight") and like[0].numel() > 100 else 2]


def save_made(path: Path, **changes: Any) -> Path:
    """Write the checkpoint in the published format."""
    config = made_config(**changes)
    torch.save({"model_config": config, "model": made_weights(config)}, path)
    return path
