"""Format ``mp4``: colour, raw depth and refined depth side by side, by PyAV."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from lingbot_live.cameras.playtime import LONG_GAP_S, SHORT_GAP_S
from lingbot_live.colormap import DepthRange, auto_range, colorize
from lingbot_live.errors import ExportError
from lingbot_live.export.shot import Shot, Target
from lingbot_live.frame import ColorImage, DepthMap
from lingbot_live.system.outputs import MARK

if TYPE_CHECKING:
    from av.container import OutputContainer

TIME_BASE = Fraction(1, 90_000)  # of time stamps in the file; every common frame rate is exact
_CODECS = ("libx264", "mpeg4")  # the first that PyAV was built with


class VideoWriter:
    """Writes one video; each picture is shown when the device took it, so drops stay pauses.

    Only after a gap of more than `LONG_GAP_S`, the next one comes `SHORT_GAP_S` later: a video
    cannot hold one of seven hours, and nobody would wait for it.

    The refined column is there if the recording holds refined depth; it is empty where a frame
    does not, or the last one stays. Both depths share one colour scale: the options', or the first
    frame's range.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._container: OutputContainer | None = None
        self._stream: Any = None
        self._scale = DepthRange()
        self._refined_m: DepthMap | None = None  # shown last
        self._size: tuple[int, ...] = ()
        self._taken_s = 0.0  # when the last picture was taken
        self._shown_s = 0.0  # and when it is shown in the video
        self._gaps = self._frames = self._not_refined = 0

    def add(self, shot: Shot) -> None:
        """Encode a frame."""
        import av

        if self._stream is None:
            self._begin(shot)
        if shot.frame.depth_raw.shape != self._size:
            raise ExportError(
                f"mp4: frame {shot.number} is of another size than the first; choose a span of "
                "one size with --frames"
            )
        self._frames += 1
        self._not_refined += shot.refined_m is None
        picture = av.VideoFrame.from_ndarray(_even(self._row(shot)), format="rgb24")
        picture.time_base = TIME_BASE
        picture.pts = round(self._due_s(shot.time_s) / TIME_BASE)
        self._write(picture)

    def finish(self) -> list[str]:
        """Encode what the encoder still holds, and complete the file."""
        self._write(None)
        self.close()
        near, far = self._scale.near_m, self._scale.far_m
        remarks = [f"depth colours run from {near:.2f} to {far:.2f} m"]
        if self._refined_m is not None and self._not_refined:
            remarks.append(f"{self._not_refined} of {self._frames} frames hold no refined depth")
        if self._gaps:
            remarks.append(
                f"in {self._gaps} places there was no frame for over {LONG_GAP_S:g} s; each is "
                f"{SHORT_GAP_S:g} s of the video"
            )
        return remarks

    def close(self) -> None:
        """Close the file."""
        container, self._container = self._container, None
        if container is not None:
            container.close()

    # ---- private -------------------------------------------------------------------------------

    def _begin(self, shot: Shot) -> None:
        import av

        self._taken_s, self._size = shot.time_s, shot.frame.depth_raw.shape
        if self._target.has_refined or shot.refined_m is not None:
            self._refined_m = np.zeros(self._size, np.float32)
        self._scale = self._chosen_scale(shot)
        height, width, _ = _even(self._row(shot)).shape
        codec = next(name for name in _CODECS if name in av.codecs_available)
        # The time stamps decide when a picture is shown; the rate is only a hint for players.
        self._container = av.open(str(self._target.path), "w", format="mp4")
        self._container.metadata["comment"] = f"written by {MARK}"
        stream: Any = self._container.add_stream(codec, rate=30, options=self._options(codec))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = TIME_BASE
        self._stream = stream

    def _due_s(self, taken_s: float) -> float:
        step_s, self._taken_s = taken_s - self._taken_s, taken_s
        if step_s > LONG_GAP_S:
            self._gaps += 1
            step_s = SHORT_GAP_S
        self._shown_s += step_s
        return self._shown_s

    def _options(self, codec: str) -> dict[str, str]:
        quality = round(self._target.number("quality"))
        return {"crf": str(quality)} if codec == "libx264" else {"qscale": str(quality // 4 + 1)}

    def _chosen_scale(self, shot: Shot) -> DepthRange:
        near_m, far_m = self._target.number("near_m"), self._target.number("far_m")
        found = auto_range(shot.frame.depth_m if shot.refined_m is None else shot.refined_m)
        return DepthRange(near_m or found.near_m, far_m or found.far_m)

    def _row(self, shot: Shot) -> ColorImage:
        columns = [shot.frame.color, self._colors(shot.frame.depth_m)]
        if self._refined_m is not None:
            if shot.refined_m is not None:
                self._refined_m = shot.refined_m
            elif self._target.text("not_refined") == "empty":
                self._refined_m = np.zeros_like(self._refined_m)
            columns.append(self._colors(self._refined_m))
        return np.hstack(columns)

    def _colors(self, depth_m: DepthMap) -> ColorImage:
        return colorize(depth_m, self._scale, self._target.text("colors"))

    def _write(self, picture: Any) -> None:
        if self._stream is None or self._container is None:
            return
        for packet in self._stream.encode(picture):
            self._container.mux(packet)


def _even(row: ColorImage) -> ColorImage:
    """Cut off a last odd line or column: the encoder halves both."""
    height, width, _ = row.shape
    return np.ascontiguousarray(row[: height // 2 * 2, : width // 2 * 2])
