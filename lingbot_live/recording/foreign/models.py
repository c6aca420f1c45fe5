"""The calibrations that a topic of a file publishes, by time."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.recording.foreign import names
from lingbot_live.recording.foreign.decoders import decoder
from lingbot_live.recording.foreign.lens import Lens, UnusableError, lens
from lingbot_live.recording.foreign.messages import CameraModel, Header, MessageSource
from lingbot_live.recording.foreign.streams import Stream

_MOST_READ = 10_000  # messages without a calibration before a topic counts as having none
_NEAR = 50  # messages around a time that are tried before the first good one is taken
_MOST_KEPT = 8
_ANYWHERE = Header(0, "")


class Models:
    """The lenses of one image topic, described by ``info``. Safe from several threads.

    Raises:
        UnusableError: from the constructor, where no message has a calibration.
    """

    def __init__(self, source: MessageSource, image: Stream, info: Stream) -> None:
        self._source, self._info = source, info
        self._is_rectified = names.says_rectified(image.topic)
        self._kept: dict[tuple[CameraModel, int, int], Lens] = {}
        self._lock = threading.Lock()
        self._first = self._first_good()

    def first(self) -> Lens:
        """Return the first calibration as it is, for its own size of image."""
        m = self._first
        # Where the size is not filled in, the principal point lies about in the middle.
        width, height = m.width or round(2 * m.k[2] + 1), m.height or round(2 * m.k[5] + 1)
        plain = replace(m, width=width, height=height, binning=(0, 0), roi=(0, 0, 0, 0))
        found = lens(plain, width, height, is_rectified=self._is_rectified)
        if doubt := found.intrinsics.doubt:
            raise UnusableError(f"{self._info.topic}: {doubt}")
        return found

    def at(self, time_ns: int, width: int, height: int) -> Lens:
        """Return the lens of an image of this size, logged at this time.

        Raises:
            UnusableError: a calibration is damaged.
        """
        key = self._model(time_ns), width, height
        with self._lock:
            if key not in self._kept:
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.clear()
                self._kept[key] = lens(*key, is_rectified=self._is_rectified)
            return self._kept[key]

    def _model(self, time_ns: int) -> CameraModel:
        times = self._source.times_ns(self._info.channel.number)
        rows = np.argsort(np.abs(times - time_ns), kind="stable")[:_NEAR]
        return next((m for row in rows.tolist() if (m := self._read(row)) is not None), self._first)

    def _first_good(self) -> CameraModel:
        for row in range(min(self._info.channel.count, _MOST_READ)):
            model = self._read(row)
            if model is not None:
                return model
        raise UnusableError(f"{self._info.topic}: the camera is not calibrated (K is 0)")

    def _read(self, row: int) -> CameraModel | None:
        channel, reader = self._info.channel, decoder(self._info.channel.encoding)
        try:
            assert reader is not None
            message = reader.decode(channel, self._source.payload(channel.number, row))
        except CorruptRecordingError:
            return None  # the next one says the same
        if not isinstance(message, CameraModel):
            return None
        if not (np.isfinite(message.k).all() and message.k[0] > 0 and message.k[4] > 0):
            return None
        return replace(message, header=_ANYWHERE)
