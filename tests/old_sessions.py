"""Sessions as version 0.2 recorded them: format 1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.recording import encode
from lingbot_live.recording.format import SESSION, Event, Role, slug
from lingbot_live.recording.mcap import cdr
from lingbot_live.recording.session_file import SessionFile

STEP_M = 0.001 / 256


def on_the_grid(depth_m: np.ndarray) -> np.ndarray:
    """Return depth as format 1 holds it: whole 256ths of a millimetre."""
    return (np.rint(depth_m / STEP_M) * np.float32(STEP_M)).astype(np.float32)


def write(
    path: Path, frames: list[Frame], refined: list[RefinedFrame], exact: bool = False
) -> Path:
    """Write a session of format 1, its depth in plain images."""
    about = {"format": "1", "version": "0.2.0", "options": json.dumps({})}
    file = SessionFile(path, [(SESSION, about), (f"{SESSION}.settings", {"refiner": "x"})], "lz4")
    results = {(r.frame.camera, r.frame.index): r for r in refined}
    names: dict[str, str] = {}
    for number, frame in enumerate(frames):
        name = names.setdefault(frame.camera, slug(frame.camera, names.values()))
        time_ns, stamp_ns = 10**18 + number * 10**7, 10**18 + number * 10**7 + 5
        if file.first_ns(frame.camera) is None:
            file.add_camera(frame.camera, name, time_ns)
        if not file.describes(frame.camera):
            told = encode.encode_camera(None, frame.calibration, name, stamp_ns)
            file.describe(frame.camera, time_ns, told)
        messages = _plain(encode.encode_frame(frame, name, stamp_ns, 90), frame)
        file.write(frame.camera, time_ns, time_ns + 3, frame.index, messages)
        result = results.get((frame.camera, frame.index))
        if result is not None:
            file.write(frame.camera, time_ns, time_ns + 9, frame.index, _old(result, name, exact))
    event = Event(10**18, "marker", text="cup")
    file.write("", event.time_ns, event.time_ns, 0, encode.encode_event(event))
    file.finish()
    return path


def _plain(messages: encode.Messages, frame: Frame) -> encode.Messages:
    header = cdr.Header(10**18, "f")
    depth = (Role.DEPTH, cdr.encode_image(header, "16UC1", frame.depth_raw))
    return [depth if role is Role.DEPTH_RVL else (role, data) for role, data in messages]


def _old(refined: RefinedFrame, name: str, exact: bool) -> encode.Messages:
    messages: Any = encode.encode_refined(refined, name, 10**18, exact)
    if exact:
        return messages
    steps = np.rint(refined.depth_m.astype(np.float64) / STEP_M).astype(np.uint32)
    header = cdr.Header(10**18, "f")
    whole = cdr.encode_image(header, "16UC1", (steps >> 8).astype(np.uint16))
    rest = cdr.Writer().put("I", 0, 0, steps.size).end(steps.astype(np.uint8).tobytes())
    others = [(role, data) for role, data in messages if role is not Role.REFINED_RVL]
    return [(Role.REFINED_DEPTH, whole), (Role.REFINED_FRACTION, rest), *others]
