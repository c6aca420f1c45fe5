"""One refined frame as a folder: the files that LingBot-Depth's example script writes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from lingbot_live import __version__
from lingbot_live.cameras.base import CameraInfo
from lingbot_live.colormap import DepthRange, auto_range, colorize
from lingbot_live.errors import ExportError
from lingbot_live.export.cloud import write_ply_of_snapshot
from lingbot_live.export.folder import new_folder
from lingbot_live.export.images import write_color
from lingbot_live.frame import RefinedFrame

FILES = (
    "rgb.png",
    "depth_input.npy",
    "depth_refined.npy",
    "depth_input.png",
    "depth_refined.png",
    "depth_comparison.png",
    "point_cloud.ply",
    "intrinsics.txt",
    "meta.json",
)


def write_snapshot(
    folder: Path,
    refined: RefinedFrame,
    camera: CameraInfo | None = None,
    scale: DepthRange | None = None,
    write_ply: Callable[[Path], None] = write_ply_of_snapshot,
) -> Path:
    """Write `FILES` into ``folder``, which must not exist or be empty; returns it.

    Depth is float32 metres with 0 = invalid in the ``.npy`` files, and colours in the ``.png``
    files, both on one scale (``scale``, by default from the refined depth). The folder appears
    under its name only when it is complete.

    Raises:
        ExportError: the folder is taken or cannot be written.
    """
    folder = folder.expanduser()
    check_new(folder)
    with new_folder(folder) as work:
        _write_files(work, refined, camera, scale or auto_range(refined.depth_m))
        write_ply(work)
    return folder


def check_new(folder: Path) -> None:
    """Raise ExportError where ``folder`` is there and not empty."""
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportError(f"{folder}: it exists and is not empty; choose another name")


def next_folder(parent: Path, when: datetime | None = None) -> Path:
    """Return a free name ``snapshot-DATE-TIME`` in ``parent``, with a number if it is taken."""
    stem = (when or datetime.now()).strftime("snapshot-%Y%m%d-%H%M%S")
    folder, number = parent / stem, 1
    while folder.exists():
        number += 1
        folder = parent / f"{stem}-{number}"
    return folder


def _write_files(
    folder: Path, refined: RefinedFrame, camera: CameraInfo | None, scale: DepthRange
) -> None:
    frame = refined.frame
    raw_m = frame.depth_m
    write_color(folder / "rgb.png", frame.color)
    np.save(folder / "depth_input.npy", raw_m)
    np.save(folder / "depth_refined.npy", refined.depth_m)
    raw_rgb, refined_rgb = colorize(raw_m, scale), colorize(refined.depth_m, scale)
    write_color(folder / "depth_input.png", raw_rgb)
    write_color(folder / "depth_refined.png", refined_rgb)
    write_color(folder / "depth_comparison.png", np.hstack([raw_rgb, refined_rgb]))
    np.savetxt(folder / "intrinsics.txt", frame.intrinsics.matrix, fmt="%.9g")
    meta = json.dumps(_meta(refined, camera, scale), indent=2)
    (folder / "meta.json").write_text(meta + "\n", encoding="utf-8")


def _meta(refined: RefinedFrame, camera: CameraInfo | None, scale: DepthRange) -> dict[str, object]:
    frame, info = refined.frame, refined.refiner
    return {
        "app": f"lingbot-live {__version__}",
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "camera": {
            "address": frame.camera,
            "name": camera.name if camera else None,
            "serial": camera.serial if camera else None,
            "simulated": camera.is_simulated if camera else None,
            "details": camera.details if camera else {},
        },
        "frame": {
            "index": frame.index,
            "label": frame.label,
            "device_timestamp_us": frame.device_timestamp_us,
            "depth_scale_m": frame.depth_scale_m,
            "alignment": frame.alignment.value,
            "width": frame.intrinsics.width,
            "height": frame.intrinsics.height,
            "distortion": list(frame.intrinsics.distortion),
        },
        "refiner": {
            "name": info.name,
            "device": info.device,
            "precision": info.precision,
            "checkpoint": info.checkpoint or None,
            "tokens": info.tokens,
            "note": info.note,
            "finish": info.finish,
            "ms": round((refined.finished_ns - refined.started_ns) / 1e6, 3),
        },
        "depth_unit": "metre",
        "invalid_depth": 0,
        "valid_share": {
            "input": round(float((frame.depth_raw > 0).mean()), 6),
            "refined": round(float((refined.depth_m > 0).mean()), 6),
        },
        "color_scale_m": [scale.near_m, scale.far_m],
    }
