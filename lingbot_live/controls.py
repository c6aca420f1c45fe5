"""The name by which drivers of third parties import `lingbot_live.cameras.controls`."""

from lingbot_live.cameras.controls import (
    Control,
    ControlKind,
    ControlValue,
    control_named,
)

__all__ = [
    "Control",
    "ControlKind",
    "ControlValue",
    "control_named",
]
