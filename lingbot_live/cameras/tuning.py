"""A camera's settings as a file, to be set again there or on another one of its make.

Ours are TOML. The JSON that a make's own viewer writes is read too, by the keys that its driver
knows (`Driver.preset_keys`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lingbot_live.cameras.base import Camera, CameraInfo
from lingbot_live.cameras.controls import Control, ControlKind, ControlValue, control_named
from lingbot_live.errors import ConfigError, LingbotLiveError
from lingbot_live.system.inputs import from_json, from_toml, read_text
from lingbot_live.system.writing import write_text

VERSION = 1
_ABOUT = {"device", "schema version"}  # parts of a preset that set nothing
_AUTO = {
    "exposure": "auto_exposure",
    "gain": "auto_exposure",
    "white_balance": "auto_white_balance",
}
_WORDS = {"off": 0, "on": 1, "auto": 2}  # for a control that counts its choices
_MOST_NAMED = 6


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a file of settings says."""

    values: dict[str, ControlValue]  # by the controls' names
    unknown: tuple[str, ...] = ()  # keys of a make's own file that no control stands for

    @property
    def remark(self) -> str:
        """What of the file sets nothing here, in words; or empty."""
        if not self.unknown:
            return ""
        named = ", ".join(self.unknown[:_MOST_NAMED])
        more = len(self.unknown) - _MOST_NAMED
        return f"No control stands for {named}{f' and {more} more' if more > 0 else ''}."


def save_controls(path: Path, info: CameraInfo, controls: Iterable[Control]) -> int:
    """Write what can be set of a camera; return how many controls that are.

    Raises:
        WriteError: the file cannot be written; one that was there is as it was.
    """
    import tomli_w

    values = {c.name: c.value for c in controls if not c.read_only}
    camera = {"driver": info.driver, "name": info.name, "serial": info.serial}
    write_text(path, tomli_w.dumps({"version": VERSION, "camera": camera, "controls": values}))
    return len(values)


def load_controls(path: Path, preset_keys: Mapping[str, str] | None = None) -> Tuning:
    """Read what `save_controls` wrote, or a preset of the make whose keys are given.

    Raises:
        ConfigError: there is no such file, or it is no file of settings; says why.
    """
    is_preset = path.suffix.lower() == ".json"
    kind = "JSON" if is_preset else "TOML"
    try:
        text = read_text(path)
        data = from_json(text) if is_preset else from_toml(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: it cannot be read as {kind}: {error}") from error
    return _of_preset(path, data, preset_keys or {}) if is_preset else _of_own(path, data)


def apply_controls(camera: Camera, values: Mapping[str, ControlValue]) -> list[str]:
    """Set each; return what the camera refused, in words. The others hold.

    What a sensor is to choose by itself is left to it: setting an exposure would end that.
    """
    refused = []
    controls = camera.controls()
    for name, value in _in_order(values):
        try:
            control = control_named(controls, name, camera.info.address)
            camera.set_control(name, _meant(control, value))
        except LingbotLiveError as error:
            refused.append(str(error))
    return refused


# ---- private -------------------------------------------------------------------------------------


def _of_own(path: Path, data: Mapping[str, object]) -> Tuning:
    found = data.get("controls")
    if data.get("version") != VERSION or not isinstance(found, dict):
        raise ConfigError(f"{path}: no [controls] of version {VERSION}; is it a file of settings?")
    return Tuning({name: _checked(path, name, value) for name, value in found.items()})


def _of_preset(path: Path, data: object, keys: Mapping[str, str]) -> Tuning:
    if not keys:
        raise ConfigError(f"{path}: presets in JSON are a make's own; this camera's make has none")
    values, unknown = {}, []
    for key, value in _leaves(data):
        if key in keys:
            values[keys[key]] = _checked(path, key, value)
        else:
            unknown.append(key)
    if not values:
        known = ", ".join(list(keys)[:3])
        raise ConfigError(f"{path}: no setting of this camera's make in it, such as {known}")
    return Tuning(values, tuple(unknown))


def _leaves(data: object) -> Iterator[tuple[str, object]]:
    """Yield keys and values, those of nested tables as well."""
    for key, value in data.items() if isinstance(data, dict) else ():
        if isinstance(value, dict) and key not in _ABOUT:
            yield from _leaves(value)
        elif key not in _ABOUT:
            yield key, value


def _checked(path: Path, name: str, value: object) -> ControlValue:
    if not isinstance(value, (bool, int, float, str)):
        raise ConfigError(f"{path}: {name} is {value!r}; a number, true, false or a text it is")
    return value


def _in_order(values: Mapping[str, ControlValue]) -> list[tuple[str, ControlValue]]:
    """Leave out what the sensor chooses itself, and have it stop choosing before all else."""
    autos = {name: _is_on(value) for name, value in values.items() if ".auto_" in name}
    first = [(name, values[name]) for name in autos]
    rest = [
        (name, value)
        for name, value in values.items()
        if name not in autos and not autos.get(_governing(name))
    ]
    return first + rest


def _governing(name: str) -> str:
    sensor, _, setting = name.rpartition(".")
    return f"{sensor}.{_AUTO.get(setting, '')}"


def _is_on(value: ControlValue) -> bool:
    return str(value).lower() in ("1", "true", "yes", "on")


def _meant(control: Control, value: ControlValue) -> ControlValue:
    """Return the choice that a make's preset counts or calls by a word of its own."""
    if control.kind is not ControlKind.CHOICE or str(value).lower() in map(
        str.lower, control.choices
    ):
        return value
    text = str(_WORDS.get(str(value).lower(), value))
    at = int(text) - round(control.minimum) if text.isdecimal() else -1
    return control.choices[at] if 0 <= at < len(control.choices) else value
