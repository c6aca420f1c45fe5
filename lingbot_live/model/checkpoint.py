"""Checkpoints: reading them without running anything in them, and building the network from them.

The published ``.pt`` is a zip archive with a
pickle, read by ``torch.load(weights_only=True)``; a ``.safetensors`` file has its ``model_config``
in its own metadata or in ``config.json`` beside it. Tensors stay mapped from the file, and the
network is built without memory of its own, so that loading holds the weights once.
"""

from __future__ import annotations

import logging
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from lingbot_live.errors import WeightsError
from lingbot_live.model.model_config import ModelConfig
from lingbot_live.model.precision import Precision
from lingbot_live.system.inputs import from_json, read_text, refuse_special

log = logging.getLogger(__name__)

CONFIG_KEY = "model_config"
UNUSED_KEYS = {"encoder.backbone.mask_token"}  # of training; in every published file
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LARGEST_PICKLE = 64 << 20  # bytes; the published one has 0.1 MiB
NAMED = 4  # keys listed in a message
AGAIN = "Download it again."


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """What a file holds, not yet checked against the network."""

    path: Path
    config: Mapping[str, Any]  # model_config
    tensors: Mapping[str, Any]  # by name; mapped from the file


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint file.

    Raises:
        WeightsError: it cannot be read as a checkpoint; says why.
    """
    try:
        refuse_special(path)
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    if start[:4] == b"PK\x03\x04":
        return _read_archive(path)
    if start[8:9] == b"{":
        return _read_safetensors(path)
    raise WeightsError(f"{path}: {_what_it_is(start)}")


class Loadable(nn.Module):
    """A network that a checkpoint can fill, built from its configuration alone."""

    config: ModelConfig

    def fp32_names(self) -> set[str]:
        """Return the names in the state dict that stay fp32 in every precision."""
        raise NotImplementedError


Network = TypeVar("Network", bound=Loadable)


def load_weights(
    build: Callable[[ModelConfig], Network],
    path: Path,
    precision: Precision = Precision.FP32,
    device: torch.device | None = None,
) -> Network:
    """Build the network that a checkpoint describes, with its weights in ``precision``.

    Raises:
        WeightsError: the checkpoint is damaged or does not fit; says what.
    """
    checkpoint = read_checkpoint(path)
    try:
        config = ModelConfig.parse(checkpoint.config)
        with torch.device("meta"):
            network = build(config)
        tensors = _fitting(checkpoint, network)
    except WeightsError as error:
        raise WeightsError(f"{checkpoint.path}: {error}") from error
    fp32 = network.fp32_names()
    weights = {
        name: tensor.to(device, torch.float32 if name in fp32 else precision.dtype).contiguous()
        for name, tensor in tensors.items()
    }
    network.load_state_dict(weights, assign=True)
    return network.requires_grad_(False).eval()


def _what_it_is(start: bytes) -> str:
    text = start.lstrip().lower()
    if not start:
        return f"is empty. {AGAIN}"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return f"is a web page, not a checkpoint; the download met an error page. {AGAIN}"
    if text.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file itself. Run `git lfs pull`, or download it."
    if start[:1] == b"\x80":
        return (
            "is a bare pickle, which could run code when read, so it is refused. Save it with "
            "torch.save of a current PyTorch, or as .safetensors"
        )
    return f"is neither a PyTorch checkpoint nor a safetensors file, or it is damaged. {AGAIN}"


def _read_archive(path: Path) -> Checkpoint:
    if path.suffix == ".safetensors":  # torch.load goes by the name
        raise WeightsError(f"{path}: is a PyTorch archive, not safetensors. Rename it to .pt")
    _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unusual pickles; what matters is an error
            raw = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # the unpickler raises nearly anything on damaged input
        reason = str(error).strip().partition("\n")[0]
        if "Weights only load failed" in reason:
            raise WeightsError(
                f"{path}: holds Python objects other than tensors, which could run code when "
                "read, so it is refused. Get the file from where the model is published"
            ) from error
        raise WeightsError(
            f"{path}: is damaged ({type(error).__name__}: {reason}). {AGAIN}"
        ) from error
    if not (isinstance(raw, dict) and CONFIG_KEY in raw and isinstance(raw.get("model"), dict)):
        keys = ", ".join(repr(key) for key in list(raw)[:NAMED]) if isinstance(raw, dict) else ""
        raise WeightsError(
            f"{path}: is no LingBot-Depth checkpoint: it holds {type(raw).__name__}"
            f"{f' with {keys}' if keys else ''}, not 'model_config' and 'model'"
        )
    return Checkpoint(path, raw[CONFIG_KEY], raw["model"])


def _check_archive(path: Path) -> None:
    """Find cut and damaged archives early, where the message can still be clear."""
    try:
        with zipfile.ZipFile(path) as archive:
            pickles = [i for i in archive.infolist() if i.filename.endswith("/data.pkl")]
            if len(pickles) != 1 or pickles[0].file_size > LARGEST_PICKLE:
                raise WeightsError(f"{path}: is a zip archive, but no PyTorch checkpoint")
            archive.read(pickles[0])  # checks its sum
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, OSError) as error:
        raise WeightsError(f"{path}: is cut short or damaged ({error}). {AGAIN}") from error


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError) as error:
        raise WeightsError(f"{path}: is a damaged safetensors file ({error}). {AGAIN}") from error
    return Checkpoint(path, _config_of(path, metadata), tensors)


def _config_of(path: Path, metadata: Mapping[str, str]) -> Mapping[str, Any]:
    beside = path.with_name("config.json")
    try:
        config = from_json(metadata.get(CONFIG_KEY) or read_text(beside))
    except OSError as error:
        raise WeightsError(
            f"{path}: has no {CONFIG_KEY} in its metadata, and {beside} cannot be read "
            f"({error.strerror}). Put the model's config.json there"
        ) from error
    except ValueError as error:
        raise WeightsError(f"{path}: its configuration is no JSON ({error})") from error
    found = config.get(CONFIG_KEY, config) if isinstance(config, dict) else config
    if not isinstance(found, dict):
        raise WeightsError(f"{path}: its configuration is {type(found).__name__}, not an object")
    return found


def _fitting(checkpoint: Checkpoint, network: Loadable) -> dict[str, Tensor]:
    """Return the tensors that the network needs, all checked."""
    needed = network.state_dict()
    found = checkpoint.tensors
    unknown = sorted(str(key) for key in found if key not in needed and key not in UNUSED_KEYS)
    if unknown:
        log.info("%s: ignored %s", checkpoint.path, _listing(unknown))
    missing = [name for name in needed if name not in found]
    if missing:
        raise WeightsError(f"lacks {_listing(missing)}{_hint(checkpoint, network)}")
    faults = [
        f"{name}: {fault}" for name, like in needed.items() if (fault := _fault(found[name], like))
    ]
    if faults:
        raise WeightsError(f"does not fit: {_listing(faults)}{_hint(checkpoint, network)}")
    return {name: found[name] for name in needed}


def _fault(tensor: object, like: Tensor) -> str:
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_meta:
        return f"{type(tensor).__name__} is no plain tensor"
    if tensor.dtype not in DTYPES:
        return f"{tensor.dtype} is no float"
    if tensor.shape != like.shape:
        return f"shape {tuple(tensor.shape)} instead of {tuple(like.shape)}"
    # A sum carries every inf and nan along, and takes a tenth of the time of looking for them. It
    # may itself overflow, so only the look decides.
    if tensor.sum(dtype=torch.float32).isfinite() or tensor.isfinite().all():
        return ""
    return "holds inf or nan"


def _listing(items: list[str]) -> str:
    more = len(items) - NAMED
    return ", ".join(items[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _hint(checkpoint: Checkpoint, network: Loadable) -> str:
    """Say how the weights contradict the backbone that the configuration names."""
    backbone = network.config.encoder.backbone
    token = checkpoint.tensors.get("encoder.backbone.cls_token")
    width = token.shape[-1] if isinstance(token, Tensor) and token.ndim else 0
    prefix = "encoder.backbone.blocks."
    blocks = {
        str(k).removeprefix(prefix).partition(".")[0]
        for k in checkpoint.tensors
        if str(k).startswith(prefix)
    }
    if (width, len(blocks)) == (backbone.width, backbone.blocks):
        return ""
    return (
        f". model_config says {backbone.name} ({backbone.width} wide, {backbone.blocks} blocks), "
        f"the weights are {width} wide with {len(blocks)} blocks"
    )
