"""Tracks as one picture: trails on each camera's last frame, and beside it as seen from above."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.colormap import point_colors
from lingbot_live.errors import WriteError
from lingbot_live.export.tracks import Moment, Seen, TrackedCamera, TrackFile
from lingbot_live.frame import ColorImage
from lingbot_live.system.outputs import marked_png
from lingbot_live.system.writing import write_bytes

_HEIGHT, _GAP, _MARGIN = 480, 6, 24  # pixels
_PAPER, _LINE, _INK = (250, 250, 250), (215, 218, 222), (60, 64, 70)
_STEPS_M = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)  # between the lines of the view from above
_LINES = 8  # of them at most
_SHARE = (1, 99)  # percent of all places that the view from above is made for
_DOT_PX = 3
_BITS = 4  # of OpenCV's fractions of a pixel

Floats = npt.NDArray[np.float64]


class PictureTracks(TrackFile):
    """A row a camera: its last frame with the trails in it, and the same trails in space."""

    def __init__(self, path: Path, cameras: Sequence[TrackedCamera]) -> None:
        super().__init__(path, cameras)
        self._last: dict[int, Seen] = {}
        self._pixels: defaultdict[int, list[Floats]] = defaultdict(list)  # by camera: (N, 2) each
        self._points_m: defaultdict[int, list[Floats]] = defaultdict(list)  # (N, 3) each

    def add(self, moment: Moment) -> None:
        """Take the points of the next moment."""
        for seen in moment.seen:
            self._last[seen.camera] = seen
            self._pixels[seen.camera].append(seen.tracked.pixels.astype(np.float64))
            self._points_m[seen.camera].append(self.points(seen).astype(np.float64))

    def finish(self) -> None:
        """Write the picture; WriteError where it cannot be coded or written."""
        rows = [self._row(camera) for camera in sorted(self._last)]
        width = max(row.shape[1] for row in rows)
        padded = [
            np.pad(row, ((0, _GAP), (0, width - row.shape[1]), (0, 0)), constant_values=250)
            for row in rows
        ]
        done, coded = cv2.imencode(".png", np.concatenate(padded)[:-_GAP, :, ::-1])
        if not done:
            raise WriteError(f"{self.path}: {len(rows)} rows of pictures cannot be coded as PNG")
        write_bytes(self.path, marked_png(coded.tobytes()))

    def _row(self, camera: int) -> ColorImage:
        seen = self._last[camera]
        color, colors = seen.refined.frame.color, point_colors(seen.numbers)
        factor = _HEIGHT / color.shape[0]
        shown = cv2.resize(color, (round(color.shape[1] * factor), _HEIGHT))
        trails = np.stack(self._pixels[camera], axis=1)  # (N, T, 2)
        _draw(shown, (trails + 0.5) * factor - 0.5, colors)
        above = _from_above(np.stack(self._points_m[camera], axis=1), colors)
        gap = np.full((_HEIGHT, _GAP, 3), _PAPER, np.uint8)
        return np.concatenate([shown, gap, above], axis=1)


def _from_above(points_m: Floats, colors: npt.NDArray[np.uint8]) -> ColorImage:
    """Return trails (N, T, 3) from above, x to the right and z upwards, on lines in metres."""
    view = np.full((_HEIGHT, _HEIGHT, 3), _PAPER, np.uint8)
    flat = points_m[..., ::2]  # x, z
    known = flat[np.isfinite(flat).all(-1)]
    if not len(known):
        return view
    low, high = np.percentile(known, _SHARE, axis=0)
    across_m = max(float((high - low).max()), _STEPS_M[0])
    scale = (_HEIGHT - 2 * _MARGIN) / across_m
    middle = (low + high) / 2

    def placed(places_m: Floats) -> Floats:
        return np.asarray(_HEIGHT / 2 + (places_m - middle) * scale * (1, -1), np.float64)

    _draw_lines(view, middle - _HEIGHT / 2 / scale, across_m, scale)
    _draw(view, placed(flat), colors)
    return view


def _draw_lines(view: ColorImage, low_m: Floats, across_m: float, scale: float) -> None:
    step_m = next((step for step in _STEPS_M if across_m / step <= _LINES), across_m / _LINES)
    for axis in (0, 1):
        first = np.ceil(low_m[axis] / step_m)
        for number in range(int(_HEIGHT / scale / step_m) + 1):
            at = round(((first + number) * step_m - low_m[axis]) * scale)
            up = _HEIGHT - at
            first_px, last_px = ((0, up), (_HEIGHT, up)) if axis else ((at, 0), (at, _HEIGHT))
            cv2.line(view, first_px, last_px, _LINE, 1)
    text = f"from above, lines {step_m:g} m apart"
    cv2.putText(view, text, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)


def _draw(picture: ColorImage, trails: Floats, colors: npt.NDArray[np.uint8]) -> None:
    """Draw trails (N, T, 2) of pixels, where they are known, and a dot where each ends."""
    for trail, color in zip(trails, colors.tolist(), strict=True):
        known = trail[np.isfinite(trail).all(-1)]
        if len(known):
            fine = np.rint(known * (1 << _BITS)).astype(np.int32)
            cv2.polylines(picture, [fine], False, color, 1, cv2.LINE_AA, _BITS)
            cv2.circle(picture, fine[-1].tolist(), _DOT_PX << _BITS, color, -1, cv2.LINE_AA, _BITS)
