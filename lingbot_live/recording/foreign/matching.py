"""Which topics make a camera: depth, its best transport, its colour, their calibrations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lingbot_live.errors import RecordingError, did_you_mean
from lingbot_live.recording.foreign import names
from lingbot_live.recording.foreign.streams import Kind, Stream
from lingbot_live.recording.foreign.topics import Topics


@dataclass(frozen=True, slots=True)
class Match:
    """The topics of one camera."""

    name: str
    depth: Stream
    color: Stream
    color_info: Stream | None
    depth_info: Stream | None


@dataclass(frozen=True, slots=True)
class Matches:
    """All cameras of a file, and what is missing for those depth topics that make none."""

    found: tuple[Match, ...]
    missing: dict[str, str]  # by topic of depth, in words


def match(streams: Sequence[Stream]) -> Matches:
    """Match topics to cameras by their names and coordinate frames."""
    depths = _best_transports(s for s in streams if s.kind is Kind.DEPTH)
    colors = _best_transports(s for s in streams if s.kind is Kind.COLOR)
    # An infrared image is better than none where there is no colour in the whole file.
    colors = colors or _best_transports(s for s in streams if s.kind is Kind.INFRARED)
    is_alone = len(depths) == len(colors) == 1
    found, missing = [], {}
    for depth in depths:
        color = _color_of(depth, colors, is_alone)
        if color is None:
            missing[depth.topic] = "no colour images that belong to it"
            continue
        pair = _with_calibrations(Match(depth.topic, depth, color, None, None), streams)
        if pair.color_info is None and pair.depth_info is None:
            missing[depth.topic] = "no CameraInfo (calibration) that belongs to it"
        else:
            found.append(pair)
    return Matches(tuple(found), missing)


def match_named(streams: Sequence[Stream], topics: Topics) -> Match:
    """Return the camera that a user named.

    Raises:
        RecordingError: one of the topics is not there.
    """
    depth, color, info = (
        _named(streams, topic) for topic in (topics.depth, topics.color, topics.camera_info)
    )
    found = _with_calibrations(Match(str(topics), depth, color, None, None), streams)
    return replace(found, color_info=info)


def _best_transports(streams: Iterable[Stream]) -> list[Stream]:
    """Return one stream for each topic; one with half the messages of another is no match."""
    groups: dict[str, list[Stream]] = defaultdict(list)
    for stream in streams:
        groups[stream.base].append(stream)
    best = []
    for group in groups.values():
        most = max(stream.channel.count for stream in group)
        best.append(min(group, key=lambda s: (2 * s.channel.count < most, s.quality)))
    return best


def _color_of(depth: Stream, colors: list[Stream], is_alone: bool) -> Stream | None:
    related = [c for c in colors if is_alone or _are_related(depth, c)]
    return max(related, key=lambda c: _nearness(depth, c), default=None)


def _are_related(a: Stream, b: Stream) -> bool:
    same_frame = a.frame_id != "" and a.frame_id == b.frame_id
    return same_frame or not names.contradict(a.topic, b.topic)


def _nearness(depth: Stream, other: Stream) -> tuple[int, ...]:
    """Order candidates: by the part that names begin with together, then by shared words."""
    topics = names.in_common(depth.base, other.base)
    frames = names.in_common(depth.frame_id, other.frame_id)
    return (
        not names.contradict(depth.topic, other.topic),
        names.content(other.topic) != "depth" or names.says_color(other.topic),
        topics[0] + frames[0],
        topics[1] + frames[1],
        names.says_color(other.topic),
        -len(other.base),
    )


def _with_calibrations(pair: Match, streams: Sequence[Stream]) -> Match:
    infos = [s for s in streams if s.kind is Kind.CAMERA_INFO]
    depth_info = _beside(pair.depth, infos)
    color_info = _beside(pair.color, infos)
    taken = {s.topic for s in (depth_info, color_info) if s is not None}
    taken |= {i.topic for s in streams if (i := _beside(s, infos)) is not None}
    free = [info for info in infos if info.topic not in taken]
    if color_info is None:
        color_info = _nearest_info(pair.color, free)
    if depth_info is None:
        others = [info for info in free if color_info is None or info is not color_info]
        own = [info for info in others if names.content(info.topic) == "depth"]
        depth_info = _nearest_info(pair.depth, own)
    if color_info is None and depth_info is None:
        color_info = _nearest_info(pair.color, infos) or _nearest_info(pair.depth, infos)
    return replace(pair, color_info=color_info, depth_info=depth_info)


def _beside(stream: Stream, infos: list[Stream]) -> Stream | None:
    """Return the calibration published beside an image, by image_transport's habit."""
    folder = stream.base.rpartition("/")[0]
    for topic in (f"{stream.base}/camera_info", f"{folder}/camera_info"):
        for info in infos:
            if info.topic == topic and stream.kind is not Kind.CAMERA_INFO:
                return info
    return None


def _nearest_info(stream: Stream, infos: list[Stream]) -> Stream | None:
    same = [i for i in infos if stream.frame_id and i.frame_id == stream.frame_id]
    related = same or [
        i
        for i in infos
        if not names.contradict(stream.topic.rpartition("/")[0], i.topic.rpartition("/")[0])
        and names.content(i.topic) != "infrared"
    ]
    return max(related, key=lambda i: _nearness(stream, i), default=None)


def _named(streams: Sequence[Stream], topic: str) -> Stream:
    for stream in streams:
        if stream.topic == topic:
            return stream
    images = [s.topic for s in streams if s.kind not in (Kind.TEXT, Kind.TRANSFORMS, Kind.OTHER)]
    known = ", ".join(images) or "none"
    raise RecordingError(
        f"no image or camera info on topic {topic!r}; there are: {known}."
        f"{did_you_mean(topic, images)}"
    )
