"""The name by which refiners of third parties import `lingbot_live.refiners.base`."""

from lingbot_live.refiners.base import (
    PassthroughRefiner,
    Refiner,
    create_passthrough,
)

__all__ = [
    "PassthroughRefiner",
    "Refiner",
    "create_passthrough",
]
