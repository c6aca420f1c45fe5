"""The properties of Orbbec cameras as controls, under the names that other makes share.

The SDK tells limits and defaults of numbers; of switches it cannot tell them to Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lingbot_live.cameras.controls import Control, ControlKind, ControlValue
from lingbot_live.errors import CameraError

# Name in the SDK without OB_PROP_, our name, unit.
_PROPERTIES = (
    ("COLOR_AUTO_EXPOSURE_BOOL", "color.auto_exposure", ""),
    ("COLOR_EXPOSURE_INT", "color.exposure", ""),
    ("COLOR_GAIN_INT", "color.gain", ""),
    ("COLOR_AUTO_WHITE_BALANCE_BOOL", "color.auto_white_balance", ""),
    ("COLOR_WHITE_BALANCE_INT", "color.white_balance", "K"),
    ("COLOR_BRIGHTNESS_INT", "color.brightness", ""),
    ("COLOR_CONTRAST_INT", "color.contrast", ""),
    ("COLOR_SATURATION_INT", "color.saturation", ""),
    ("COLOR_SHARPNESS_INT", "color.sharpness", ""),
    ("COLOR_POWER_LINE_FREQUENCY_INT", "color.power_line", ""),
    ("DEPTH_AUTO_EXPOSURE_BOOL", "depth.auto_exposure", ""),
    ("DEPTH_EXPOSURE_INT", "depth.exposure", ""),
    ("DEPTH_GAIN_INT", "depth.gain", ""),
    ("LASER_BOOL", "depth.emitter", ""),
    ("LASER_CONTROL_INT", "depth.laser_mode", ""),
    ("LASER_POWER_LEVEL_CONTROL_INT", "depth.laser_power", ""),
    ("MIN_DEPTH_INT", "depth.min_distance", "mm"),
    ("MAX_DEPTH_INT", "depth.max_distance", "mm"),
    ("DEPTH_SOFT_FILTER_BOOL", "depth.noise_filter", ""),
    ("DEPTH_MAX_SPECKLE_SIZE_INT", "depth.noise_filter_size", ""),
    ("DEPTH_MAX_DIFF_INT", "depth.noise_filter_difference", ""),
    ("DEPTH_UNIT_FLEXIBLE_ADJUSTMENT_FLOAT", "depth.units", "mm"),
)
_TEMPERATURES = (
    "cpu_temperature", "ir_temperature", "laser_temperature", "main_board_temperature",
    "rgb_temperature",
)  # fmt: skip
_PRESET = "depth.preset"
# Of the JSON that Orbbec Viewer and `Device.export_settings_as_preset_json_file` write.
PRESET_KEYS = {
    "depth_alg_mode": _PRESET,
    "laser_state": "depth.laser_mode",
    "laser_power_level": "depth.laser_power",
    "depth_auto_exposure": "depth.auto_exposure",
    "depth_exposure_time": "depth.exposure",
    "depth_gain": "depth.gain",
    "color_auto_exposure": "color.auto_exposure",
    "color_exposure_time": "color.exposure",
    "color_gain": "color.gain",
    "color_auto_white_balance": "color.auto_white_balance",
    "color_white_balance": "color.white_balance",
    "color_brightness": "color.brightness",
    "color_contrast": "color.contrast",
    "color_saturation": "color.saturation",
    "color_sharpness": "color.sharpness",
    "color_power_line_frequency": "color.power_line",
}
# A change of the unit would change the meaning of recorded values halfway.
_FIXED = {"depth.units"}


def controls(ob: Any, device: Any) -> list[Control]:
    """Return the settings that this device has."""
    found = [_control(device, *told) for told in _offered(ob, device)]
    return found + _presets(device) + _temperatures(ob, device)


def set_control(ob: Any, device: Any, wanted: str, value: ControlValue, who: str) -> None:
    """Write a setting that `controls` listed.

    Raises:
        CameraError: the device refused it.
    """
    try:
        if wanted == _PRESET:
            device.load_preset(str(value))
        for number, kind, name, _unit, _can_write in _offered(ob, device):
            if name == wanted:
                getattr(device, f"set_{kind}_property")(number, value)
    except (ob.OBError, RuntimeError) as error:
        raise CameraError(
            f"{who}: {wanted} was not accepted ({' '.join(str(error).split())}); "
            "it may depend on another setting, such as auto exposure"
        ) from error


def _offered(ob: Any, device: Any) -> Iterator[tuple[Any, str, str, str, bool]]:
    may = ob.OBPermissionType
    for key, name, unit in _PROPERTIES:
        number = getattr(ob.OBPropertyID, f"OB_PROP_{key}", None)
        if number is not None and device.is_property_supported(number, may.PERMISSION_READ):
            can_write = device.is_property_supported(number, may.PERMISSION_WRITE)
            yield number, key.rpartition("_")[2].lower(), name, unit, can_write


def _control(device: Any, number: Any, kind: str, name: str, unit: str, can_write: bool) -> Control:
    value = getattr(device, f"get_{kind}_property")(number)
    read_only = not can_write or name in _FIXED
    if kind == "bool":
        return Control(name, bool(value), ControlKind.BOOL, read_only=read_only)
    span = getattr(device, f"get_{kind}_property_range")(number)
    whole = kind == "int"

    def typed(told: float) -> ControlValue:
        return int(told) if whole else float(f"{told:.7g}")  # the SDK has float32

    return Control(
        name,
        typed(value),
        ControlKind.INT if whole else ControlKind.FLOAT,
        float(typed(span.min)),
        float(typed(span.max)),
        float(typed(span.step)),
        typed(span.default_value),
        unit,
        read_only,
    )


def _temperatures(ob: Any, device: Any) -> list[Control]:
    """Return those that the device measures; it tells 0 for the others."""
    try:
        told = device.get_temperature()
    except (ob.OBError, RuntimeError):  # a recording, or a model without
        return []
    found = []
    for name in _TEMPERATURES:
        value = float(getattr(told, name, 0.0))
        if value > 0:
            kind = ControlKind.FLOAT
            found.append(Control(f"depth.{name}", value, kind, unit="°C", read_only=True))
    return found


def _presets(device: Any) -> list[Control]:
    listing = device.get_available_preset_list()
    names = [listing.get_name_by_index(i) for i in range(listing.get_count())]
    choices = tuple(name for name in names if name)
    now = device.get_current_preset_name()
    if len(choices) < 2 or now not in choices:
        return []
    return [Control(_PRESET, now, ControlKind.CHOICE, choices=choices)]
