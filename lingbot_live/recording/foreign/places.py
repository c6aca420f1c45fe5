"""Where the sensors of a file stand to each other, as far as it says so."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

import numpy as np

from lingbot_live.errors import CorruptRecordingError
from lingbot_live.frame import Extrinsics
from lingbot_live.recording.foreign import names, realsense
from lingbot_live.recording.foreign.decoders import decoder
from lingbot_live.recording.foreign.messages import MessageSource, Transforms
from lingbot_live.recording.foreign.streams import Kind, Stream

log = logging.getLogger(__name__)

_MOST_MOVING = 200  # messages read of a topic whose transforms may change


class Places:
    """The coordinate frames of a file as a tree, read once when first asked."""

    def __init__(self, source: MessageSource, streams: Sequence[Stream]) -> None:
        self._source, self._streams = source, streams
        self._near: dict[str, dict[str, Extrinsics]] | None = None  # T_other_name by name, other

    def between(self, color: Stream, depth: Stream) -> Extrinsics | None:
        """Return ``T_color_depth`` of two sensors; None where the file does not say."""
        own = realsense.between(self._source, self._streams, color, depth)
        if own is not None:
            return own
        found = self._path(color.frame_id, depth.frame_id)
        return self._told(color, depth) if found is None else found

    def _path(self, target: str, start: str) -> Extrinsics | None:
        if self._near is None:
            self._near = self._tree()
        start, target = start.lstrip("/"), target.lstrip("/")
        found = {start: Extrinsics()}  # T_name_start
        waiting = deque([start])
        while waiting and target not in found:
            name = waiting.popleft()
            for other, step in self._near.get(name, {}).items():
                if other not in found:
                    found[other] = step @ found[name]
                    waiting.append(other)
        return found.get(target) if start and target else None

    def _tree(self) -> dict[str, dict[str, Extrinsics]]:
        """Return ``T_other_name`` by name and other, of all that are next to each other."""
        near: dict[str, dict[str, Extrinsics]] = {}
        topics = [s for s in self._streams if s.kind is Kind.TRANSFORMS]
        for stream in sorted(topics, key=lambda s: "static" not in s.topic):
            most = stream.channel.count if "static" in stream.topic else _MOST_MOVING
            for message in self._messages(stream, most):
                for t in message.transforms:
                    parent, child = t.parent.lstrip("/"), t.child.lstrip("/")
                    if child and parent and child not in near.get(parent, {}):
                        near.setdefault(parent, {})[child] = t.T_parent_child.inverse()
                        near.setdefault(child, {})[parent] = t.T_parent_child
        return near

    def _told(self, color: Stream, depth: Stream) -> Extrinsics | None:
        """Look for realsense-ros' topic ``extrinsics/depth_to_color`` of the same camera."""
        for stream in self._streams:
            fits = stream.topic.endswith("depth_to_color") and stream.kind is Kind.TRANSFORMS
            if fits and not names.contradict(stream.topic.replace("extrinsics", ""), depth.topic):
                for message in self._messages(stream, 1):
                    return message.transforms[0].T_parent_child if message.transforms else None
        return None

    def _messages(self, stream: Stream, most: int) -> list[Transforms]:
        channel, reader = stream.channel, decoder(stream.channel.encoding)
        found: list[Transforms] = []
        if reader is None:
            return found
        for row in range(min(channel.count, most)):
            try:
                message = reader.decode(channel, self._source.payload(channel.number, row))
            except CorruptRecordingError as error:
                log.info("%s: transforms passed over: %s", stream.topic, error)
                continue
            if isinstance(message, Transforms):
                found.append(message)
        return found


def through(color: Extrinsics, T_color_depth: Extrinsics, depth: Extrinsics) -> Extrinsics:
    """Return ``T_color_depth`` for rectified images, which were turned by these."""
    found = color @ T_color_depth @ depth.inverse()
    near = np.allclose(found.matrix, np.eye(4), atol=1e-9)
    return Extrinsics() if near else found
