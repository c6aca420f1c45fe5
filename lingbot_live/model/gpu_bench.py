"""How fast and how right LingBot-Depth runs on this machine's device: ``lingbot-live bench``.

The stages are those of `Engine.run`, each captured and timed alone; a frame is the whole of it. The
peak is what this device reaches at one large matrix product in the same run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from lingbot_live.frame import ColorImage, DepthMap, Extrinsics, Intrinsics, RawDepth
from lingbot_live.model.device import CpuDevice, Device
from lingbot_live.model.encoder import can_skip_hidden
from lingbot_live.model.engine import DROPPED, Buffers, Engine, OutputPolicy
from lingbot_live.model.model_config import ModelConfig
from lingbot_live.model.network import LingBotDepth
from lingbot_live.model.precision import Precision
from lingbot_live.model.tokens import DepthTokens, TokenPacking
from lingbot_live.model.torch_registration import TorchRegistration
from lingbot_live.model.weights import store
from lingbot_live.model.weights.trusted import trusted
from lingbot_live.registration import Registration

T = TypeVar("T")

SIZE_PX = (480, 640)
SCALE_M = 0.001
GPU_TOKENS = (300, 600, 1200, 1800, 2400, 3600)
CPU_TOKENS = (48, 108)
LIVE_TOKENS = 1200
CHECK_TOKENS = 108  # of what is compared with the CPU
WARM_FRAMES, CHECK_FRAMES = 10, 200

_UNMASKED = OutputPolicy(apply_mask=False)  # made-up weights may mask all


@dataclass(frozen=True, slots=True)
class Timing:
    """Median milliseconds at one number of tokens."""

    tokens: int
    kept: int  # depth tokens with a measurement
    upload_ms: float
    prepare_ms: float
    encoder_ms: float
    decoder_ms: float
    download_ms: float  # with the output policy
    frame_ms: float  # all of it, by the clock
    peak_share: float  # of the measured matrix product's rate, by encoder and decoder


def engine_for(model: str | None, device: Device, precision: Precision) -> tuple[Engine, str]:
    """Return an engine on a model, or on made-up weights where none is named or here.

    Raises:
        WeightsError: the named model is not here or damaged.
    """
    packing = TokenPacking.BUCKET  # on a CPU too, so that what a GPU does is tried there
    if model is None and store.status(store.RECOMMENDED).state != "present":
        network, title = _made_up(device.where, precision), "made-up weights of full size"
    else:
        path = trusted(model or "")
        network, title = LingBotDepth.load(path, precision, device.where), str(path)
    return Engine(network, device, precision, _UNMASKED, packing), title


@torch.inference_mode()
def matmul_rate(device: Device, precision: Precision) -> float:
    """Return operations a second (2 per multiply-add) of a large square product, best of 10."""
    side = 8192 if device.where.type == "cuda" else 1024
    a, b = (torch.randn(side, side, device=device.where).to(precision.dtype) for _ in range(2))
    times_ms = [device.elapsed_ms(lambda: torch.matmul(a, b)) for _ in range(11)]
    return 2 * side**3 / (min(times_ms[1:]) * 1e-3)


@torch.inference_mode()
def timing(engine: Engine, tokens: int, peak_rate: float, rounds: int = 20) -> Timing:
    """Return what a frame of 640x480 takes; ``peak_rate`` is of `matmul_rate`."""
    color, depth = scene()
    engine.forget()
    frame_ms = _median_ms(_clock_ms, lambda: engine.run(color, depth, SCALE_M, tokens), rounds)
    plan = engine.plan(*SIZE_PX, SCALE_M, tokens)
    held = plan.buffers
    stages = [lambda: engine.upload(held), plan.prepare, *_network_stages(engine, held)]
    upload, prepare, encoder, decoder, download = (
        _median_ms(engine.device.elapsed_ms, stage, rounds) for stage in stages
    )
    kept = int(held.keep.sum())
    rate = network_flop(engine.network.config, held, kept) / ((encoder + decoder) * 1e-3)
    share = rate / peak_rate
    return Timing(
        held.grid.cells, kept, upload, prepare, encoder, decoder, download, frame_ms, share
    )


def network_flop(config: ModelConfig, held: Buffers, kept: int) -> int:
    """Return the operations of a frame with ``kept`` depth tokens, padding not counted."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network = LingBotDepth(config)
        image, depth = torch.empty(held.image.shape), torch.empty(held.prepared.shape)
        index = torch.zeros(1, kept, dtype=torch.int64)
        tables = network.tables(held.grid, SIZE_PX[1] / SIZE_PX[0])
        network(image, depth, DepthTokens(index), tables)
    return int(counter.get_total_flops())


def checks(engine: Engine) -> Iterator[tuple[str, str]]:
    """Yield what was checked and what came out; `lingbot-live bench` prints them."""
    color, depth = scene()
    ours = engine.run(color, depth, SCALE_M, CHECK_TOKENS)[0]
    eager = Engine(engine.network, engine.device, engine.precision, _UNMASKED, TokenPacking.DROP)
    again = eager.run(color, depth, SCALE_M, CHECK_TOKENS)[0]
    yield "as captured against step by step", f"{_difference(ours, again):.1e} at most, relative"
    exact = Engine(_on_cpu(engine.network), CpuDevice(), Precision.FP32, _UNMASKED)
    reference = exact.run(color, depth, SCALE_M, CHECK_TOKENS)[0]
    yield "against the CPU in fp32", f"{_difference(ours, reference):.1e} at most, relative"
    if can_skip_hidden(engine.device.where, engine.precision.dtype):
        yield "attention over packed tokens without a mask", _skipping(engine, ours)
    if engine.device.where.type == "cuda":
        grown = _growth_bytes(engine, color, depth)
        yield f"device memory grown over {CHECK_FRAMES} frames", f"{grown} bytes"
    yield "depth to colour, 640x480 to 1280x720", _against_numpy(engine.device, depth)


def scene() -> tuple[ColorImage, RawDepth]:
    """Return a made-up picture (480, 640, 3) and depth (480, 640) in mm, a fifth of it missing."""
    color = np.random.default_rng(0).integers(0, 256, (*SIZE_PX, 3), np.uint8)
    depth = np.linspace(400, 5000, SIZE_PX[1]).astype(np.uint16)[None].repeat(SIZE_PX[0], 0)
    depth[:, : SIZE_PX[1] // 5] = 0
    return color, depth


# ---- private ---------------------------------------------------------------------------------


def _network_stages(engine: Engine, held: Buffers) -> list[Callable[[], object]]:
    """Return encoder, decoder, and policy with download, each on the result of the one before."""
    length = engine.length(held)

    def captured(call: Callable[[], T]) -> Callable[[], T]:
        return call if length == DROPPED else engine.device.captured(call)

    encode = captured(lambda: engine.encode(held, length))
    features = encode()
    decode = captured(lambda: engine.decode(held, features))
    logits = decode()
    answer = captured(lambda: engine.answer(held, logits))

    def finish() -> None:
        refined, mask = answer()
        engine.device.download([(held.refined_host, refined), (held.mask_host, mask)])

    return [encode, decode, finish]


def _against_numpy(device: Device, depth: RawDepth) -> str:
    lens = (0.33, -2.489, -0.00016, -0.00013, 1.4537, 0.2089, -2.3029, 1.3751)  # of a Kinect
    sensor = Intrinsics(SIZE_PX[1], SIZE_PX[0], 390, 390, 321, 239)
    camera = Intrinsics(1280, 720, 612, 612, 640, 360, lens)
    shift = Extrinsics(translation_m=(-0.032, -0.002, 0.004))
    plain = Registration(sensor, camera, shift, keep_values=False)
    ours = TorchRegistration(plain, device.where)
    differing = np.count_nonzero(ours(depth, SCALE_M) != plain(depth, SCALE_M))
    took_ms, plain_ms = (
        _median_ms(_clock_ms, partial(move, depth, SCALE_M), 10) for move in (ours, plain)
    )
    return f"{took_ms:.2f} ms, NumPy {plain_ms:.2f} ms; {differing} pixels differ"


def _growth_bytes(engine: Engine, color: ColorImage, depth: RawDepth) -> int:
    before = 0
    for number in range(WARM_FRAMES + CHECK_FRAMES):
        engine.run(color, depth, SCALE_M, CHECK_TOKENS)
        if number == WARM_FRAMES - 1:
            before = torch.cuda.memory_allocated()
    return torch.cuda.memory_allocated() - before


def _skipping(engine: Engine, masked: DepthMap) -> str:
    """Compare attention that passes over hidden tokens: how right, and how fast beside a mask."""
    color, depth = scene()
    backbone = engine.network.encoder.backbone
    took = {}
    for backbone.skips_hidden in (False, True):
        engine.forget()
        found = engine.run(color, depth, SCALE_M, CHECK_TOKENS)[0]
        live = partial(engine.run, color, depth, SCALE_M, LIVE_TOKENS)
        took[backbone.skips_hidden] = _median_ms(_clock_ms, live, 20)
    backbone.skips_hidden = False
    engine.forget()
    return (
        f"{_difference(found, masked):.1e} at most, relative; a frame of {LIVE_TOKENS} tokens "
        f"{took[True]:.2f} ms, with a mask {took[False]:.2f} ms"
    )


def _difference(ours: Any, reference: Any) -> float:
    both = (ours > 0) & (reference > 0)
    return float((np.abs(ours - reference)[both] / reference[both]).max(initial=0.0))


def _clock_ms(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1e3


def _median_ms(
    measure_ms: Callable[[Callable[[], object]], float], call: Callable[[], object], rounds: int
) -> float:
    measure_ms(call)
    return statistics.median(measure_ms(call) for _ in range(rounds))


def _on_cpu(network: LingBotDepth) -> LingBotDepth:
    with torch.device("meta"):
        copy = LingBotDepth(network.config)
    state = {name: value.float().cpu() for name, value in network.state_dict().items()}
    copy.load_state_dict(state, assign=True)
    return copy.requires_grad_(False).eval()


def _made_up(where: torch.device, precision: Precision) -> LingBotDepth:
    """Return the published network with random weights, on which speed does not depend."""
    with torch.device("meta"):
        network = LingBotDepth(ModelConfig.parse(_release_config()))
    generator = torch.Generator(where).manual_seed(0)
    made = {}
    for name, like in network.state_dict().items():
        values = torch.randn(like.shape, generator=generator, device=where)
        around_one = name.endswith(("gamma", "std")) or (like.ndim == 1 and "norm" in name)
        inputs = like[0].numel() if like.ndim > 1 else 1
        values = values * 0.1 + 1 if around_one else values * 0.3 * inputs**-0.5
        layout = torch.channels_last if like.ndim == 4 else torch.contiguous_format
        made[name] = values.contiguous(memory_format=layout)
    network.load_state_dict(made, assign=True)
    return network.store(precision).requires_grad_(False).eval()


def _release_config() -> dict[str, Any]:
    dims = [1024, 256, 128, 64, 32]
    stack = {
        "dim_res_blocks": dims,
        "resamplers": ["conv_transpose", "conv_transpose", "conv_transpose", "bilinear"],
        "res_block_in_norm": "none",
        "res_block_hidden_norm": "none",
    }
    head = {"dim_in": dims, "dim_out": [None] * 4 + [1], "num_res_blocks": [0, 1, 1, 1, 0]}
    neck = {"dim_in": [1026, 2, 2, 2, 2], "dim_out": None, "num_res_blocks": [0, 2, 2, 2, 0]}
    return {
        "encoder": {"backbone": "dinov2_vitl14", "intermediate_layers": 1, "dim_out": 1024},
        "neck": stack | neck,
        "depth_head": stack | head,
        "mask_head": stack | head,
    }
