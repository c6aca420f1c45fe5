"""A camera somewhere else, whose images come as messages: matched like those of a file."""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections import deque
from dataclasses import dataclass, replace
from typing import Protocol

from drivers.common.heard import Arrival, Heard
from lingbot_live.cameras.base import Camera, CameraInfo, Capture
from lingbot_live.config import CameraConfig
from lingbot_live.errors import (
    CameraDisconnectedError,
    CameraError,
    CameraNotFoundError,
    CorruptRecordingError,
)
from lingbot_live.recording.foreign import pixels, realsense
from lingbot_live.recording.foreign.decoders import decoder
from lingbot_live.recording.foreign.geometry import View
from lingbot_live.recording.foreign.lens import UnusableError
from lingbot_live.recording.foreign.matching import Match, match
from lingbot_live.recording.foreign.messages import CompressedImage, Image
from lingbot_live.recording.foreign.places import Places
from lingbot_live.recording.foreign.streams import Stream, survey
from lingbot_live.recording.format import MILLIMETRE_M
from lingbot_live.system.held import Held

CAMERA_TOPIC = "/camera"  # behind a camera's name: what lingbot-live says of it beside its images
_FIRST_S = 8.0  # for a camera to be found
_SETTLED_S = 0.4  # without a new topic, all that there is has come
_LOOK_S = 0.05
_CLOCK_FRAMES = 30  # of which the quickest tells the clocks' difference


class Link(Protocol):
    """A connection that fills a `Heard`."""

    def keep(self, channels: set[int]) -> None:
        """Ask for no others from now on."""

    def round_trip_s(self) -> float:
        """Return how long a message takes there and back; 0 where that cannot be told."""

    def close(self) -> None:
        """Let go; safe more than once."""


@dataclass(frozen=True, slots=True)
class _Found:
    match: Match
    view: View
    unit_m: float


class LiveCamera(Camera):
    """Reads pairs of images off a `Link`. Depth is as it was sent, to the bit.

    ``missed`` counts ``overtaken`` images, which came and were not read in time or had no partner.
    What is measured of the sender's clock stands in ``info.details``.
    """

    _heard = Held[Heard]()
    _found = Held[_Found]()

    def __init__(self, info: CameraInfo, config: CameraConfig) -> None:
        super().__init__(info, config)
        self._link: Link | None = None
        self._delays_ns: deque[int] = deque(maxlen=_CLOCK_FRAMES)

    @abstractmethod
    def _connect(self, heard: Heard) -> Link:
        """Return a link that fills ``heard``.

        Raises:
            CameraNotFoundError: nobody is there.
        """

    @abstractmethod
    def _is_wanted(self, topic: str) -> bool:
        """Whether a topic belongs to this camera."""

    def _cam_open(self) -> None:
        self._heard = heard = Heard()
        self._link = self._connect(heard)
        self._found = self._matched(heard)
        self._link.keep(self._channels())
        self._delays_ns.clear()

    def _cam_read(self, timeout_s: float) -> Capture | None:
        heard, one = self._heard, self._found.match
        pair = heard.take_pair(one.depth.channel.number, one.color.channel.number, timeout_s)
        self.missed["overtaken"] += heard.overtaken
        heard.overtaken = 0
        if pair is None and heard.error:
            raise CameraDisconnectedError(f"{self.info.address}: {heard.error}")
        if pair is None:
            return None
        self._note_clock(pair[0])
        return self._capture(*pair)

    def _cam_close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()
        self._heard = self._found = None

    # ---- private -----------------------------------------------------------------------------

    def _capture(self, depth: Arrival, color: Arrival) -> Capture:
        found = self._found
        one, unit_m = found.match, found.unit_m
        image = _picture(one.depth, depth.data)
        raw, out = pixels.depth(image, one.depth.topic, unit_m)
        rgb = pixels.color(_picture(one.color, color.data), one.color.topic)
        seen = found.view.see(rgb, raw, unit_m, depth.stamp_ns)
        return Capture(
            color=seen.color, depth_raw=seen.depth_raw, depth_scale_m=unit_m,
            calibration=seen.calibration, arrival_ns=max(depth.arrival_ns, color.arrival_ns),
            device_timestamp_us=image.header.stamp_ns // 1000, alignment=seen.alignment,
            out_of_range=out,
        )  # fmt: skip

    def _matched(self, heard: Heard) -> _Found:
        """Return what images there are, once all topics have had time to come."""
        until, settled, before = time.monotonic() + _FIRST_S, 0.0, 0
        why = "no depth and colour images"
        while time.monotonic() < until and not heard.error:
            snapshot = heard.snapshot()
            if len(snapshot.channels) != before:
                before, settled = len(snapshot.channels), time.monotonic() + _SETTLED_S
            if before and time.monotonic() >= settled:
                try:
                    found = self._match(heard)
                except (UnusableError, CameraError) as error:
                    found, why = None, str(error)
                if found is not None:
                    return found
            time.sleep(_LOOK_S)
        if heard.error:
            raise CameraDisconnectedError(f"{self.info.address}: {heard.error}")
        raise CameraNotFoundError(f"{self.info.address}: no camera is published there ({why})")

    def _match(self, heard: Heard) -> _Found | None:
        source = heard.snapshot()
        streams = [s for s in survey(source) if self._is_wanted(s.topic)]
        matches = match(streams)
        if not matches.found and matches.missing:
            raise CameraError("; ".join(f"{t}: {why}" for t, why in matches.missing.items()))
        if not matches.found:
            return None
        one = min(matches.found, key=_preference)
        baseline_m = realsense.baseline_m(source, streams, one.depth)
        view = View(source, one, Places(source, streams), baseline_m)
        unit_m = self._unit_m(heard, one) or realsense.unit_m(source, streams, one.depth)
        return _Found(one, view, unit_m or MILLIMETRE_M)

    def _unit_m(self, heard: Heard, one: Match) -> float | None:
        """Return metres per unit as lingbot-live tells them; None from all others."""
        name = one.depth.topic.removesuffix("/depth/image")
        for channel in heard.snapshot().channels:
            newest = heard.newest(channel.number)
            if channel.topic == f"{name}{CAMERA_TOPIC}" and newest is not None:
                return _told_unit_m(newest.data)
        return None

    def _channels(self) -> set[int]:
        one = self._found.match
        streams = (one.depth, one.color)
        return {s.channel.number for s in streams if s is not None}

    def _note_clock(self, depth: Arrival) -> None:
        """Tell how far the sender's clock is ahead, from the message that came quickest."""
        now_ns = time.time_ns() - (time.monotonic_ns() - depth.arrival_ns)
        self._delays_ns.append(now_ns - (depth.log_ns or depth.stamp_ns))
        if self._link is None or len(self._delays_ns) != _CLOCK_FRAMES:
            return
        one_way_s = self._link.round_trip_s() / 2
        ahead_ms = (one_way_s - min(self._delays_ns) / 1e9) * 1e3
        details = {**self.info.details, "clock ahead": f"{ahead_ms:+.1f} ms"}
        self.info = replace(self.info, details=details)
        self._delays_ns.clear()


def _preference(one: Match) -> tuple[bool, bool]:
    return "refined" in one.depth.topic, one.depth.encoding not in ("16UC1", "mono16")


def _picture(stream: Stream, data: bytes) -> Image | CompressedImage:
    reader = decoder(stream.channel.encoding)
    message = None if reader is None else reader.decode(stream.channel, data)
    if not isinstance(message, Image | CompressedImage):
        raise CorruptRecordingError(f"{stream.topic}: it holds no images")
    return message


def _told_unit_m(data: bytes) -> float | None:
    try:
        unit_m = float(json.loads(data)["depth_scale_m"])
    except (ValueError, KeyError, TypeError):
        return None
    return unit_m if 0 < unit_m < 1 else None
