"""LingBot-Depth: the network, its published weights, and the refiner that runs it.

Importing this package is cheap; PyTorch is imported when `LingBotDepth` is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lingbot_live.model.network import LingBotDepth as LingBotDepth
    from lingbot_live.model.precision import Precision as Precision
    from lingbot_live.model.tokens import TokenPacking as TokenPacking

_HOMES = {"LingBotDepth": "network", "Precision": "precision", "TokenPacking": "tokens"}
__all__ = ["LingBotDepth", "Precision", "TokenPacking"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
