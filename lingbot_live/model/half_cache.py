"""The fp16 copy of a checkpoint, so that later starts read half the bytes.

One safetensors file per source, in the cache folder. Its metadata holds the source's path, size
and time of change, the ``model_config``, and a SHA-256 over that and over all names, types, shapes
and values. Only matrices and convolution kernels (``.weight`` with two or more axes: 99 % of the
bytes) are fp16. Biases, norms, scales, position tables and image statistics stay fp32, because
they act on the fp32 residual stream, not inside an fp16 product.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lingbot_live.errors import WeightsError
from lingbot_live.model.weights.files import cache_folder, whole_file

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

_FORMAT = "lingbot-live half 1"


def half_cache_path(source: Path) -> Path:
    """Return where the fp16 copy of ``source`` belongs."""
    key = hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:20]
    return cache_folder() / "half" / f"{key}.safetensors"


def write_half_cache(
    source: Path,
    state: Mapping[str, torch.Tensor],
    config: Mapping[str, Any],
    keep: Collection[str] = (),
) -> Path:
    """Write the fp16 copy of a checkpoint's state dict and return its path.

    Names in ``keep`` stay fp32. Needs the copy's size in memory while it writes.

    Raises:
        WeightsError: a value does not fit fp16, the disk is full, or the folder is read-only;
            the checkpoint itself is as usable as before.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    stamp = _stamp(source)
    halved = {name: _halved(name, tensor, name in keep) for name, tensor in state.items()}
    arrays = ((name, halved[name].numpy()) for name in sorted(halved))
    text = json.dumps(config)
    metadata = {**stamp, "model_config": text, "content_sha256": _digest(text, arrays)}
    target = half_cache_path(source)
    try:
        with whole_file(target) as temporary:
            save_file(halved, temporary, metadata=metadata)
    except SafetensorError as error:
        raise WeightsError(f"{target}: the fp16 copy cannot be written ({error})") from error
    return target


def _stamp(source: Path) -> dict[str, str]:
    stat = source.stat()
    return {
        "format": _FORMAT,
        "source": str(source.resolve()),
        "source_size": str(stat.st_size),
        "source_mtime_ns": str(stat.st_mtime_ns),
    }


def _halved(name: str, tensor: torch.Tensor, keep: bool) -> torch.Tensor:
    import torch

    if not tensor.is_floating_point():
        dtype = tensor.dtype
    elif name.endswith(".weight") and tensor.ndim >= 2 and not keep:
        dtype = torch.float16
    else:
        dtype = torch.float32
    # copy: a checkpoint's tensors may share storage, which safetensors cannot express
    made = tensor.detach().to("cpu", dtype, copy=True).contiguous()
    if dtype is torch.float16 and not bool(torch.isfinite(made).all()):
        raise WeightsError(f"{name}: holds values that fp16 cannot (above 65504, or not finite)")
    return made


def _digest(config: str, arrays: Iterable[tuple[str, Any]]) -> str:
    """Return the checksum of arrays in the order of their names, holding one at a time."""
    total = hashlib.sha256(config.encode())
    for name, array in arrays:
        total.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        total.update(array.reshape(-1).view("u1").data)
    return total.hexdigest()


def find_half_cache(source: Path, *, check: bool = True) -> Path | None:
    """Return the fp16 copy of ``source`` if there is one that still belongs to it.

    A copy that is damaged, or of another version of ``source``, is removed. ``check`` reads the
    whole copy to compare its checksum (1.5 to 2 s for 640 MB, measured on two busy cores).
    """
    path = half_cache_path(source)
    if not path.is_file():
        return None
    fault = _fault(path, _stamp(source), check)
    if fault is None:
        return path
    log.warning("%s: the fp16 copy of %s is removed: %s", path, source, fault)
    path.unlink(missing_ok=True)
    return None


def _fault(path: Path, stamp: Mapping[str, str], check: bool) -> str | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if any(metadata.get(key) != value for key, value in stamp.items()):
                return "it was made from another version"
            if not check:
                return None
            arrays = ((name, file.get_tensor(name)) for name in sorted(file.keys()))
            found = _digest(metadata.get("model_config", ""), arrays)
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        return f"it is damaged ({error})"
    return None if found == metadata.get("content_sha256") else "its checksum is wrong"


def half_cache_bytes(source: Path) -> int:
    """Return the size of the fp16 copy of ``source``, 0 without one."""
    path = half_cache_path(source)
    return path.stat().st_size if path.is_file() else 0


def remove_half_cache(source: Path) -> int:
    """Remove the fp16 copy of ``source``; return how many bytes that freed."""
    freed = half_cache_bytes(source)
    half_cache_path(source).unlink(missing_ok=True)
    return freed
