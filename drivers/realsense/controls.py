"""The options of RealSense sensors as controls.

Only options that a user of depth cares for are offered, under names that other makes share.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lingbot_live.cameras.base import CameraInfo
from lingbot_live.cameras.controls import Control, ControlKind, ControlValue
from lingbot_live.errors import CameraError

# Name of rs.option, our name, unit.
OPTIONS = (
    ("enable_auto_exposure", "auto_exposure", ""),
    ("exposure", "exposure", "us"),
    ("gain", "gain", ""),
    ("auto_exposure_limit", "exposure_limit", "us"),
    ("enable_auto_white_balance", "auto_white_balance", ""),
    ("white_balance", "white_balance", "K"),
    ("brightness", "brightness", ""),
    ("contrast", "contrast", ""),
    ("saturation", "saturation", ""),
    ("sharpness", "sharpness", ""),
    ("power_line_frequency", "power_line", ""),
    ("visual_preset", "preset", ""),
    ("emitter_enabled", "emitter", ""),
    ("laser_power", "laser_power", "mW"),
    ("min_distance", "min_distance", "mm"),
    ("confidence_threshold", "confidence", ""),
    ("depth_units", "units", "m"),
    ("asic_temperature", "asic_temperature", "°C"),
    ("projector_temperature", "projector_temperature", "°C"),
)
# Of the JSON that RealSense Viewer and `rs400_advanced_mode.serialize_json` write.
PRESET_KEYS = {
    "controls-autoexposure-auto": "depth.auto_exposure",
    "controls-autoexposure-manual": "depth.exposure",
    "controls-depth-gain": "depth.gain",
    "controls-depth-white-balance-auto": "depth.auto_white_balance",
    "controls-laserstate": "depth.emitter",
    "controls-laserpower": "depth.laser_power",
    "controls-color-autoexposure-auto": "color.auto_exposure",
    "controls-color-autoexposure-manual": "color.exposure",
    "controls-color-gain": "color.gain",
    "controls-color-white-balance-auto": "color.auto_white_balance",
    "controls-color-white-balance-manual": "color.white_balance",
    "controls-color-brightness": "color.brightness",
    "controls-color-contrast": "color.contrast",
    "controls-color-saturation": "color.saturation",
    "controls-color-sharpness": "color.sharpness",
    "controls-color-power-line-frequency": "color.power_line",
}
# A change of the unit would change the meaning of recorded values halfway.
_FIXED = {"units"}
_MOST_CHOICES = 32


def controls(rs: Any, device: Any) -> list[Control]:
    """Return the settings of all image sensors of a device."""
    return [
        _control(sensor, option, f"{where}.{name}", unit, name in _FIXED)
        for where, sensor, option, name, unit in _offered(rs, device)
    ]


def set_control(rs: Any, device: Any, wanted: str, value: ControlValue, info: CameraInfo) -> None:
    """Write a setting that `controls` listed.

    Raises:
        CameraError: the device refused it.
    """
    for where, sensor, option, name, _unit in _offered(rs, device):
        if f"{where}.{name}" == wanted:
            control = _control(sensor, option, wanted, "", False)
            try:
                sensor.set_option(option, _number(control, value))
            except RuntimeError as error:
                raise CameraError(
                    f"{info.address}: {wanted} was not accepted ({' '.join(str(error).split())}); "
                    "it may depend on another setting, such as auto exposure"
                ) from error


def _offered(rs: Any, device: Any) -> Iterator[tuple[str, Any, Any, str, str]]:
    for sensor in device.query_sensors():
        title = sensor.get_info(rs.camera_info.name).lower()
        if "motion" in title:
            continue
        where = "color" if "rgb" in title or "color" in title else "depth"
        for key, name, unit in OPTIONS:
            option = getattr(rs.option, key, None)
            if option is not None and sensor.supports(option):
                # UVC counts the exposure of colour in units of 100 us.
                is_coarse = (where, name) == ("color", "exposure")
                yield where, sensor, option, name, "100 us" if is_coarse else unit


def _control(sensor: Any, option: Any, name: str, unit: str, is_fixed: bool) -> Control:
    span = sensor.get_option_range(option)
    value = sensor.get_option(option)
    choices = _choices(sensor, option, span)
    kind = ControlKind.BOOL if ".auto_" in name else _kind(span, choices)

    def typed(number: float) -> ControlValue:
        if kind is ControlKind.CHOICE:
            place: int = round(number - span.min)
            return choices[min(max(place, 0), len(choices) - 1)]
        if kind is ControlKind.FLOAT:
            return float(f"{number:.7g}")  # the SDK has float32
        return bool(number) if kind is ControlKind.BOOL else round(number)

    return Control(
        name,
        typed(value),
        kind,
        span.min,
        span.max,
        span.step,
        typed(span.default),
        unit,
        is_fixed or sensor.is_option_read_only(option),
        choices,
        sensor.get_option_description(option),
    )


def _choices(sensor: Any, option: Any, span: Any) -> tuple[str, ...]:
    """Return the names of all values, empty if they have none; a recording has one value."""
    if (span.step != 1 and span.max > span.min) or span.max - span.min >= _MOST_CHOICES:
        return ()
    values = range(round(span.min), round(span.max) + 1)
    names = [sensor.get_option_value_description(option, float(value)) for value in values]
    return tuple(names) if any(names) and all(names) else ()


def _kind(span: Any, choices: tuple[str, ...]) -> ControlKind:
    if choices:
        return ControlKind.CHOICE
    if (span.min, span.max, span.step) == (0, 1, 1):
        return ControlKind.BOOL
    whole = all(float(number).is_integer() for number in (span.min, span.max, span.step))
    return ControlKind.INT if whole and (span.step or span.min == span.max) else ControlKind.FLOAT


def _number(control: Control, value: ControlValue) -> float:
    if control.kind is ControlKind.CHOICE:
        return control.minimum + control.choices.index(str(value))
    return float(value)
