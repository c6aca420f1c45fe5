"""What the window remembers; a damaged file never keeps the app from starting."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
from PySide6.QtCore import QByteArray, QSettings

from lingbot_live.cameras import registry
from lingbot_live.colormap import NAMES, DepthRange
from lingbot_live.config import RefinerConfig
from lingbot_live.errors import ConfigError


def config_folder() -> Path:
    """Where settings are kept; ``LINGBOT_LIVE_CONFIG`` names another place."""
    named = os.environ.get("LINGBOT_LIVE_CONFIG")
    return Path(named) if named else Path(platformdirs.user_config_dir("lingbot-live", False))


class Settings:
    """Typed access to the remembered values; what is not valid counts as not there."""

    def __init__(self) -> None:
        path = config_folder() / "window.ini"
        self._store = QSettings(str(path), QSettings.Format.IniFormat)

    def reset(self) -> None:
        """Forget everything."""
        self._store.clear()

    def save(self) -> None:
        """Write to disk now."""
        self._store.sync()

    def text(self, key: str, default: str = "") -> str:
        """Return a remembered text."""
        return str(self._store.value(key, default))

    def set_text(self, key: str, value: str) -> None:
        """Remember a text."""
        self._store.setValue(key, value)

    def state(self, key: str) -> QByteArray | None:
        """Return a remembered layout."""
        value = self._store.value(key)
        return value if isinstance(value, QByteArray) else None

    def set_state(self, key: str, value: QByteArray) -> None:
        """Remember a layout."""
        self._store.setValue(key, value)

    @property
    def depth_range(self) -> DepthRange:
        """The colour range, the default one where none or a senseless one is remembered."""
        try:
            near, far = (float(part) for part in self.text("range").split())
            return DepthRange(near, far)
        except (ValueError, ConfigError):
            return DepthRange()

    @depth_range.setter
    def depth_range(self, scale: DepthRange) -> None:
        self.set_text("range", f"{scale.near_m} {scale.far_m}")

    @property
    def refiner(self) -> tuple[str, str]:
        """Name and model of the refiner chosen last; ``auto`` where none is or it is gone."""
        config = RefinerConfig.parse(self.text("refiner", "auto"))
        known = config.name in registry.refiner_names() and config.name != "recorded"
        return (config.name, config.model) if known else ("auto", "")

    @property
    def colormap(self) -> str:
        """The colour scale's name."""
        name = self.text("colormap")
        return name if name in NAMES else NAMES[0]
