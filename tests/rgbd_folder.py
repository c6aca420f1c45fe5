"""Writes small RGB-D folders in the layout of LingBot-Depth's examples."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT = 160, 120


def scene(number: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return colour (H, W, 3) RGB and depth (H, W) mm: a wall, a near box, a hole in the wall."""
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    color = np.stack([u, v * 2, np.full_like(u, 90)], -1).astype(np.uint8)
    depth = (1500 + u).astype(np.uint16)
    left = 40 + 4 * number
    depth[40:90, left : left + 40] = 800
    color[40:90, left : left + 40] = (230, 60, 40)
    depth[10:25, 100:130] = 0
    return color, depth


def write_example(folder: Path, number: int = 0) -> Path:
    folder.mkdir(parents=True)
    color, depth = scene(number)
    cv2.imwrite(str(folder / "rgb.png"), color[..., ::-1])
    cv2.imwrite(str(folder / "raw_depth.png"), depth)
    matrix = np.array([[150.0, 0, 79.5], [0, 150.0, 59.5], [0, 0, 1]])
    np.savetxt(folder / "intrinsics.txt", matrix)
    return folder


def write_examples(folder: Path, count: int = 3) -> Path:
    for number in range(count):
        write_example(folder / str(number), number)
    return folder
