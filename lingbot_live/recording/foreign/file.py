"""One file of another program: its cameras, and what each of its topics is used for."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass

from lingbot_live.errors import NoCameraError
from lingbot_live.recording.foreign import realsense
from lingbot_live.recording.foreign.geometry import View
from lingbot_live.recording.foreign.lens import UnusableError
from lingbot_live.recording.foreign.matching import Match, Matches, match, match_named
from lingbot_live.recording.foreign.messages import MessageSource
from lingbot_live.recording.foreign.pairing import pair
from lingbot_live.recording.foreign.places import Places
from lingbot_live.recording.foreign.streams import Stream, survey
from lingbot_live.recording.foreign.topics import Topics
from lingbot_live.recording.foreign.track import ForeignTrack
from lingbot_live.recording.format import MILLIMETRE_M


@dataclass(frozen=True, slots=True)
class TopicUse:
    """One line of the table of a file's topics."""

    topic: str
    type: str
    encoding: str  # of its messages
    messages: int
    use: str  # in words


class ForeignFile:
    """What is made of a source: ``tracks``, in order of their topics; empty where none can be.

    ``file`` as in `pair`.
    """

    def __init__(
        self, source: MessageSource, topics: Topics | None = None, file: Hashable | None = None
    ) -> None:
        self._file = file
        self._streams = survey(source)
        if topics is None:
            self._matches = match(self._streams)
        else:
            self._matches = Matches((match_named(self._streams, topics),), {})
        self._missing = dict(self._matches.missing)
        self.tracks: list[ForeignTrack] = []
        places = Places(source, self._streams)
        for one in self._matches.found:
            track = self._track(source, one, places)
            if track is not None:
                self.tracks.append(track)

    def _track(self, source: MessageSource, one: Match, places: Places) -> ForeignTrack | None:
        try:
            view = View(source, one, places, realsense.baseline_m(source, self._streams, one.depth))
        except UnusableError as error:
            self._missing[one.depth.topic] = str(error)
            return None
        pairs = pair(source, one.depth.channel, one.color.channel, self._file)
        if not len(pairs.depth):
            self._missing[one.depth.topic] = (
                f"none of its {pairs.alone} images was taken at the time of one of "
                f"{one.color.topic} (by {pairs.by})"
            )
            return None
        unit_m = realsense.unit_m(source, self._streams, one.depth) or MILLIMETRE_M
        return ForeignTrack(source, one, pairs, view, unit_m)

    @property
    def topics(self) -> list[TopicUse]:
        """All topics that have messages, in the file's order."""
        return [
            TopicUse(s.topic, s.channel.schema, s.channel.encoding, s.channel.count, self._use(s))
            for s in self._streams
        ]

    def nothing(self, who: str) -> NoCameraError:
        """Return the error of a file without a camera: what is missing, and what there is."""
        missing = "; ".join(f"{topic}: {why}" for topic, why in self._missing.items())
        there = "; ".join(
            f"{t.topic} ({t.type}, {t.messages} messages: {t.use})" for t in self.topics
        )
        return NoCameraError(
            f"{who}: no camera can be made of it. "
            f"{missing or 'No topic holds depth (16UC1, 32FC1, 64FC1, compressedDepth)'}. "
            f"Its topics: {there}. Name those that belong together: FILE#DEPTH,COLOR,CAMERA_INFO",
            table(self.topics),
        )

    def _use(self, stream: Stream) -> str:
        words = f"{stream.kind.value}{', ' + stream.encoding if stream.encoding else ''}"
        if stream.why:
            return f"{words}: {stream.why}"
        if stream.topic in self._missing:
            return f"{words}: {self._missing[stream.topic]}"
        of = [name for one in self._matches.found for name in _parts(one, stream)]
        return f"{words} of {', '.join(dict.fromkeys(of))}" if of else words


def _parts(one: Match, stream: Stream) -> list[str]:
    parts = (one.depth, one.color, one.color_info, one.depth_info)
    return [one.name for part in parts if part is not None and part.topic == stream.topic]


def table(topics: Sequence[TopicUse]) -> list[str]:
    """Return lines of equal columns: topic, type, encoding, messages, use."""
    rows = [[str(value) for value in asdict(topic).values()] for topic in topics]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
    return [
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[4]]).rstrip()
        for row in rows
    ]
