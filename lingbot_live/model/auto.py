"""The refiner ``auto``: LingBot-Depth where it can be live, the classical one otherwise."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import replace

from lingbot_live.config import RefinerConfig
from lingbot_live.errors import RefinerError
from lingbot_live.model.create import create_lingbot, import_torch
from lingbot_live.model.weights import store
from lingbot_live.refiners.base import Refiner
from lingbot_live.refiners.guided import create_guided


def why_not_lingbot(device: str = "auto") -> str:
    """Return in plain words all that LingBot-Depth lacks to run live here, empty for nothing.

    Looks at files and the NVIDIA driver first, so that torch (seconds to import) is loaded only
    where it will be used.
    """
    missing = [_missing_device(device), _missing_weights()]
    if not any(missing):
        import_torch()
        from lingbot_live.model.device import has_cuda

        if not has_cuda():
            missing = ["this torch finds no CUDA device (lingbot-live doctor tells more)"]
    return "; ".join(reason for reason in missing if reason)


def _missing_device(device: str) -> str:
    if device == "cpu":
        return "the CPU was asked for, on which it takes seconds (--refiner lingbot runs it there)"
    if not _has_nvidia_driver():
        return "no NVIDIA driver, and without a GPU it takes seconds (--refiner lingbot tries)"
    return ""


def _missing_weights() -> str:
    if store.status(store.RECOMMENDED).state == "present":
        return ""
    download = f"lingbot-live models download {store.RECOMMENDED}"
    return f"its weights are not on this machine ({download})"


def create_auto(config: RefinerConfig) -> Refiner:
    """Entry point of ``auto``; nothing is downloaded without being asked."""
    reason = why_not_lingbot(config.device)
    if not reason:
        try:
            return create_lingbot(replace(config, name="lingbot", model=store.RECOMMENDED))
        except RefinerError as error:
            reason = str(error)
    refiner = create_guided(replace(config, name="guided", model=""))
    note = f"{refiner.info.note}. LingBot-Depth is not used: {reason}"
    refiner.info = replace(refiner.info, note=note, lacks=reason)
    return refiner


def _has_nvidia_driver() -> bool:
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
