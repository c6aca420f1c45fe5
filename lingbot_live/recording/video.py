"""Colour as H.264, H.265 or AV1, a picture a message, and back: by PyAV.

Every `GOP` pictures one stands alone; the others need those since. No picture refers to a later
one, so each message comes at once, as ``foxglove.CompressedVideo`` asks.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from lingbot_live.errors import CorruptRecordingError, RecordingError
from lingbot_live.frame import ColorImage

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

GOP = 15  # pictures from one that stands alone to the next
_RATE = 30  # what an encoder is told; times are those of messages
# By codec, the first that opens here and gives a picture at once: hardware, then software.
_FAST = {"tune": "zerolatency"}
_ENCODERS: dict[str, tuple[tuple[str, dict[str, str]], ...]] = {
    "h264": (
        ("h264_nvenc", {"preset": "p4", "tune": "ull", "delay": "0", "cq": "19"}),
        ("h264_videotoolbox", {"realtime": "1", "q": "80"}),
        ("h264_qsv", {"low_delay_brc": "1", "async_depth": "1", "global_quality": "19"}),
        ("h264_amf", {"usage": "ultralowlatency"}),
        ("libx264", {**_FAST, "preset": "veryfast", "crf": "18"}),
        ("libopenh264", {}),
    ),
    "h265": (
        ("hevc_nvenc", {"preset": "p4", "tune": "ull", "delay": "0", "cq": "21"}),
        ("hevc_videotoolbox", {"realtime": "1", "q": "80"}),
        ("hevc_qsv", {"async_depth": "1", "global_quality": "21"}),
        ("hevc_amf", {"usage": "ultralowlatency"}),
        ("libx265", {**_FAST, "preset": "ultrafast", "crf": "20", "x265-params": "log-level=none"}),
    ),
    "av1": (
        ("av1_nvenc", {"preset": "p4", "tune": "ull", "delay": "0", "cq": "25"}),
        ("av1_qsv", {"async_depth": "1", "global_quality": "25"}),
        (
            "libsvtav1",
            {"preset": "9", "crf": "15", "svtav1-params": "pred-struct=1:lp=1:enable-dlf=1"},
        ),
    ),
}
_DECODERS = {"h264": ("h264",), "h265": ("hevc",), "av1": ("libdav1d", "av1")}


class ColorEncoder:
    """Packs one camera's pictures in order, whichever threads they come on."""

    def __init__(self, codec: str) -> None:
        self.codec = codec
        self._next = 0  # ticket to be given
        self._turn = 0  # whose picture is next
        self._condition = threading.Condition()
        self._context: VideoCodecContext | None = None
        self._size: tuple[int, int] | None = None
        self._since = 0  # pictures since the last that stands alone
        self.name = ""  # of the encoder that serves

    def ticket(self) -> int:
        """Return a place in the order, to be taken once."""
        self._next += 1
        return self._next - 1

    def encode(self, ticket: int, color: ColorImage) -> tuple[bytes, int]:
        """Return the picture's message, and how many came since one that stands alone.

        Raises:
            RecordingError: nothing here packs it so.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._turn == ticket)
        try:
            return self._encode(color)
        finally:
            with self._condition:
                self._turn += 1
                self._condition.notify_all()

    def _encode(self, color: ColorImage) -> tuple[bytes, int]:
        size = color.shape[1], color.shape[0]
        if self._context is None or size != self._size:
            self._size, self._since = size, 0
            return self._open(color), 0
        self._since = (self._since + 1) % GOP
        data = _packed(self._context, color, self._since == 0)
        if data is None:
            raise RecordingError(f"{self.name} gave no picture; record colour as JPEG")
        return data, self._since

    def _open(self, color: ColorImage) -> bytes:
        import av

        os.environ.setdefault("SVT_LOG", "0")  # else it tells of itself on standard error
        for name, options in _ENCODERS[self.codec]:
            try:
                context = _opened(name, options, color.shape[1], color.shape[0])
                data = _packed(context, color, True)
            except (av.FFmpegError, ValueError, OSError):
                continue  # not built in, or its hardware is not here
            if data is not None:
                self._context, self.name = context, name
                return data
        raise RecordingError(f"nothing here packs colour as {self.codec}; record it as JPEG")


class ColorDecoder:
    """Unpacks one camera's pictures; the next in order at once, any other from where it must."""

    def __init__(self, codec: str, packet_at: Callable[[int], tuple[memoryview, int]]) -> None:
        """``packet_at`` gives a frame's message, and how many came since one that stands alone."""
        self._codec, self._packet_at = codec, packet_at
        self._lock = threading.Lock()
        self._context: Any = None
        self._at = -1  # the frame unpacked last
        self._color: ColorImage | None = None

    def color(self, index: int) -> ColorImage:
        """Return the (H, W, 3) RGB picture of a frame.

        Raises:
            CorruptRecordingError: it, or one that it needs, is damaged or missing.
        """
        with self._lock:
            if self._at != index or self._color is None:
                self._color = self._unpacked(index)
                self._at = index
            return self._color

    def _unpacked(self, index: int) -> ColorImage:
        import av

        first = index - self._packet_at(index)[1]
        if first < 0:
            raise CorruptRecordingError(f"frame {index} needs pictures that are missing")
        if self._context is not None and first <= self._at < index:
            begin = self._at + 1
        else:
            begin, self._context = first, _decoder(self._codec)
        self._at = -1
        pictures: list[Any] = []
        try:
            for row in range(begin, index + 1):
                data, since = self._packet_at(row)
                if since != row - first:
                    raise CorruptRecordingError(f"frame {index} needs pictures that are missing")
                pictures = self._context.decode(av.Packet(bytes(data)))
            if not pictures:
                pictures, self._context = self._context.decode(None), None
        except av.FFmpegError as error:
            self._context = None
            raise CorruptRecordingError(f"a colour picture is damaged ({error})") from error
        if not pictures:
            raise CorruptRecordingError("a colour picture is missing in its message")
        color: ColorImage = pictures[-1].to_ndarray(format="rgb24")
        return color


def _opened(name: str, options: dict[str, str], width: int, height: int) -> VideoCodecContext:
    import av

    context: Any = av.CodecContext.create(name, "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, _RATE), Fraction(_RATE)
    context.gop_size, context.max_b_frames = GOP, 0
    context.thread_count = 1
    context.options = options
    context.open()
    opened: VideoCodecContext = context
    return opened


def _packed(context: VideoCodecContext, color: ColorImage, alone: bool) -> bytes | None:
    import av

    picture = av.VideoFrame.from_ndarray(color, format="rgb24").reformat(format="yuv420p")
    picture.pts = None
    kinds = av.video.frame.PictureType
    picture.pict_type = kinds.I if alone else kinds.NONE
    packets = context.encode(picture)
    return b"".join(bytes(packet) for packet in packets) if packets else None


def _decoder(codec: str) -> Any:
    import av

    for name in _DECODERS[codec]:
        if name in av.codecs_available:
            context: Any = av.CodecContext.create(name, "r")
            context.thread_count = 1
            return context
    raise CorruptRecordingError(f"nothing here unpacks colour in {codec}")
