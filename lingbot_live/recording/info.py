"""What is in a session file, as plain data."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np

from lingbot_live.cameras.playtime import LONG_GAP_S
from lingbot_live.frame import Calibration
from lingbot_live.recording.format import SESSION, Event
from lingbot_live.recording.mcap.places import Times
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.tracks import Track
from lingbot_live.system.inputs import from_json

log = logging.getLogger(__name__)


_CHECK_S = 3.0  # for a look into the chunks; a file of 1 GB takes about as long


def describe(path: Path) -> dict[str, object]:
    """Return streams, counts, rates, drops, calibration and settings (JSON-ready).

    Raises:
        RecordingError: nothing in the file can be read.
    """
    with Recording(path) as recording:
        checked, chunks = recording.check(_CHECK_S)
        events = recording.events
        drops: dict[str, Counter[str]] = {}
        for event in events:
            if event.kind == "drop":
                drops.setdefault(event.camera, Counter())[event.text] += event.count
        about = recording.metadata.get(SESSION, {})
        return {
            "file": str(path),
            "bytes": recording.size_bytes,
            "made_by": f"lingbot-live {about['version']}" if "version" in about else None,
            "created": about.get("created"),
            "duration_s": round(recording.duration_s, 6),
            "frames": len(recording),
            "gaps": [
                {"at_s": round(gap.position_s, 3), "length_s": round(gap.length_s, 3)}
                for gap in recording.play_time.gaps
            ],
            "cameras": {
                name: {**_track(track), "drops": dict(drops.get(name, Counter()))}
                for name, track in recording.tracks.items()
            },
            "damage": list(recording.damage),  # after all that has been read
            "unchecked_chunks": chunks - checked,
            "refiners": list(dict.fromkeys(e.text for e in events if e.kind == "refiner")),
            "markers": _noted(recording, events, "marker"),
            "failures": _noted(recording, events, "failed"),
            "mishaps": _noted(recording, events, "file"),
            "options": _options(about.get("options", "")),
            "topics": [asdict(topic) for topic in recording.topics],
            "settings": recording.metadata.get(f"{SESSION}.settings", {}),
        }


def _noted(recording: Recording, events: list[Event], kind: str) -> list[dict[str, object]]:
    return [
        {
            "at_s": round(recording.play_time.position_ns(e.time_ns) / 1e9, 3),
            **({"camera": e.camera} if e.camera else {}),
            "text": e.text,
        }
        for e in events
        if e.kind == kind
    ]


def _track(track: Track) -> dict[str, object]:
    known: dict[str, object] = {
        "frames": len(track),
        "fps": _rate_hz(track.times_ns),
        "refined": len(track.refined_times_ns),
        "fps_refined": _rate_hz(track.refined_times_ns),
        "imu": len(track.imu_times_ns),
        "imu_hz": _rate_hz(track.imu_times_ns),
        "remarks": list(track.remarks),
        "gap_max_ms": round(float(np.diff(track.times_ns).max(initial=0)) / 1e6, 3),
    }
    first = next(track.readable(), None)
    if first is None:
        return known
    frame = first[1]
    info = track.info
    return known | {
        "name": info.name if info else None,
        "serial": info.serial if info else None,
        "size": f"{frame.intrinsics.width}x{frame.intrinsics.height}",
        "depth_scale_m": frame.depth_scale_m,
        "alignment": frame.alignment.value,
        "calibration": _calibration(frame.calibration),
    }


def _calibration(calibration: Calibration) -> dict[str, object]:
    return {name: value for name, value in asdict(calibration).items() if value is not None}


def _rate_hz(times_ns: Times) -> float:
    """Return the rate of what came without a long gap; of all where each came after one."""
    steps_ns = np.diff(times_ns)
    near_ns = steps_ns[steps_ns <= LONG_GAP_S * 1e9]
    counted_ns = near_ns if near_ns.any() else steps_ns
    return round(len(counted_ns) / int(counted_ns.sum()) * 1e9, 3) if counted_ns.any() else 0.0


def _options(text: str) -> dict[str, object]:
    if not text:
        return {}
    try:
        options = from_json(text)
    except ValueError as error:
        log.warning("the recording's options are damaged (%s)", error)
        return {}
    return options if isinstance(options, dict) else {}
