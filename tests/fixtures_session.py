"""Session files, for the contract: alone, one camera of two, and without its end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from sessions import NoisyCamera, record

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import Camera
from lingbot_live.config import CameraConfig


def desk(path: Path, *names: str, count: int = 20) -> Path:
    """Record cameras of these names, a frame every 20 ms."""
    cameras = [NoisyCamera(name, count, period_s=0.02, seed=i) for i, name in enumerate(names)]
    record(path, *cameras)
    return path


@contextlib.contextmanager
def contract_cameras(folder: Path) -> Iterator[dict[str, Callable[[CameraConfig], Camera]]]:
    """Name a maker of cameras for each kind of file."""
    one, two = desk(folder / "one.mcap", "left"), desk(folder / "two.mcap", "left", "right")
    cut = folder / "cut.mcap"
    cut.write_bytes(one.read_bytes()[:-100])
    addresses = {
        "alone": f"session:{one}",
        "second": f"session:{two}#noisy:right",
        "cut": f"session:{cut}",
    }
    yield {
        name: lambda config, address=address: registry.create_camera(address, config)
        for name, address in addresses.items()
    }
