"""LingBot-Depth as a refiner: loads a checkpoint, picks the precision, keeps to a time budget."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from lingbot_live.config import RefinerConfig
from lingbot_live.errors import OutOfMemoryError, RefinerError, WeightsError
from lingbot_live.frame import DepthMap, Frame, Mask, RefinerInfo
from lingbot_live.model import weights
from lingbot_live.model.checkpoint import load_network, read_checkpoint
from lingbot_live.model.device import Device, is_out_of_memory, pick_device
from lingbot_live.model.engine import Engine, OutputPolicy
from lingbot_live.model.network import LingBotDepth
from lingbot_live.model.precision import Precision
from lingbot_live.refiner import Refiner

log = logging.getLogger(__name__)

LIVE_TOKENS = 1200  # on a GPU: the least of the published range, about 30 frames a second there
CPU_BUDGET_S = 3.0  # a frame should take no longer without a GPU
PROBE_TOKENS = 48
LEAST_TOKENS = 48


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
        tokens = self.tokens
        assert tokens is not None
        try:
            depth_m, mask, used = self._run(frame, tokens)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise RefinerError(f"lingbot: the network failed: {error}") from error
            depth_m, mask, used = self._run_smaller(frame, tokens, error)
        if used != self.info.tokens:
            self.info = replace(self.info, tokens=used)
        return depth_m, mask

    def close(self) -> None:
        """Give buffers and graphs back."""
        self._engine.forget()

    def _run(self, frame: Frame, tokens: int) -> tuple[DepthMap, Mask, int]:
        return self._engine.run(frame.color, frame.depth_raw, frame.depth_scale_m, tokens)

    def _run_smaller(
        self, frame: Frame, tokens: int, error: BaseException
    ) -> tuple[DepthMap, Mask, int]:
        self._engine.forget()
        if self._has_lowered:
            raise OutOfMemoryError(
                f"lingbot: {self.info.device} has too little memory for {tokens} tokens; "
                "choose fewer, or close other programs that use it"
            ) from error
        self._has_lowered = True
        self.tokens = max(LEAST_TOKENS, tokens // 2)
        note = f"out of memory at {tokens} tokens, lowered to {self.tokens}"
        log.warning("lingbot: %s", note)
        self.info = replace(self.info, note=note)
        return self._run(frame, self.tokens)


def create_lingbot(config: RefinerConfig) -> Refiner:
    """Entry point of ``lingbot``: ``lingbot``, ``lingbot:NAME`` or ``lingbot:/path/model.pt``.

    Raises:
        WeightsError: the checkpoint is not here, damaged, or does not fit.
        ConfigError: the asked device is not there.
    """
    name = config.model or weights.RECOMMENDED
    given = Path(name).expanduser()
    path = given if given.exists() else weights.resolve(name)
    device = pick_device(config.device)
    precision = device.precision if config.precision == "auto" else Precision(config.precision)
    network, precision, note = _load(path, device, precision)
    policy = OutputPolicy(config.apply_mask, config.keep_raw)
    engine = Engine(network, device, precision, policy)
    tokens, more = _tokens(config, engine)
    note = "; ".join(text for text in (note, more) if text)
    return LingBotRefiner(engine, given.stem if given.exists() else name, tokens, note)


def _load(path: Path, device: Device, precision: Precision) -> tuple[LingBotDepth, Precision, str]:
    """Load in ``precision``, or in bf16 where fp16 overflows; returns what was done, in words."""
    network = _network(path, device, precision)
    if network.depth_head is None:
        raise WeightsError(f"{path}: this network has no depth head, so it refines nothing")
    if Engine(network, device, precision).is_finite():
        return network, precision, ""
    if precision is Precision.FP16:
        del network
        network = _network(path, device, Precision.BF16)
        if Engine(network, device, Precision.BF16).is_finite():
            log.warning("%s: overflows in fp16; bf16 is used", path)
            return network, Precision.BF16, "these weights overflow in fp16, so bf16 is used"
    raise WeightsError(f"{path}: the network gives inf or nan in {precision.value}; get it again")


def _network(path: Path, device: Device, precision: Precision) -> LingBotDepth:
    if precision is not Precision.FP16:
        return load_network(path, precision, device.where)
    checkpoint = read_checkpoint(path)
    half = weights.find_half_cache(checkpoint.path, check=False)
    if half is not None:
        return load_network(half, precision, device.where)
    network = load_network(path, precision, device.where)
    _write_half(checkpoint.path, network)
    return network


def _write_half(source: Path, network: LingBotDepth) -> None:
    """Keep what was loaded, so that the next start reads half as much."""
    state = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
    kept = [name for name, tensor in state.items() if tensor.dtype.itemsize == 4]
    try:
        weights.write_half_cache(source, state, read_checkpoint(source).config, kept)
    except WeightsError as error:
        log.warning("the fp16 copy was not written, the next start takes as long: %s", error)


def _tokens(config: RefinerConfig, engine: Engine) -> tuple[int, str]:
    least, most = engine.network.config.num_tokens_range
    if config.tokens is not None:
        return config.tokens, ""
    if config.level is not None:
        return round(least + config.level / 9 * (most - least)), ""
    if engine.device.where.type == "cuda":
        return LIVE_TOKENS, ""
    seconds = _probe_s(engine)
    fitting = int(PROBE_TOKENS * CPU_BUDGET_S / seconds)
    tokens = min(max(fitting, LEAST_TOKENS), LIVE_TOKENS)
    return (
        tokens,
        f"without a GPU {tokens} tokens take about {seconds * tokens / PROBE_TOKENS:.1f} s",
    )


def _probe_s(engine: Engine) -> float:
    """Return how long a frame of `PROBE_TOKENS` takes, after one to warm up."""
    color = np.zeros((480, 640, 3), np.uint8)
    depth = np.full((480, 640), 1500, np.uint16)
    for _ in range(2):
        started = time.perf_counter()
        engine.run(color, depth, 0.001, PROBE_TOKENS)
    return time.perf_counter() - started
