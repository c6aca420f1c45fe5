"""The simulated cameras, for the contract."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import Camera
from lingbot_live.config import CameraConfig


@contextlib.contextmanager
def contract_cameras(folder: Path) -> Iterator[dict[str, Callable[[CameraConfig], Camera]]]:
    yield {"stereo": lambda config: registry.create_camera("synthetic:stereo", config)}
