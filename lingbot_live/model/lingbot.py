"""LingBot-Depth as a refiner: loads a checkpoint, picks the precision, keeps to a time budget."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lingbot_live.config import RefinerConfig
from lingbot_live.errors import ConfigError, OutOfMemoryError, RefinerError, WeightsError
from lingbot_live.frame import DepthMap, Frame, Mask, RefinerInfo
from lingbot_live.model.checkpoint import read_checkpoint
from lingbot_live.model.device import Device, is_out_of_memory, pick_device
from lingbot_live.model.engine import Engine, OutputPolicy
from lingbot_live.model.network import LingBotDepth
from lingbot_live.model.onnx_run import SUFFIX, create_onnx
from lingbot_live.model.precision import Precision
from lingbot_live.model.tokens import TokenPacking
from lingbot_live.model.torch_registration import TorchRegistration
from lingbot_live.model.weights import store
from lingbot_live.model.weights.trusted import trusted
from lingbot_live.refiners.attended import Attended
from lingbot_live.refiners.base import Refiner
from lingbot_live.registration import announce
from lingbot_live.system.compiler import check_compiler

log = logging.getLogger(__name__)

LIVE_TOKENS = 1200  # on a GPU: the least of the published range
CPU_BUDGET_S = 3.0  # a frame should take no longer without a GPU
LEAST_TOKENS = 48  # 6 by 8 patches; also what the CPU is timed with


class LingBotRefiner(Refiner):
    """Runs an engine on frames. ``tokens`` may be set from any thread; the next frame uses it.

    Out of memory halves the tokens once, says so in ``info.note``, and goes on.
    """

    def __init__(self, engine: Engine, name: str, tokens: int, note: str = "") -> None:
        precision = engine.precision.value
        super().__init__(RefinerInfo("lingbot", engine.device.label, precision, name, tokens, note))
        self.tokens = tokens
        self._engine = engine
        self._has_lowered = False

    def _refine(self, frame: Frame) -> tuple[DepthMap, Mask]:
        tokens = self.tokens or LEAST_TOKENS
        result = self._run(frame, tokens)
        if result is None:
            # Only here, where the error is gone: its traceback holds what filled the memory.
            self._engine.forget()
            result = self._run(frame, self._lower(tokens))
        if result is None:
            self._engine.forget()
            raise self._too_little(self.tokens)
        depth_m, mask, used = result
        if used != self.info.tokens:
            self.info = replace(self.info, tokens=used)
        return depth_m, mask

    def adopt(self, config: RefinerConfig) -> bool:
        """Change the output policy and the tokens; the network stays as it is."""
        self._engine.policy = OutputPolicy(config.apply_mask, config.keep_raw)
        if config.tokens is not None:
            self.tokens = config.tokens
        elif config.level is not None:
            self.tokens = self.tokens_at(config.level)
        return True

    def tokens_at(self, level: int) -> int:
        """Return the tokens of a resolution level, over the range that the model was made for."""
        return self._engine.network.config.tokens_at(level)

    def attend(
        self, frame: Frame, pixels: npt.ArrayLike, layers: Sequence[int] | None = None
    ) -> Attended:
        """Return what the depth tokens there attend to, with rollout and around holes.

        Raises:
            ConfigError: a pixel lies outside the picture, or a layer is not there.
            RefinerError: the network failed, as for want of memory.
        """
        color = np.ascontiguousarray(frame.color.transpose(2, 0, 1))  # (3, H, W)
        tokens = self.tokens or LEAST_TOKENS
        try:
            return self._engine.network.attention(
                color, frame.depth_m, pixels, layers,
                num_tokens=tokens, rollout=True, neighbours=True,
            )  # fmt: skip
        except ValueError as error:
            raise ConfigError(f"attention: {error}") from error
        except (RuntimeError, MemoryError) as error:
            raise RefinerError(f"lingbot: attention failed: {error}") from error

    def close(self) -> None:
        """Give buffers and graphs back."""
        self._engine.forget()

    def _run(self, frame: Frame, tokens: int) -> tuple[DepthMap, Mask, int] | None:
        """Return depth, mask and the tokens used; None where memory is too small for that."""
        try:
            return self._engine.run(frame.color, frame.depth_raw, frame.depth_scale_m, tokens)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                return None
            raise RefinerError(f"lingbot: the network failed: {error}") from error

    def _lower(self, tokens: int) -> int:
        fewer = max(LEAST_TOKENS, tokens // 2)
        if self._has_lowered or fewer >= tokens:
            raise self._too_little(tokens)
        self._has_lowered = True
        self.tokens = fewer
        note = f"out of memory at {tokens} tokens, lowered to {fewer}"
        log.warning("lingbot: %s", note)
        self.info = replace(self.info, note=note)
        return fewer

    def _too_little(self, tokens: int | None) -> OutOfMemoryError:
        return OutOfMemoryError(
            f"lingbot: {self.info.device} has too little memory for {tokens} tokens; "
            "choose fewer, or close other programs that use it"
        )


def create_lingbot(config: RefinerConfig) -> Refiner:
    """Make the refiner that is called ``lingbot``, ``lingbot:NAME`` or ``lingbot:/path/model.pt``.

    ``lingbot:FILE.onnx`` is run by onnxruntime. On a GPU the cameras' registration moves there too.

    Raises:
        WeightsError: the checkpoint is not here, damaged, or does not fit.
        ConfigError: the asked device is not there.
        OutOfMemoryError: the weights alone are too large for the device.
    """
    if config.model.lower().endswith(SUFFIX):
        if config.compiled:
            raise ConfigError(f"--compile: {config.model} is run by onnxruntime; leave it out")
        return create_onnx(config)
    if config.provider:
        raise ConfigError(f"--provider {config.provider}: it is of lingbot:FILE.onnx alone")
    path = trusted(config.model)
    device = pick_device(config.device)
    if config.compiled:
        check_compiler(device.where.type == "cuda")
    try:
        refiner = _create(config, path, device)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"lingbot: {device.label} has too little memory for {path}; close other programs "
            "that use it, or choose --device cpu"
        ) from error
    if device.where.type == "cuda":  # on a CPU NumPy is faster, see docs/decisions.md
        announce(partial(TorchRegistration, where=device.where))
    return refiner


def _create(config: RefinerConfig, path: Path, device: Device) -> Refiner:
    asked = device.precision if config.precision == "auto" else Precision(config.precision)
    network, precision, loaded = _load(path, device, asked)
    policy = OutputPolicy(config.apply_mask, config.keep_raw)
    # Compiled code is of fixed shapes; with other numbers of tokens it would be made again.
    packing = TokenPacking.BUCKET if config.compiled else None
    engine = Engine(network, device, precision, policy, packing, compiled=config.compiled)
    tokens, timed = _tokens(config, engine)
    form = "compiled" if config.compiled else ""
    note = "; ".join(text for text in (loaded, timed, form) if text)
    return LingBotRefiner(engine, _title(config.model, path), tokens, note)


def _title(model: str, path: Path) -> str:
    """Return a model's name; of a file by path its own and its folder's, as most are model.pt."""
    if not model or store.published(model) or not Path(model).expanduser().exists():
        return model or store.RECOMMENDED
    return f"{path.absolute().parent.name}/{path.name}"


def _load(path: Path, device: Device, precision: Precision) -> tuple[LingBotDepth, Precision, str]:
    """Load in ``precision``, or in bf16 where fp16 overflows; returns what was done, in words."""
    half = store.find_half_cache(path) if precision is Precision.FP16 else None
    network = LingBotDepth.load(half or path, precision, device.where)
    if network.depth_head is None:
        raise WeightsError(f"{path}: this network has no depth head, so it refines nothing")
    if Engine(network, device, precision).is_finite():
        if precision is Precision.FP16 and half is None:
            _write_half(path, network)
        return network, precision, ""
    del network
    if precision is Precision.FP16:
        network = LingBotDepth.load(path, Precision.BF16, device.where)
        if Engine(network, device, Precision.BF16).is_finite():
            log.warning("%s: overflows in fp16; bf16 is used", path)
            return network, Precision.BF16, "these weights overflow in fp16, so bf16 is used"
    raise WeightsError(f"{path}: the network gives inf or nan in {precision.value}; get it again")


def _write_half(source: Path, network: LingBotDepth) -> None:
    """Keep what was loaded, so that the next start reads half as much."""
    state = network.state_dict()
    kept = [name for name, tensor in state.items() if tensor.dtype.itemsize == 4]
    try:
        store.write_half_cache(source, state, read_checkpoint(source).config, kept)
    except WeightsError as error:
        log.warning("the fp16 copy was not written, the next start takes as long: %s", error)


def _tokens(config: RefinerConfig, engine: Engine) -> tuple[int, str]:
    """Return how many tokens to begin with, and why in words where time decided."""
    if config.tokens is not None:
        return config.tokens, ""
    if config.level is not None:
        return engine.network.config.tokens_at(config.level), ""
    if engine.device.where.type == "cuda":
        return LIVE_TOKENS, ""
    seconds = _probe_s(engine) / LEAST_TOKENS  # per token
    tokens = min(max(int(CPU_BUDGET_S / seconds), LEAST_TOKENS), LIVE_TOKENS)
    return tokens, f"without a GPU {tokens} tokens take about {seconds * tokens:.1f} s"


def _probe_s(engine: Engine) -> float:
    """Return how long a frame of `LEAST_TOKENS` takes, after one to warm up."""
    color = np.zeros((480, 640, 3), np.uint8)
    depth = np.full((480, 640), 1500, np.uint16)
    for _ in range(2):
        started = time.perf_counter()
        engine.run(color, depth, 0.001, LEAST_TOKENS)
    return time.perf_counter() - started
