"""A scripted camera with controls."""

from __future__ import annotations

from dataclasses import replace

from scripted import ScriptedCamera

from lingbot_live.cameras.base import _controls_for
from lingbot_live.cameras.controls import Control, ControlKind
from lingbot_live.config import CameraConfig
from lingbot_live.errors import CameraError

EXPOSURE = Control("depth.exposure", 8000, ControlKind.INT, 1, 33000, 100, 8500, "us")
GAIN = Control("depth.gain", 1.5, ControlKind.FLOAT, 0.0, 4.0)
AUTO = Control("depth.auto_exposure", True, ControlKind.BOOL)
PRESET = Control("depth.preset", "Default", ControlKind.CHOICE, choices=("Default", "High Density"))
FIXED = Control("depth.units", 0.001, ControlKind.FLOAT, 0.0, 1.0, unit="m", read_only=True)


class Adjustable(ScriptedCamera):
    """A scripted camera with controls; like a real one, exposure ends auto exposure."""

    def __init__(self, config=None):
        super().__init__(range(100))
        self.config = config or CameraConfig()
        self._wanted = dict(_controls_for(self.info, self.config))
        self.there = {c.name: c for c in (EXPOSURE, GAIN, AUTO, PRESET, FIXED)}

    def _cam_controls(self):
        return list(self.there.values())

    def _cam_set_control(self, name, value):
        if value == 13.0 or value == 0.25:
            raise CameraError(f"{self.info.address}: {name}: the sensor says no")
        self.log.append(f"{name}={value!r}")
        self.there[name] = replace(self.there[name], value=value)
        if name == "depth.exposure":
            self._cam_set_control("depth.auto_exposure", False)
