"""A new session file of frames and what was found in them: grasps, tracks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from lingbot_live.cameras.base import CameraInfo
from lingbot_live.errors import RecordingError
from lingbot_live.frame import RefinedFrame
from lingbot_live.recording.clock import Moment
from lingbot_live.recording.encode import (
    Messages,
    encode_event,
    encode_frame,
    encode_refined,
)
from lingbot_live.recording.format import Event, slug
from lingbot_live.recording.parts import Parts
from lingbot_live.recording.state import RecorderOptions
from lingbot_live.system.writing import writing

_QUALITY = 95  # of JPEG


class Results:
    """Writes frames, their refined depth, and further messages of each; of cameras by their place.

    Raises:
        RecordingError: the file exists or cannot be made; the disk is full.
    """

    def __init__(self, path: Path, cameras: Sequence[CameraInfo]) -> None:
        self._path, self._cameras = path, tuple(cameras)
        self.names: list[str] = []  # in topics
        for info in cameras:
            self.names.append(slug(info.address, self.names))
        self._began_ns = time.time_ns()
        self._moment: Moment | None = None  # of the frame that `stamp_ns` was asked for
        self._parts = Parts(path, RecorderOptions(), {}, 0)
        self._is_open = True

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish()
        else:
            self.close()

    def finish(self) -> None:
        """End the file.

        Raises:
            RecordingError: the disk did not take it, or another program changed it.
        """
        self._is_open = False
        with writing(self._path, RecordingError):
            mishap = self._parts.close()
        if mishap is not None:
            raise RecordingError(mishap.text)

    def close(self) -> None:
        """Let go of a file that came to no end, with the frames that are in it; or none is left."""
        if self._is_open:
            self._is_open = False
            self._parts.abort()
            self._parts.remove_empty()

    def stamp_ns(self, time_s: float) -> int:
        """Return the time since 1970 for messages about the next frame.

        ``time_s`` since the first is the frame's own time, however fast frames are looked at.
        """
        time_ns = self._began_ns + round(1e9 * time_s)
        if self._moment is not None:  # a recording that loops begins its clock anew
            time_ns = max(time_ns, self._moment.log_ns + 1)
        self._moment = Moment(time_ns, time_ns)
        return time_ns

    def add(self, place: int, refined: RefinedFrame, further: Messages) -> None:
        """Write the frame of the camera at this place that `stamp_ns` was asked for."""
        moment, frame = self._now(), refined.frame
        info, name = self._cameras[place], self.names[place]
        with writing(self._path, RecordingError):
            self._parts.describe(info.address, name, moment, info, frame.calibration)
            messages = encode_frame(frame, name, moment.stamp_ns, _QUALITY)
            messages += encode_refined(refined, name, moment.stamp_ns, False)
            self._parts.write(
                info.address, moment, moment.log_ns, frame.index, [*messages, *further]
            )

    def mark(self, text: str) -> None:
        """Note a marker at the last frame."""
        moment = self._now()
        camera = self._cameras[0].address if len(self._cameras) == 1 else ""
        event = Event(moment.log_ns, "marker", camera, text)
        with writing(self._path, RecordingError):
            self._parts.write("", moment, moment.log_ns, 0, encode_event(event))

    def _now(self) -> Moment:
        if self._moment is None:
            raise RecordingError(f"{self._path}: no frame yet; ask for its stamp first")
        return self._moment
