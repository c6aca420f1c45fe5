"""The refiner ``guided``: classical depth completion on the CPU."""

from lingbot_live.refiners.guided.refiner import GuidedRefiner, create_guided

__all__ = ["GuidedRefiner", "create_guided"]
