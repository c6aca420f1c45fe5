"""The colour controls of an attached Azure Kinect; its depth sensor has none to set.

The SDK's Python part names a property for each, but not its limits: these come from the calls
below it, which it keeps for itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from lingbot_live.cameras.controls import Control, ControlKind, ControlValue
from lingbot_live.errors import CameraError

# Name of the SDK's command, our name, unit.
_COMMANDS = (
    ("EXPOSURE_TIME_ABSOLUTE", "color.exposure", "us"),
    ("GAIN", "color.gain", ""),
    ("WHITEBALANCE", "color.white_balance", "K"),
    ("BRIGHTNESS", "color.brightness", ""),
    ("CONTRAST", "color.contrast", ""),
    ("SATURATION", "color.saturation", ""),
    ("SHARPNESS", "color.sharpness", ""),
    ("POWERLINE_FREQUENCY", "color.power_line", ""),
)
_AUTO = {"color.exposure": "color.auto_exposure", "color.white_balance": "color.auto_white_balance"}


def controls(k4a: Any, device: Any) -> list[Control]:
    """Return the settings as they are now."""
    return [
        control
        for command, *told in _offered(k4a)
        for control in _read(k4a, device, command, *told)
    ]


def temperature(told_c: float | None) -> list[Control]:
    """Return the temperature at the motion sensors, the only one that the device tells."""
    if told_c is None or not math.isfinite(told_c):
        return []
    rounded = round(told_c, 1)
    return [Control("imu.temperature", rounded, ControlKind.FLOAT, unit="°C", read_only=True)]


def set_control(k4a: Any, device: Any, wanted: str, value: ControlValue, who: str) -> None:
    """Write a setting that `controls` listed; a value ends the sensor's own choice of it.

    Raises:
        CameraError: the device refused it.
    """
    modes = k4a.ColorControlMode
    try:
        for command, name, _unit in _offered(k4a):
            if wanted == name:
                device._set_color_control(command, int(value), modes.MANUAL)
            elif wanted == _AUTO.get(name):
                now, _ = device._get_color_control(command)
                device._set_color_control(command, now, modes.AUTO if value else modes.MANUAL)
    except k4a.K4AException as error:
        raise CameraError(f"{who}: {wanted} was not accepted by the camera ({error!r})") from error


def _offered(k4a: Any) -> Iterator[tuple[Any, str, str]]:
    commands = k4a.ColorControlCommand
    return ((commands[key], name, unit) for key, name, unit in _COMMANDS)


def _read(k4a: Any, device: Any, command: Any, name: str, unit: str) -> Iterator[Control]:
    told = device._get_color_control_capabilities(command)
    value, mode = device._get_color_control(command)
    if name in _AUTO and told["supports_auto"]:
        is_auto = mode == k4a.ColorControlMode.AUTO
        default = told["default_mode"] == k4a.ColorControlMode.AUTO
        yield Control(_AUTO[name], is_auto, ControlKind.BOOL, default=default)
    yield Control(
        name, value, ControlKind.INT, told["min_value"], told["max_value"], told["step_value"],
        told["default_value"], unit,
    )  # fmt: skip
