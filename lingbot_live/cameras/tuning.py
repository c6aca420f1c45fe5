"""A camera's settings as a TOML file, to be set again there or on another one of its make."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lingbot_live.cameras.base import Camera, CameraInfo
from lingbot_live.cameras.controls import Control, ControlValue
from lingbot_live.errors import ConfigError, LingbotLiveError
from lingbot_live.system.inputs import from_toml, read_text
from lingbot_live.system.writing import write_text

VERSION = 1


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


def load_controls(path: Path) -> dict[str, ControlValue]:
    """Return the values that `save_controls` wrote, by the controls' names.

    Raises:
        ConfigError: there is no such file, or it is no file of settings; says why.
    """
    try:
        data = from_toml(read_text(path))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: it cannot be read as TOML: {error}") from error
    found = data.get("controls")
    if data.get("version") != VERSION or not isinstance(found, dict):
        raise ConfigError(f"{path}: no [controls] of version {VERSION}; is it a file of settings?")
    for name, value in found.items():
        if not isinstance(value, (bool, int, float, str)):
            raise ConfigError(f"{path}: {name} is {value!r}; a number, true, false or a text it is")
    return dict(found)


def apply_controls(camera: Camera, values: dict[str, ControlValue]) -> list[str]:
    """Set each; return what the camera refused, in words. The others hold."""
    refused = []
    for name, value in values.items():
        try:
            camera.set_control(name, value)
        except LingbotLiveError as error:
            refused.append(str(error))
    return refused
