"""The topics of librealsense's own recorder, in whatever container they came.

``/device_0/sensor_0/Depth_0/...``: a sensor's options are texts, ``.../option/Depth_Units/value``;
``.../Depth_0/tf/ref_1`` holds the transform from the stream ``ref_1`` to this one, rotation by
columns. Read off the files that it writes.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence

import numpy as np

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.frame import Extrinsics
from lingbot_live.recording.foreign.messages import MessageSource, Text
from lingbot_live.recording.foreign.streams import Stream, first_whole

log = logging.getLogger(__name__)

_STREAM = re.compile(r"(/device_\d+/sensor_\d+)/([^/]+)/image/data")
_NUMBERS = re.compile(r"(rotation|translation)=([-+0-9.eE,]+)")
_METADATA_UNIT = re.compile(r"depth_units=([-+0-9.eE]+)")


def unit_m(source: MessageSource, streams: Sequence[Stream], depth: Stream) -> float | None:
    """Return metres per unit of depth; None where ``depth`` is no such topic or nothing is said."""
    place = _STREAM.match(depth.topic)
    if place is None:
        return None
    said = _option(source, streams, place[1], "Depth_Units")
    if said is None:
        metadata = _text(source, streams, f"{place[1]}/{place[2]}/image/metadata") or ""
        said = note[1] if (note := _METADATA_UNIT.search(metadata)) else None
    value = _number(said)
    if said is not None and not 0 < value < 1:
        log.warning("%s: its unit is said to be %r; millimetres are taken", depth.topic, said)
    return value if 0 < value < 1 else None


def baseline_m(source: MessageSource, streams: Sequence[Stream], depth: Stream) -> float | None:
    """Return how far the infrared cameras stand apart; None where it is not said."""
    place = _STREAM.match(depth.topic)
    said = None if place is None else _option(source, streams, place[1], "Stereo_Baseline")
    return abs(_number(said)) / 1000 or None


def between(
    source: MessageSource, streams: Sequence[Stream], color: Stream, depth: Stream
) -> Extrinsics | None:
    """Return ``T_color_depth`` of two such topics; None where it is not told for both."""
    found = [_from_reference(source, streams, stream) for stream in (color, depth)]
    for name, to_color in found[0].items():
        if name in found[1]:
            return to_color @ found[1][name].inverse()
    return None


def _from_reference(
    source: MessageSource, streams: Sequence[Stream], stream: Stream
) -> dict[str, Extrinsics]:
    place = _STREAM.match(stream.topic)
    if place is None:
        return {}
    prefix = f"{place[1]}/{place[2]}/tf/"
    found = {}
    for other in streams:
        if other.topic.startswith(prefix):
            values = dict(_NUMBERS.findall(_text(source, streams, other.topic) or ""))
            try:
                turn = np.array(values["rotation"].split(","), np.float64).reshape(3, 3).T
                shift = np.array(values["translation"].split(","), np.float64).reshape(3, 1)
            except (KeyError, ValueError) as error:
                log.warning("%s: no transform can be read: %r", other.topic, error)
                continue
            found[other.topic[len(prefix) :]] = Extrinsics.from_matrix(np.hstack([turn, shift]))
    return found


def _option(source: MessageSource, streams: Sequence[Stream], sensor: str, name: str) -> str | None:
    """Return an option's value; earlier recorders write spaces in its name."""
    topics = (f"{sensor}/option/{spelt}/value" for spelt in (name, name.replace("_", " ")))
    return next((text for topic in topics if (text := _text(source, streams, topic))), None)


def _number(text: str | None) -> float:
    """Return a finite number; 0 for anything else."""
    try:
        value = float(text or 0)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0


def _text(source: MessageSource, streams: Sequence[Stream], topic: str) -> str | None:
    for stream in streams:
        if stream.topic == topic:
            try:
                message = first_whole(source, stream.channel)
            except CorruptRecordingError as error:
                log.info("%s: passed over: %s", topic, error)
                return None
            return message.text if isinstance(message, Text) else None
    return None
