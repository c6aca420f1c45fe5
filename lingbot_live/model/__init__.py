"""LingBot-Depth: the network, its checkpoints and the refiner that runs it live.

Importing this package imports PyTorch; nothing else in the core does.
"""

from lingbot_live.model.network import LingBotDepth
from lingbot_live.model.precision import Precision
from lingbot_live.model.tokens import TokenPacking

__all__ = ["LingBotDepth", "Precision", "TokenPacking"]
