"""Faults put into session files on purpose, and what they may cost: the chunk that was hit.

The chunks of the sound file say which frames a fault touched; a frame may be missing only if its
own chunk was touched, and one chunk more is forgiven.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.frame import Frame
from lingbot_live.recording.mcap.records import CHUNK, record_places, unpack_chunk, walk_messages
from lingbot_live.recording.recording import Recording

Frames = dict[tuple[str, int], Frame]
KB = 1024


@dataclass(frozen=True)
class Sound:
    """A whole session: its bytes, its frames, and where they lie."""

    data: bytes
    frames: Frames
    spans: list[tuple[int, int]]  # of chunks: first byte, end
    owners: dict[tuple[str, int], int]  # chunk of each frame

    @classmethod
    def of(cls, path: Path) -> Sound:
        """Read a whole file."""
        data = path.read_bytes()
        spans = [
            (8 + at, 8 + at + 9 + length)
            for opcode, at, length in record_places(data[8:-8])
            if opcode == CHUNK
        ]
        chunk_of = {}
        for number, (start, end) in enumerate(spans):
            for _, time_ns, _ in walk_messages(unpack_chunk(data[start:end])):
                chunk_of.setdefault(time_ns, number)
        with Recording(path) as recording:
            assert recording.damage == ()
            owners, frames = {}, {}
            for row in range(len(recording)):
                frame = recording[row]
                frames[frame.camera, frame.index] = frame
                owners[frame.camera, frame.index] = chunk_of[int(recording.times_ns[row])]
        return cls(data, frames, spans, owners)

    def most_lost(self, hit: list[tuple[int, int]]) -> int:
        """Return how many frames a fault in these stretches may cost."""
        touched = {
            number
            for number, (start, end) in enumerate(self.spans)
            if any(start < last and first < end for first, last in hit)
        }
        sizes = [sum(o == n for o in self.owners.values()) for n in range(len(self.spans))]
        others = [size for number, size in enumerate(sizes) if number not in touched]
        return sum(sizes[number] for number in touched) + max(others, default=0)


Fault = tuple[bytes, list[tuple[int, int]]]  # the damaged file, and the stretches changed


def flip(sound: Sound, rng: random.Random, low: int = 0, high: int | None = None) -> Fault:
    """Turn one bit over."""
    out = bytearray(sound.data)
    at = rng.randrange(low, high or len(out))
    out[at] ^= 1 << rng.randrange(8)
    return bytes(out), [(at, at + 1)]


def flip_of_index(sound: Sound, rng: random.Random) -> Fault:
    """Turn one bit over outside of chunks, where the smallest part of the file is."""
    ends = [8, *(end for _, end in sound.spans)]
    starts = [*(start for start, _ in sound.spans), len(sound.data)]
    gap = rng.randrange(len(ends))
    return flip(sound, rng, ends[gap], starts[gap])


def flip_of_head(sound: Sound, rng: random.Random) -> Fault:
    """Turn one bit over in a chunk's first 60 bytes."""
    start, _ = rng.choice(sound.spans)
    return flip(sound, rng, start, start + 60)


def length(sound: Sound, rng: random.Random) -> Fault:
    """Write another length into a record's head."""
    out = bytearray(sound.data)
    _, at, old = rng.choice(list(record_places(sound.data[8:-8])))
    new = rng.choice((0, 1, old + 1, old ^ 256, 5000, 90_000, 2**31, 2**40, 2**63, 2**64 - 1))
    struct.pack_into("<Q", out, 8 + at + 1, new)
    return bytes(out), [(8 + at, 8 + at + 9)]


def hole(sound: Sound, rng: random.Random) -> Fault:
    """Overwrite 1 to 256 KB by zeros or by noise."""
    size = min(rng.choice((1, 4, 16, 64, 256)) * KB, len(sound.data) // 2)
    at = rng.randrange(len(sound.data) - size)
    filling = bytes(size) if rng.random() < 0.5 else rng.randbytes(size)
    return sound.data[:at] + filling + sound.data[at + size :], [(at, at + size)]


def gap(sound: Sound, rng: random.Random) -> Fault:
    """Take 1 to 64 KB out, so that all behind moves."""
    size = min(rng.choice((1, 5, 64)) * KB, len(sound.data) // 4)
    at = rng.randrange(len(sound.data) - size)
    return sound.data[:at] + sound.data[at + size :], [(at, at + size)]


def cut(sound: Sound, rng: random.Random) -> Fault:
    """Cut the end off."""
    at = rng.randrange(1000, len(sound.data))
    return sound.data[:at], [(at, len(sound.data))]


FAULTS: dict[str, Callable[[Sound, random.Random], Fault]] = {
    "flip": flip,
    "flip in an index": flip_of_index,
    "flip in a chunk's head": flip_of_head,
    "length": length,
    "hole": hole,
    "bytes taken out": gap,
    "truncation": cut,
}


def right_frames(path: Path, frames: Frames) -> tuple[int, tuple[str, ...]]:
    """Read all that can be read, compare every pixel; return the frames and the damage said."""
    count = 0
    with Recording(path) as recording:
        for frame in recording:
            want = frames[frame.camera, frame.index]
            assert np.array_equal(frame.depth_raw, want.depth_raw)
            assert np.array_equal(frame.color, want.color)
            assert frame.depth_scale_m == want.depth_scale_m
            assert frame.calibration.color == want.calibration.color
            count += 1
        recording.events  # noqa: B018 - must not raise
        return count, recording.damage


@dataclass
class Tally:
    """One kind of fault's results."""

    tried: int = 0
    survived: int = 0  # every frame outside of what was hit
    frames: int = 0
    hit: int = 0  # frames whose own chunk was hit, and one chunk
    lost: int = 0

    def add(self, frames: int, hit: int, lost: int) -> None:
        """Count one file."""
        self.tried += 1
        self.survived += lost <= hit
        self.frames, self.hit, self.lost = self.frames + frames, self.hit + hit, self.lost + lost


def table(title: str, tallies: dict[str, Tally]) -> str:
    """Return the results as text."""
    lines = [f"{title:34} tried survived  frames may be lost   lost"]
    for name, t in tallies.items():
        lines.append(f"  {name:32} {t.tried:5} {t.survived:8} {t.frames:7} {t.hit:11} {t.lost:6}")
    return "\n".join(lines)


def readable(path: Path, frames: Frames) -> tuple[int, tuple[str, ...]]:
    """As `right_frames`; 0 where nothing can be read."""
    try:
        return right_frames(path, frames)
    except CorruptRecordingError as error:
        return 0, (str(error),)
