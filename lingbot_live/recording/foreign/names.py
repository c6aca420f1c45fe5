"""What the names of topics and coordinate frames say."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

_INFRARED = re.compile(r"(n?ir|infra[a-z]*)\d*[lr]?")
_BESIDE = frozenset(
    ("amplitude", "brightness", "confidence", "disparity", "intensity", "reflectivity", "variance")
)
_COLOR = ("color", "colour", "rgb")
_ALIGNED = ("aligned", "registered")
_TRANSPORTS = ("compressed", "compressedDepth", "theora", "ffmpeg", "zstd")
# Words for a sensor or a picture of it. All others tell one camera from the next.
_COMMON = frozenset(
    re.findall(
        r"\w+",
        "aligned color colorized colour compressed data depth frame hd image images info link mono "
        "optical points qhd raw rect rectified registered rgb rgbd sd sensor stereo to video",
    )
)


def words(name: str) -> list[str]:
    """Return a name's words in small letters; a number belongs to the word before it."""
    joined = re.sub(r"(?<=[A-Za-z])_(?=\d)", "", name)
    return [word.lower() for word in re.findall(r"[A-Za-z0-9]+", joined)]


def content(name: str) -> str:
    """Return what a name says last of ``depth``, ``infrared`` and ``beside``; "" for none.

    ``beside`` is what depth sensors deliver beside depth, such as the signal's strength.
    """
    found = words(name)
    # What it was moved to (depth_to_rgb, depth_to_infra1) is not what it is.
    own = [word for before, word in zip(["", *found], found, strict=False) if before != "to"]
    for word in reversed(own):
        if word.startswith("depth"):
            return "depth"
        if _INFRARED.fullmatch(word):
            return "infrared"
        if word in _BESIDE:
            return "beside"
    return ""


def says_color(topic: str) -> bool:
    """Whether a topic calls itself colour, and not depth painted in colours."""
    found = words(topic)
    return any(word.startswith(_COLOR) for word in found) and "colorized" not in found


def says_aligned(topic: str) -> bool:
    """Whether a topic calls itself depth as the colour camera sees it."""
    found = words(topic)
    onto = [word for before, word in pairwise(found) if before == "to"]
    if onto:
        return onto[-1].startswith(_COLOR)
    return any(word in _ALIGNED for word in found)


def says_rectified(topic: str) -> bool:
    """Whether a topic's images were rectified (``image_rect``, ``image_rect_color``)."""
    last = words(base(topic).rpartition("/")[2])
    return "rect" in last or "rectified" in last


def base(topic: str) -> str:
    """Return a topic without its transport's name (``/compressed``)."""
    head, _, tail = topic.rpartition("/")
    return head if tail in _TRANSPORTS else topic


def in_common(a: str, b: str) -> tuple[int, int]:
    """Return how many words two names begin with together, and how many they share."""
    first, second = words(a), words(b)
    begin = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        begin += 1
    return begin, (Counter(first) & Counter(second)).total()


def contradict(a: str, b: str) -> bool:
    """Whether two topics each have a word for a camera that the other lacks."""
    first, second = _cameras(a), _cameras(b)
    return bool(first - second) and bool(second - first)


def _cameras(topic: str) -> set[str]:
    return {
        word
        for word in words(base(topic))
        if word.rstrip("0123456789") not in _COMMON and not _INFRARED.fullmatch(word)
    }
