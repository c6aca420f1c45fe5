"""Frames and results as items for a file: named, timed, and encoded on threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future

from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.recording.backlog import Item
from lingbot_live.recording.clock import CameraClock, Moment
from lingbot_live.recording.encode import Messages, encode_event, encode_frame, encode_refined
from lingbot_live.recording.format import Event, slug
from lingbot_live.recording.found import TRACKING_ENDS, Found
from lingbot_live.recording.state import RecorderOptions
from lingbot_live.recording.video import GOP, ColorEncoder

Encode = Callable[..., Future[Messages]]  # a function and its arguments, to be called on a thread


class Intake:
    """Makes items; one for all that goes into one recording, on one thread at a time."""

    def __init__(self, options: RecorderOptions) -> None:
        self.clock = CameraClock()
        self.names: dict[str, str] = {}  # of cameras in topics
        self.refiner = ""
        self._options = options
        self._videos: dict[str, ColorEncoder] = {}  # of cameras
        self._begun: dict[str, str] = {}  # by camera what is followed, as its marker says

    def size(self, item: Frame | RefinedFrame | Found) -> int:
        """Return the bytes of what is still to be encoded."""
        if isinstance(item, RefinedFrame):
            return item.depth_m.nbytes + item.mask.nbytes
        return item.nbytes

    def takes(self, camera: str, item: Frame | RefinedFrame | Found) -> bool:
        """Whether it is wanted, and its frame was seen; not one from before, or dropped."""
        if isinstance(item, Frame):
            return True
        if isinstance(item, RefinedFrame) and not self._options.refined:
            return False
        return self.clock.of_earlier(camera, item.frame) is not None

    def items(self, camera: str, item: Frame | RefinedFrame | Found, encode: Encode) -> list[Item]:
        """Return its item, behind the event that it is told by, if any.

        None comes of a result whose frame this never saw: from before, or dropped (and counted).
        """
        if isinstance(item, Frame):
            return [self._frame(camera, item, encode)]
        moment = self.clock.of_earlier(camera, item.frame)
        if moment is None:
            return []
        if isinstance(item, RefinedFrame):
            return self._refined(camera, item, moment, encode)
        return self._found(camera, item, moment, encode)

    def _frame(self, camera: str, frame: Frame, encode: Encode) -> Item:
        if camera not in self.names:
            self.names[camera] = slug(camera, self.names.values())
        moment = self.clock.of_frame(camera, frame)
        quality = None if self._options.lossless else self._options.quality
        name, video = self.names[camera], self._place_in_video(camera)
        messages = encode(encode_frame, frame, name, moment.stamp_ns, quality, video)
        return Item(
            camera, moment, moment.log_ns, frame.index, messages, self.size(frame),
            frame.calibration, stands_alone=video is None or video[1] % GOP == 0,
        )  # fmt: skip

    def _place_in_video(self, camera: str) -> tuple[ColorEncoder, int] | None:
        if self._options.color == "jpeg":
            return None
        encoder = self._videos.setdefault(camera, ColorEncoder(self._options.color))
        return encoder, encoder.ticket()

    def _refined(
        self, camera: str, refined: RefinedFrame, moment: Moment, encode: Encode
    ) -> list[Item]:
        """Behind an event where its refiner is another than before."""
        items = []
        if str(refined.refiner) != self.refiner:
            self.refiner = str(refined.refiner)
            items.append(self.event("refiner", camera, self.refiner))
        messages = encode(
            encode_refined, refined, self.names[camera], moment.stamp_ns, self._options.lossless,
            self._options.trust,
        )  # fmt: skip
        publish_ns = self.clock.epoch_ns(refined.finished_ns)
        index, size = refined.frame.index, self.size(refined)
        items.append(
            Item(camera, moment, publish_ns, index, messages, size, is_refined=True)
        )  # fmt: skip
        return items

    def _found(self, camera: str, found: Found, moment: Moment, encode: Encode) -> list[Item]:
        """Behind a marker where it begins, or with others than before."""
        items = []
        if found.begins and self._begun.get(camera) != found.begins:
            self._begun[camera] = found.begins
            items.append(self.event("marker", camera, found.begins))
        messages = encode(found.messages, self.names[camera], moment.stamp_ns)
        now_ns, index = self.clock.epoch_ns(time.monotonic_ns()), found.frame.index
        items.append(Item(camera, moment, now_ns, index, messages, found.nbytes, is_found=True))
        return items

    def ends(self, camera: str | None = None) -> list[Item]:
        """Return the markers where what was found of a camera ends, or of all."""
        names = list(self._begun) if camera is None else [camera]
        ended = [name for name in names if self._begun.pop(name, None) is not None]
        return [self.event("marker", name, TRACKING_ENDS) for name in ended]

    def event(self, kind: str, camera: str = "", text: str = "", count: int = 0) -> Item:
        """Return the item of something that happens now."""
        now_ns = self.clock.epoch_ns(time.monotonic_ns())
        event = Event(now_ns, kind, camera, text, count)
        return Item(camera, Moment(now_ns, now_ns), now_ns, 0, encode_event(event))
