"""``lingbot:FILE.onnx``: the exported network by onnxruntime, on whatever it can run here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lingbot_live.config import RefinerConfig
from lingbot_live.errors import ConfigError, RefinerError, WeightsError, did_you_mean
from lingbot_live.frame import ColorImage, DepthMap, Frame, Mask, RawDepth, RefinerInfo
from lingbot_live.model import postprocess
from lingbot_live.model.engine import OutputPolicy
from lingbot_live.model.model_config import ModelConfig
from lingbot_live.model.onnx_export import FORMAT, INPUTS, KEY, OUTPUTS, check_installed
from lingbot_live.model.postprocess import Logits
from lingbot_live.model.preprocess import (
    Grid,
    kept_patches,
    prepare_depth,
    prepare_image,
    token_grid,
)
from lingbot_live.refiners.base import Refiner
from lingbot_live.system.inputs import refuse_special

SUFFIX = ".onnx"
_LONG = "ExecutionProvider"  # how onnxruntime ends each name
_ELSEWHERE = "Azure"  # a provider that runs nothing here
_ERRORS_ONLY = 3


@dataclass(frozen=True, slots=True, eq=False)
class About:
    """What the file says of itself."""

    grid: Grid
    aspect: float
    size_px: tuple[int, int]
    precision: str
    image_mean: Tensor  # (1, 3, 1, 1)
    image_std: Tensor  # (1, 3, 1, 1)
    model: str
    config: ModelConfig

    @classmethod
    def parse(cls, text: str) -> About:
        """Read our words in the metadata; raises KeyError, TypeError or ValueError."""
        told = json.loads(text)
        if told["format"] != FORMAT:
            raise ValueError(f"format {told['format']}, and this version reads {FORMAT}")
        rows, columns = (int(n) for n in told["grid"])
        width, height = (int(n) for n in told["size_px"])
        mean, std = (
            torch.tensor(told[key], dtype=torch.float32).view(1, 3, 1, 1)
            for key in ("image_mean", "image_std")
        )
        config = ModelConfig.parse(told["model_config"])
        return cls(
            Grid(rows, columns), float(told["aspect"]), (width, height), str(told["precision"]),
            mean, std, str(told["model"]), config,
        )  # fmt: skip


class OnnxSession:
    """An exported file, loaded. Runs on one thread at a time."""

    def __init__(self, path: Path, provider: str = "") -> None:
        """Load a file for a provider by name (``cpu``, ``cuda``...), the fastest that is here.

        Raises:
            WeightsError: the file is not here, damaged, or none of ours; says which.
            ConfigError: onnxruntime is not installed or has no such provider.
        """
        check_installed("onnxruntime")
        import onnxruntime

        try:
            refuse_special(path)
            with path.open("rb"):
                pass
        except OSError as error:
            raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        names = _providers(onnxruntime.get_available_providers(), provider)
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=names)
        except Exception as error:  # onnxruntime's own kinds have no base of their own
            reason = " ".join(str(error).split())[:200]
            raise WeightsError(f"{path}: onnxruntime cannot load it ({reason})") from error
        self.about = _about(path, self._session)
        self.provider = self._session.get_providers()[0].removesuffix(_LONG)

    def run(self, image: Tensor, depth: Tensor, keep: Tensor) -> Logits:
        """Return the logits; inputs on the CPU, as `FixedNetwork.forward` takes them."""
        arrays = (x.contiguous().numpy() for x in (image, depth, keep))
        found = self._session.run(None, dict(zip(INPUTS, arrays, strict=True)))
        depth_logit, *mask = (torch.from_numpy(np.asarray(x, np.float32)) for x in found)
        return Logits(depth_logit, mask[0] if mask else None)


class OnnxRefiner(Refiner):
    """Runs an exported network on frames of the aspect that it was exported for."""

    def __init__(self, session: OnnxSession, policy: OutputPolicy) -> None:
        about = session.about
        device = f"onnxruntime {session.provider}"
        info = RefinerInfo("lingbot", device, about.precision, about.model, about.grid.cells)
        super().__init__(info)
        self._session, self._policy = session, policy

    @torch.inference_mode()
    def _refine(self, frame: Frame) -> tuple[DepthMap, Mask]:
        return self._run(frame.color, frame.depth_raw, frame.depth_scale_m)

    def adopt(self, config: RefinerConfig) -> bool:
        """Change the output policy; the number of tokens is the file's."""
        self._policy = OutputPolicy(config.apply_mask, config.keep_raw)
        return config.tokens in (None, self.info.tokens)

    def _run(self, color: ColorImage, depth_raw: RawDepth, scale_m: float) -> tuple[DepthMap, Mask]:
        about = self._session.about
        height, width = depth_raw.shape
        if token_grid(width, height, about.grid.cells) != about.grid:
            raise RefinerError(
                f"{about.model}: exported for pictures of {about.size_px[0]}x{about.size_px[1]}, "
                f"not {width}x{height}; export it with --size {width}x{height}"
            )
        pixels = torch.tensor(color).movedim(-1, 0)[None]  # (1, 3, H, W)
        raw = torch.tensor(depth_raw.astype(np.int32))[None, None]  # (1, 1, H, W)
        image = prepare_image(pixels, about.grid, about.image_mean, about.image_std)
        depth = prepare_depth(raw, about.grid, about.config.remap_depth_in, scale_m)
        try:
            logits = self._session.run(image, depth, kept_patches(depth, about.grid))
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise RefinerError(f"lingbot: onnxruntime failed: {reason}") from error
        return self._answer(logits, raw[0, 0].float() * scale_m)

    def _answer(self, logits: Logits, raw_m: Tensor) -> tuple[DepthMap, Mask]:
        size = (raw_m.shape[0], raw_m.shape[1])
        refined = postprocess.depth_of(logits, size, self._session.about.config.remap_depth_out)
        mask = postprocess.mask_of(logits, size)
        if refined is None:
            raise RefinerError("this network has no depth head")
        kept = self._policy.apply(refined[0], None if mask is None else mask[0], raw_m)
        depth_m, vouched = (x.numpy() for x in kept)
        return depth_m, vouched


def create_onnx(config: RefinerConfig) -> Refiner:
    """Make the refiner of an exported file.

    Raises:
        WeightsError: as `OnnxSession`.
        ConfigError: it was exported for another number of tokens than asked for.
    """
    session = OnnxSession(Path(config.model).expanduser(), config.provider)
    cells = session.about.grid.cells
    if (
        config.tokens is not None
        and token_grid(*session.about.size_px, config.tokens).cells != cells
    ):
        raise ConfigError(
            f"{config.model}: exported for {cells} tokens, not {config.tokens}; export it again "
            f"with --tokens {config.tokens}"
        )
    return OnnxRefiner(session, OutputPolicy(config.apply_mask, config.keep_raw))


# ---- private ---------------------------------------------------------------------------------


def _providers(available: list[str], asked: str) -> list[str]:
    """Return onnxruntime's names, fastest first; the CPU does what another cannot."""
    if not asked:
        return [name for name in available if not name.startswith(_ELSEWHERE)]
    short = {name.removesuffix(_LONG).lower(): name for name in available}
    wanted = asked.lower().removesuffix(_LONG.lower())
    if wanted not in short:
        raise ConfigError(
            f"--provider {asked}: this onnxruntime has none.{did_you_mean(wanted, short)} "
            f"It has: {', '.join(short)}"
        )
    return list(dict.fromkeys([short[wanted], *(n for n in available if n.startswith("CPU"))]))


def _about(path: Path, session: Any) -> About:
    told = session.get_modelmeta().custom_metadata_map.get(KEY)
    if told is None:
        raise WeightsError(
            f"{path}: no network of ours; write one by: lingbot-live models export NAME -o {path}"
        )
    names = (
        tuple(x.name for x in session.get_inputs()),
        tuple(x.name for x in session.get_outputs()),
    )
    try:
        about = About.parse(told)
    except (KeyError, TypeError, ValueError, WeightsError) as error:
        raise WeightsError(f"{path}: what it says of itself cannot be read ({error})") from error
    if names[0] != INPUTS or names[1] not in (OUTPUTS, OUTPUTS[:1]):
        raise WeightsError(f"{path}: its inputs and outputs are not those of our networks")
    return about
