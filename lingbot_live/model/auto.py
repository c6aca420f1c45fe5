"""The refiner ``auto``: LingBot-Depth where it can be live, the classical one otherwise."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import replace

from lingbot_live.config import RefinerConfig
from lingbot_live.errors import RefinerError
from lingbot_live.model import weights
from lingbot_live.refiner import Refiner
from lingbot_live.refiners.guided import create_guided


def why_not_lingbot(device: str = "auto") -> str:
    """Return in plain words why LingBot-Depth cannot run live here, empty if it can.

    Looks at files and the NVIDIA driver first, so that torch (seconds to import) is loaded only
    where it will be used.
    """
    if device == "cpu":
        return "the CPU was asked for, on which it takes seconds (--refiner lingbot runs it there)"
    if weights.status(weights.RECOMMENDED).state != "present":
        download = f"lingbot-live models download {weights.RECOMMENDED}"
        return f"its weights are not on this machine ({download})"
    if not _has_nvidia_driver():
        return "no NVIDIA driver, and without a GPU it takes seconds (--refiner lingbot tries)"
    from lingbot_live.model.device import has_cuda

    return "" if has_cuda() else "this torch finds no CUDA device (lingbot-live doctor tells more)"


def create_auto(config: RefinerConfig) -> Refiner:
    """Entry point of ``auto``; nothing is downloaded without being asked."""
    reason = why_not_lingbot(config.device)
    if not reason:
        from lingbot_live.model.lingbot import create_lingbot

        try:
            return create_lingbot(replace(config, name="lingbot", model=weights.RECOMMENDED))
        except RefinerError as error:
            reason = str(error)
    refiner = create_guided(config)
    note = f"{refiner.info.note}. LingBot-Depth is not used: {reason}"
    refiner.info = replace(refiner.info, note=note)
    return refiner


def _has_nvidia_driver() -> bool:
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
