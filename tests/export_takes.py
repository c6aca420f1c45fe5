"""A session to export, and how it is asked for."""

from __future__ import annotations

from pathlib import Path

from sessions import HalfRefiner, NoisyCamera, record

from lingbot_live.export.job import ExportRequest
from lingbot_live.recording.offline import refine_file
from lingbot_live.recording.state import RecorderOptions


def make(folder: Path) -> Path:
    """Two cameras, of 12 and 8 frames, the second in steps of 0.25 mm; refined."""
    raw, path = folder / "raw.mcap", folder / "desk.mcap"
    cameras = NoisyCamera("left", 12), NoisyCamera("right", 8, 0.00025, seed=1)
    record(raw, *cameras, options=RecorderOptions(lossless=True, refined=False))
    refine_file(raw, path, HalfRefiner(), exact=True)  # every frame, however busy the machine
    return path


def ask(take: Path, form: str, out: Path, **others) -> ExportRequest:
    return ExportRequest(str(take), form, out, **{"camera": "noisy:left", **others})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
