"""The refiner ``auto``: LingBot-Depth where it can be live, the classical one otherwise."""

from __future__ import annotations

import ctypes.util
from dataclasses import replace

from lingbot_live.config import RefinerConfig
from lingbot_live.model import weights
from lingbot_live.refiner import Refiner
from lingbot_live.refiners.guided import create_guided


def why_not_lingbot() -> str:
    """Return in plain words why LingBot-Depth cannot run live here, empty if it can.

    Looks at files and the NVIDIA driver first, so that torch (seconds to import) is loaded only
    where it will be used.
    """
    if weights.status(weights.RECOMMENDED).state != "present":
        return (
            "LingBot-Depth is not used: its weights are not on this machine "
            f"(lingbot-live models download {weights.RECOMMENDED})"
        )
    if not _has_nvidia_driver():
        return "LingBot-Depth is not used: no NVIDIA driver, and without a GPU it takes seconds"
    from lingbot_live.model.device import has_cuda

    if not has_cuda():
        return "LingBot-Depth is not used: this torch has no CUDA (lingbot-live doctor tells more)"
    return ""


def create_auto(config: RefinerConfig) -> Refiner:
    """Entry point of ``auto``; nothing is downloaded without being asked."""
    reason = why_not_lingbot()
    if not reason:
        from lingbot_live.model.lingbot import create_lingbot

        return create_lingbot(replace(config, name="lingbot", model=weights.RECOMMENDED))
    refiner = create_guided(config)
    refiner.info = replace(refiner.info, note=f"{refiner.info.note}. {reason}")
    return refiner


def _has_nvidia_driver() -> bool:
    return any(ctypes.util.find_library(name) for name in ("cuda", "nvcuda"))
