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
_MOST_VALUE = 1e5  # of a focal length in pixels, and far beyond any distortion's
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
        self._judged: dict[CameraModel, str] = {}  # what is wrong with them
        self._lock = threading.Lock()
        self._first = self._first_good()

    def first(self) -> Lens:
        """Return the first calibration as it is, for its own size of image."""
        return self._whole(self._first)

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

    def _whole(self, m: CameraModel) -> Lens:
        """Return the lens of the whole sensor; UnusableError where it cannot be one."""
        if not np.isfinite((*m.k, *m.p, *m.d)).all() or max(map(abs, (*m.k, *m.d))) > _MOST_VALUE:
            raise UnusableError(f"K {m.k} or D {m.d} cannot be those of a camera")
        # Where the size is not filled in, the principal point lies about in the middle.
        width, height = m.width or round(2 * m.k[2] + 1), m.height or round(2 * m.k[5] + 1)
        plain = replace(m, width=width, height=height, binning=(0, 0), roi=(0, 0, 0, 0))
        found = lens(plain, width, height, is_rectified=self._is_rectified)
        if doubt := found.intrinsics.doubt:
            raise UnusableError(doubt)
        return found

    def _model(self, time_ns: int) -> CameraModel:
        times = self._source.times_ns(self._info.channel.number)
        rows = np.argsort(np.abs(times - time_ns), kind="stable")[:_NEAR]
        for row in rows.tolist():
            model = self._read(row)
            if isinstance(model, CameraModel):
                return model
        return self._first

    def _first_good(self) -> CameraModel:
        why = ""
        for row in range(min(self._info.channel.count, _MOST_READ)):
            model = self._read(row)
            if isinstance(model, CameraModel):
                return model
            why = why or model
        raise UnusableError(f"{self._info.topic}: {why}")

    def _read(self, row: int) -> CameraModel | str:
        """Return a calibration, or what is wrong with it."""
        channel, reader = self._info.channel, decoder(self._info.channel.encoding)
        if reader is None:
            return f"messages in {channel.encoding!r} are not read"
        try:
            message = reader.decode(channel, self._source.payload(channel.number, row))
        except CorruptRecordingError as error:
            return str(error)
        if not isinstance(message, CameraModel):
            return "it holds no calibrations"
        model = replace(message, header=_ANYWHERE)
        with self._lock:
            if model not in self._judged:
                if len(self._judged) >= _MOST_KEPT:
                    self._judged.clear()
                self._judged[model] = self._fault(model)
            return self._judged[model] or model

    def _fault(self, model: CameraModel) -> str:
        try:
            self._whole(model)
        except UnusableError as error:
            return str(error)
        return ""
