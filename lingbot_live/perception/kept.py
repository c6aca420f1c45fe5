"""Frames that wait to be fused anew, in a file without a name."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lingbot_live.frame import ColorImage, DepthMap
from lingbot_live.perception.volume import UNIT_M, in_units

_QUICK = -16  # of LZ4: half of the time for a twentieth more bytes


@dataclass(frozen=True, slots=True)
class _Entry:
    at: int
    sizes: tuple[int, ...]  # bytes of the picture, and of each depth
    shape: tuple[int, ...]


class KeptFrames:
    """Colour as JPEG and depths to 0.2 mm, read back by number.

    Raises:
        OSError: the disk is full.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (`close` closes it)
        self._entries: list[_Entry] = []
        self._end = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, color: ColorImage, depths_m: Sequence[DepthMap]) -> None:
        """Keep a frame's colour (H, W, 3) and its depths (H, W), metres."""
        import cv2
        import lz4.frame

        bgr = cv2.cvtColor(color, cv2.COLOR_RGB2BGR)
        parts = [cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()]
        for depth_m in depths_m:
            packed = lz4.frame.compress(in_units(depth_m).tobytes(), compression_level=_QUICK)
            parts.append(packed)
        sizes = tuple(map(len, parts))
        self._file.seek(self._end)
        self._file.write(b"".join(parts))
        self._entries.append(_Entry(self._end, sizes, depths_m[0].shape))
        self._end += sum(sizes)

    def frame(self, number: int) -> tuple[ColorImage, list[DepthMap]]:
        """Return a frame again."""
        import cv2
        import lz4.frame

        entry = self._entries[number]
        self._file.seek(entry.at)
        picture, *packed = (self._file.read(size) for size in entry.sizes)
        bgr = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
        raws = [np.frombuffer(lz4.frame.decompress(part), np.uint16) for part in packed]
        depths = [np.multiply(raw.reshape(entry.shape), np.float32(UNIT_M)) for raw in raws]
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), depths

    def close(self) -> None:
        """Give the disk back; safe more than once."""
        self._file.close()
