"""A session packed smaller, into a new file that is there once it was compared with the old one."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lingbot_live.errors import CorruptRecordingError, RecordingError
from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.recording import compressed_depth
from lingbot_live.recording.encode import Messages
from lingbot_live.recording.format import (
    CAMERA,
    ROLE,
    SESSION,
    VERSION,
    Role,
    from_levels,
    join_depth,
    to_levels,
)
from lingbot_live.recording.mcap import cdr
from lingbot_live.recording.mcap.index import McapFile
from lingbot_live.recording.mcap.records import PREFIX, walk_messages
from lingbot_live.recording.recording import Recording
from lingbot_live.recording.session_file import SessionFile
from lingbot_live.recording.tracks import Track
from lingbot_live.system.outputs import check_apart
from lingbot_live.system.scratch import scratch_folder
from lingbot_live.system.writing import writing

_HEAD = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time

Progress = Callable[[int, int], None]  # frames compared, frames in all


@dataclass(frozen=True, slots=True)
class PackReport:
    """What came of it."""

    frames: int  # compared, each equal to the last bit
    refined: int
    bytes_before: int
    bytes_after: int
    most_rounded_m: float  # of refined depth; 0 unless it was asked for


class _Message(NamedTuple):
    camera: str
    time_ns: int
    publish_ns: int
    sequence: int
    role: Role
    data: bytes

    @property
    def of(self) -> tuple[str, int, int, int]:
        return self.camera, self.time_ns, self.publish_ns, self.sequence


def pack_file(
    source: Path,
    out: Path,
    round_refined: bool = False,
    on_progress: Progress = lambda done, total: None,
) -> PackReport:
    """Pack a session of any earlier version into the new file ``out``; ``source`` is only read.

    Depth becomes RVL, chunks zstd; pictures stay as they were packed. Then every frame of both
    files is compared: colour, raw depth and what belongs to them to the last bit, refined depth
    too unless ``round_refined`` brings it to 16 bit, as sessions are recorded today. Only then
    is ``out`` there.

    Raises:
        RecordingError: ``out`` exists, ``source`` is no session of lingbot-live, or a frame of
            the new file differs.
        CorruptRecordingError: ``source`` is damaged: repair it first.
    """
    if out.exists():
        raise RecordingError(f"{out}: exists already; choose another name")
    check_apart(out, [source])
    with writing(out, RecordingError), scratch_folder(out) as work, writing(out, RecordingError):
        made = work / out.name
        with Recording(source) as before:
            if not before.is_own:
                raise RecordingError(f"{source}: lingbot-live did not record it, so it stays")
            _write(source, made, before.metadata, round_refined)
            with Recording(made) as after:
                report = _compare(before, after, round_refined, on_progress)
        made.replace(out)
    return report


# ---- writing -------------------------------------------------------------------------------------


def _write(source: Path, made: Path, metadata: dict[str, dict[str, str]], rounded: bool) -> None:
    about = {**metadata.get(SESSION, {}), "format": str(VERSION)}
    others = [(name, values) for name, values in metadata.items() if name != SESSION]
    file = McapFile(source)
    try:
        target = SessionFile(made, [(SESSION, about), *others])
        try:
            _copy(file, target, rounded)
            target.finish()
        except BaseException:
            target.abort()
            raise
    finally:
        file.close()


def _copy(file: McapFile, target: SessionFile, rounded: bool) -> None:
    """Write all messages anew; a camera's description stands in each chunk."""
    names = {c.metadata.get(CAMERA): c.topic.split("/")[1] for c in file.index.channels.values()}
    described: dict[str, Messages] = {}
    for of, found in groupby(_messages(file), key=lambda message: message.of):
        camera, time_ns, publish_ns, sequence = of
        messages = _packed([(message.role, message.data) for message in found], rounded)
        if camera and target.first_ns(camera) is None:
            target.add_camera(camera, names[camera], time_ns)
        if messages[0][0] is Role.CAMERA:
            is_new = described.get(camera) != messages
            described[camera] = messages
            if is_new:
                target.describe(camera, time_ns, messages)
            continue
        if camera in described and not target.describes(camera):
            target.describe(camera, time_ns, described[camera])
        target.write(camera, time_ns, publish_ns, sequence, messages)


def _messages(file: McapFile) -> Iterator[_Message]:
    """Yield the messages of a file in its order.

    Raises:
        CorruptRecordingError: a chunk is damaged.
    """
    known: Any = Role._value2member_map_
    channels, described = file.index.channels, ""
    for place in file.index.chunks:
        plain = file.unpack(place)
        for number, time_ns, at in walk_messages(plain):
            length = PREFIX.unpack_from(plain, at)[1]
            _, sequence, _, publish_ns = _HEAD.unpack_from(plain, at + PREFIX.size)
            metadata = channels[number].metadata if number in channels else {}
            role = known.get(metadata.get(ROLE))
            if role is None:
                raise CorruptRecordingError(f"{file.path}: a message of an unknown kind")
            camera = metadata.get(CAMERA, "")
            described = camera if role is Role.CAMERA else described
            data = plain[at + PREFIX.size + _HEAD.size : at + PREFIX.size + length]
            # A sensor's place is told with its camera's description.
            of = described if role is Role.TRANSFORMS else camera
            yield _Message(of, time_ns, publish_ns, sequence, role, data)


def _packed(messages: Messages, rounded: bool) -> Messages:
    """Return the messages of one frame with their depth as RVL."""
    found = dict(messages)
    is_rounded = rounded and Role.REFINED_DEPTH in found
    made: Messages = []
    for role, data in messages:
        if role is Role.DEPTH:
            image = cdr.decode_image(data)
            packed = compressed_depth.encode(image.header, cdr.pixels(image, np.uint16))
            made.append((Role.DEPTH_RVL, packed))
        elif role is Role.REFINED_DEPTH:
            made.append(_packed_refined(found, rounded))
        elif not (role is Role.REFINED_FRACTION and is_rounded):
            made.append((role, data))
    return made


def _packed_refined(found: dict[Role, bytes], rounded: bool) -> tuple[Role, bytes]:
    image = cdr.decode_image(found[Role.REFINED_DEPTH])
    is_exact = image.encoding == "32FC1"
    if is_exact and not rounded:
        return Role.REFINED_DEPTH, found[Role.REFINED_DEPTH]
    if is_exact:
        levels = to_levels(cdr.pixels(image, np.float32))
        return Role.REFINED_RVL, compressed_depth.encode(image.header, *levels)
    whole = cdr.pixels(image, np.uint16)
    if not rounded:  # with its fraction beside it
        return Role.REFINED_RVL, compressed_depth.encode(image.header, whole)
    fraction = cdr.decode_bytes(found[Role.REFINED_FRACTION]).reshape(whole.shape)
    levels = to_levels(join_depth(whole, fraction))
    return Role.REFINED_RVL, compressed_depth.encode(image.header, *levels)


# ---- comparing -----------------------------------------------------------------------------------


def _compare(
    before: Recording, after: Recording, rounded: bool, on_progress: Progress
) -> PackReport:
    """Compare all that can be read of two files; RecordingError where anything differs."""
    if list(before.tracks) != list(after.tracks) or before.events != after.events:
        raise RecordingError(f"{before.path}: packed, it has other cameras or events; not kept")
    total, done, refined, most_m = len(before), 0, 0, 0.0
    for name, old in before.tracks.items():
        new = after.tracks[name]
        if not np.array_equal(old.times_ns, new.times_ns) or old.info != new.info:
            raise RecordingError(f"{before.path}: packed, {name} has other frames; not kept")
        for row in range(len(old)):
            off_m = _compare_frame(old, new, row, rounded)
            refined += off_m is not None
            most_m = max(most_m, off_m or 0.0)
            done += 1
            on_progress(done, total)
    return PackReport(done, refined, before.size_bytes, after.size_bytes, most_m)


def _compare_frame(old: Track, new: Track, row: int, rounded: bool) -> float | None:
    """Return by how much refined depth was rounded, at most; None where there is none."""
    was, found = old.frame(row), new.frame(row)
    if not all(_same(getattr(was, f.name), getattr(found, f.name)) for f in fields(Frame)):
        raise RecordingError(f"{old.name}: packed, frame {row} differs; the new file is not kept")
    was_refined, found_refined = old.refined_of(was, row), new.refined_of(was, row)
    if was_refined is None and found_refined is None:
        return None
    off_m = _refined_off_m(was_refined, found_refined, rounded)
    if off_m is None:
        raise RecordingError(
            f"{old.name}: packed, refined depth of frame {row} differs; the new file is not kept"
        )
    return off_m


def _refined_off_m(
    was: RefinedFrame | None, found: RefinedFrame | None, rounded: bool
) -> float | None:
    """Return the largest difference of depth; None where it is not what it should be."""
    if was is None or found is None or not np.array_equal(was.mask, found.mask):
        return None
    if (was.refiner, was.started_ns, was.finished_ns) != (
        found.refiner, found.started_ns, found.finished_ns,
    ):  # fmt: skip
        return None
    wanted_m = from_levels(*to_levels(was.depth_m)) if rounded else was.depth_m
    if not np.array_equal(found.depth_m, wanted_m):
        return None
    return float(np.abs(was.depth_m - found.depth_m).max())


def _same(one: object, other: object) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return np.array_equal(np.asarray(one), np.asarray(other))
    return one == other
