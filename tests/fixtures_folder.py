"""Folders of RGB-D images in every layout that `folder:` plays."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import Camera
from lingbot_live.config import CameraConfig
from lingbot_live.errors import BadFrameError, EndOfStreamError
from lingbot_live.frame import Frame

WIDTH, HEIGHT = 64, 48
ONCE = CameraConfig(loop=False, realtime=False)
K = np.array([[60.0, 0, 31.5], [0, 61.0, 23.5], [0, 0, 1]])


def pair(i: int, width: int = WIDTH, height: int = HEIGHT) -> tuple[np.ndarray, np.ndarray]:
    """RGB and raw depth of pair i, no two alike."""
    rng = np.random.default_rng(i)
    color = rng.integers(0, 256, (height, width, 3), np.uint8)
    depth = rng.integers(400, 6000, (height, width), np.uint16)
    return color, depth


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    path.write_bytes(cv2.imencode(path.suffix, stored)[1].tobytes())


def example(folder: Path, i: int = 0) -> Path:
    color, depth = pair(i)
    write(folder / "rgb.png", color)
    write(folder / "raw_depth.png", depth)
    np.savetxt(folder / "intrinsics.txt", K)
    return folder


def examples(folder: Path, count: int = 3) -> Path:
    for i in range(count):
        example(folder / str(i), i)
    return folder


def matrix(path: Path, k: np.ndarray) -> Path:
    """Write a 3x3 matrix as ScanNet does, 4x4."""
    path.parent.mkdir(exist_ok=True)
    whole = np.eye(4)
    whole[:3, :3] = k
    np.savetxt(path, whole)
    return path


def plain(folder: Path, count: int = 4, **camera: object) -> Path:
    for i in range(count):
        color, depth = pair(i)
        write(folder / "color" / f"{i:04d}.png", color)
        write(folder / "depth" / f"{i:04d}.png", depth)
    values = {"width": WIDTH, "height": HEIGHT, "fx": 60.0, "fy": 61.0, "cx": 31.5, "cy": 23.5}
    (folder / "intrinsics.json").write_text(json.dumps(values | camera))
    return folder


def tum(folder: Path, count: int = 4, late_s: float = 0.004) -> Path:
    lines: dict[str, list[str]] = {"rgb": ["# color images"], "depth": ["# depth maps"]}
    for i in range(count):
        color, depth = pair(i)
        for name, image, stamp in (("rgb", color, i / 30), ("depth", depth, i / 30 + late_s)):
            file = f"{name}/{1000 + stamp:.6f}.png"
            write(folder / file, image)
            lines[name].append(f"{1000 + stamp:.6f} {file}")
    for name, text in lines.items():
        (folder / f"{name}.txt").write_text("\n".join(text) + "\n")
    np.savetxt(folder / "intrinsics.txt", K)
    return folder


def frames(path: Path, config: CameraConfig = ONCE) -> tuple[list[Frame], Camera]:
    """Every frame of a folder, and the camera that it was."""
    camera = registry.create_camera(f"folder:{path}", config)
    found: list[Frame] = []
    with camera:
        while True:
            try:
                found.append(camera.read(1.0))
            except BadFrameError:
                pass  # counted in `missed`
            except EndOfStreamError:
                return found, camera


def same_pair(frame: Frame, i: int) -> bool:
    """Whether a frame holds pair i."""
    color, depth = pair(i)
    return np.array_equal(frame.color, color) and np.array_equal(frame.depth_raw, depth)


@contextlib.contextmanager
def contract_cameras(folder: Path) -> Iterator[dict[str, Callable[[CameraConfig], Camera]]]:
    """Name a maker of cameras for each layout."""
    folders = {
        "example": example(folder / "one"),
        "examples": examples(folder / "some"),
        "plain": plain(folder / "plain"),
        "tum": tum(folder / "tum"),
    }
    yield {
        name: lambda config, path=path: registry.create_camera(f"folder:{path}", config)
        for name, path in folders.items()
    }
