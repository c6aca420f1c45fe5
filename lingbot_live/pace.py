"""The name by which drivers of third parties import `lingbot_live.cameras.pace`."""

from lingbot_live.cameras.pace import (
    Pace,
    Pacer,
    Source,
    T,
)

__all__ = [
    "Pace",
    "Pacer",
    "Source",
    "T",
]
