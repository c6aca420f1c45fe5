"""The frames of one camera in another program's file."""

from __future__ import annotations

import cv2

from lingbot_live.cameras.base import CameraInfo
from lingbot_live.cameras.previews import shrink
from lingbot_live.errors import CameraError, CorruptRecordingError
from lingbot_live.frame import ColorImage, Frame
from lingbot_live.recording.foreign import pixels
from lingbot_live.recording.foreign.decoders import decoder
from lingbot_live.recording.foreign.geometry import View
from lingbot_live.recording.foreign.matching import Match
from lingbot_live.recording.foreign.messages import CompressedImage, Image, MessageSource
from lingbot_live.recording.foreign.pairing import Pairs
from lingbot_live.recording.foreign.streams import Stream
from lingbot_live.recording.tracks import Track


class ForeignTrack(Track):
    """Depth frames with the colour taken at the same time.

    Depth that is not aligned to colour is registered to it. Depth in metres is rounded to
    millimetres; where depth is aligned but of another size, colour is scaled to it.
    """

    def __init__(
        self, source: MessageSource, match: Match, pairs: Pairs, view: View, unit_m: float
    ) -> None:
        times = source.times_ns(match.depth.channel.number)
        super().__init__(match.name, times[pairs.depth])
        self._source, self._match, self._pairs = source, match, pairs
        self._view, self._unit_m = view, unit_m
        alone = f"{pairs.alone} depth images have no colour image of their time and are left out"
        self._remarks = (*view.remarks, *((alone,) if pairs.alone else ()))

    @property
    def info(self) -> CameraInfo | None:
        """Unknown to such files."""
        return None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was assumed of the file, and what of it is left out."""
        return self._remarks

    def frame(self, index: int, *, extras: bool = True) -> Frame:
        """Return the frame at ``index``; CorruptRecordingError where a part of it is damaged."""
        depth, color = self._match.depth, self._match.color
        depth_message = self._picture(depth, int(self._pairs.depth[index]))
        color_message = self._picture(color, int(self._pairs.color[index]))
        raw, out = pixels.depth(depth_message, depth.topic, self._unit_m)
        image, time_ns = pixels.color(color_message, color.topic), int(self.times_ns[index])
        try:
            seen = self._view.see(image, raw, self._unit_m, time_ns)
            return Frame(
                self.name, index, time_ns, depth_message.header.stamp_ns // 1000, seen.color,
                seen.depth_raw, self._unit_m, seen.calibration, alignment=seen.alignment,
                out_of_range=out,
            )  # fmt: skip
        except (CameraError, cv2.error) as error:
            raise CorruptRecordingError(f"{self.name}: frame {index}: {error}") from error

    def preview(self, index: int) -> ColorImage:
        """Return a frame's colour, made small; depth is not looked at for it."""
        color = self._match.color
        message = self._picture(color, int(self._pairs.color[index]))
        return shrink(pixels.color(message, color.topic))

    def _picture(self, stream: Stream, row: int) -> Image | CompressedImage:
        channel, reader = stream.channel, decoder(stream.channel.encoding)
        if reader is None:
            raise CorruptRecordingError(f"{stream.topic}: its messages are not read")
        message = reader.decode(channel, self._source.payload(channel.number, row))
        if not isinstance(message, Image | CompressedImage):
            raise CorruptRecordingError(f"{stream.topic}: it holds no images")
        return message
