"""How fast the full-size network runs on this CPU, beside its peers.

All are run in turns on one thread, and the least processor time of each counts, since other
programs may be running. The weights are made up (speed does not depend on them).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from bench.textbook import Textbook
from lingbot_live.model import LingBotDepth
from lingbot_live.model.model_config import ModelConfig
from lingbot_live.model.preprocess import token_grid

Row = tuple[str, float, str, float]  # what, ours in ms, peer, peer in ms

TOKENS = 300
SIZE_PX = (480, 640)
ROUNDS = 3
DIMS = [1024, 256, 128, 64, 32]
UPSAMPLERS = ["conv_transpose", "conv_transpose", "conv_transpose", "bilinear"]


def release_config() -> ModelConfig:
    """The published network's layout."""
    common = {
        "dim_res_blocks": DIMS,
        "resamplers": UPSAMPLERS,
        "res_block_in_norm": "none",
        "res_block_hidden_norm": "none",
    }
    head = {"dim_in": DIMS, "dim_out": [None] * 4 + [1], "num_res_blocks": [0, 1, 1, 1, 0]}
    neck = {"dim_in": [1026, 2, 2, 2, 2], "dim_out": None, "num_res_blocks": [0, 2, 2, 2, 0]}
    return ModelConfig.parse(
        {
            "encoder": {"backbone": "dinov2_vitl14", "intermediate_layers": 1, "dim_out": 1024},
            "neck": common | neck,
            "depth_head": common | head,
            "mask_head": common | head,
        }
    )


def made_up(config: ModelConfig) -> LingBotDepth:
    """The network with random weights."""
    torch.manual_seed(0)
    with torch.device("meta"):
        network = LingBotDepth(config)
    weights = {
        name: torch.randn(like.shape) * 0.02 + name.endswith(("gamma", "std"))
        for name, like in network.state_dict().items()
    }
    network.load_state_dict(weights, assign=True)
    return network.to(memory_format=torch.channels_last).requires_grad_(False).eval()


def best_ms(rounds: int, *calls: Callable[[], object]) -> list[float]:
    """The shortest processor time of each call, taken in turns."""
    best = [float("inf")] * len(calls)
    for _ in range(rounds):
        for i, call in enumerate(calls):
            started = time.process_time()
            call()
            best[i] = min(best[i], (time.process_time() - started) * 1e3)
    return best


def network_flop(network: LingBotDepth) -> float:
    """Operations of one frame with all depth kept, 2 per multiply-add."""
    backbone = network.config.encoder.backbone
    grid = token_grid(SIZE_PX[1], SIZE_PX[0], TOKENS)
    tokens = 1 + 2 * grid.cells
    linear = 24 * backbone.width**2 * backbone.blocks * tokens
    attention = 4 * tokens**2 * backbone.width * backbone.blocks
    features = torch.zeros(1, backbone.width, *grid)
    with torch.inference_mode(), FlopCounterMode(display=False) as decoder:
        network.decode(features, network.tables(grid, SIZE_PX[1] / SIZE_PX[0]), torch.float32)
    return linear + attention + decoder.get_total_flops()


def run() -> list[Row]:
    """Rows ``(what, ours_ms, peer, peer_ms)``."""
    config = release_config()
    ours = made_up(config)
    with torch.device("meta"):
        peer = Textbook(config)
    peer.load_state_dict(ours.state_dict(), assign=True)
    image, depth = torch.rand(1, 3, *SIZE_PX), torch.rand(1, *SIZE_PX) * 5 + 0.5
    tokens = torch.randn(1 + 2 * token_grid(SIZE_PX[1], SIZE_PX[0], TOKENS).cells, 1024)
    fc1 = torch.randn(4096, 1024)

    def refine() -> object:
        return ours.infer(image, depth, num_tokens=TOKENS, use_fp16=False)

    def refine_plainly() -> object:
        return peer.infer(image, depth, TOKENS)

    def multiply() -> object:
        return [F.linear(tokens, fc1) for _ in range(20)]

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several wait for each other, busily, where others use the cores
    with torch.inference_mode():
        ours_ms, peer_ms, products_ms = best_ms(ROUNDS, refine, refine_plainly, multiply)
    torch.set_num_threads(threads)
    product_flop = 20 * 2 * tokens.shape[0] * fc1.numel()
    same_work_ms = products_ms * network_flop(ours) / product_flop
    what = f"network, ViT-L, {TOKENS} tokens, 640x480, fp32"
    return [
        (what, ours_ms, "plain textbook module", peer_ms),
        (what, ours_ms, "the same work at the rate of torch's own matmul", same_work_ms),
    ]


def main() -> None:
    for what, ours_ms, peer, peer_ms in run():
        print(f"{what}: {ours_ms:.0f} ms; {peer}: {peer_ms:.0f} ms ({peer_ms / ours_ms:.0%})")


if __name__ == "__main__":
    main()
