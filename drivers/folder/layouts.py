"""Layouts of RGB-D images on disk.

=========  =====================================================================================
example    ``rgb.png`` or ``.jpg``, ``raw_depth.png`` (16 bit, mm), ``intrinsics.txt`` (3x3, pixels)
examples   a folder of such folders, in the order of their names
tum        ``rgb.txt`` and ``depth.txt`` (``timestamp path`` a line), depth 16 bit, 5000 per metre,
           paired by nearest time stamp within 20 ms; stamps in s, or whole in ms, us or ns
plain      ``color/`` and ``depth/`` (16 bit, mm), paired by file name, and ``intrinsics.json``
=========  =====================================================================================

``intrinsics.json`` holds ``fx fy cx cy`` in pixels and optionally ``width height`` (else the size
of the image), ``distortion`` (OpenCV's order), ``depth_scale_m`` (metres per unit). A TUM folder
may hold ``intrinsics.json`` or ``intrinsics.txt``; without one, 640x480 images get the values that
the data set's authors recommend for all sequences: fx = fy = 525, cx = 319.5, cy = 239.5
(TUM RGB-D benchmark, "Intrinsic camera calibration of the Kinect").
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drivers.folder.stamps import Times, parse_stamps
from lingbot_live.errors import BadRecordingError, CameraNotFoundError, ConfigError
from lingbot_live.frame import ColorImage, Intrinsics, RawDepth

log = logging.getLogger(__name__)

_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_EXAMPLE_COLOR = ("rgb.png", "rgb.jpg", "rgb.jpeg")
_TUM_SCALE_M = 1 / 5000
_TUM_MOST_SKEW_NS = 20_000_000
_TUM_DEFAULT = Intrinsics(640, 480, 525.0, 525.0, 319.5, 239.5)


@dataclass(frozen=True, slots=True)
class Item:
    """One pair on disk; ``camera`` is read when its image's size is known."""

    label: str
    color: Path
    depth: Path
    camera: Path | None  # intrinsics file, None for the TUM default
    depth_scale_m: float = 0.001
    timestamp_us: int | None = None


@dataclass(frozen=True, slots=True)
class Sequence:
    """All pairs of a folder, and how many images had no partner."""

    layout: str
    items: list[Item] = field(default_factory=list)
    unpaired: int = 0


def layout(path: Path) -> str | None:
    """Return the name of a folder's layout, judged by the names in it; None if there is none."""
    if _example_color(path) or (path / "raw_depth.png").exists():
        return "example"
    if (path / "rgb.txt").exists() and (path / "depth.txt").exists():
        return "tum"
    if (path / "color").is_dir() and (path / "depth").is_dir():
        return "plain"
    return "examples" if _example_folders(path) else None


def scan(path: Path) -> Sequence:
    """List the pairs of a folder.

    Raises:
        CameraNotFoundError: the folder is gone, empty, or has no known layout.
        BadRecordingError: a file of the layout is missing or damaged.
    """
    if not path.is_dir():
        raise CameraNotFoundError(f"{path}: no such folder; check the path")
    name = layout(path)
    if name is None:
        state = "has no known layout" if any(path.iterdir()) else "is empty"
        raise CameraNotFoundError(
            f"{path}: the folder {state}; it needs rgb.png + raw_depth.png + intrinsics.txt, "
            "or color/ + depth/ + intrinsics.json, or rgb.txt + depth.txt"
        )
    sequence = _SCANS[name](path)
    if not sequence.items:
        raise BadRecordingError(f"{path}: no colour image has a depth image; check their names")
    return sequence


def load(item: Item) -> tuple[ColorImage, RawDepth, Intrinsics]:
    """Decode a pair: (H, W, 3) uint8 RGB, (H, W) uint16 raw, intrinsics of that size.

    Raises:
        BadRecordingError: a file is unreadable, or the sizes disagree.
    """
    import cv2

    color = _decode(item.color, cv2.IMREAD_COLOR)
    depth = _decode(item.depth, cv2.IMREAD_UNCHANGED)
    if depth.dtype != np.uint16 or depth.ndim != 2:
        raise BadRecordingError(
            f"{item.depth}: depth must be one channel of 16 bit, not "
            f"{depth.dtype.itemsize * 8} bit with {depth.shape[2] if depth.ndim == 3 else 1}; "
            "save it as a 16-bit PNG"
        )
    height, width = depth.shape
    if color.shape[:2] != (height, width):
        raise BadRecordingError(
            f"{item.color}: colour is {color.shape[1]}x{color.shape[0]} but depth {width}x{height};"
            " align depth to colour first"
        )
    intrinsics = _intrinsics(item, width, height)
    rgb: ColorImage = cv2.cvtColor(color, cv2.COLOR_BGR2RGB)
    rgb.setflags(write=False)
    depth.setflags(write=False)
    return rgb, depth, intrinsics


def read_color(item: Item) -> ColorImage:
    """Decode the colour of a pair alone.

    Raises:
        BadRecordingError: it is unreadable.
    """
    import cv2

    return _decode(item.color, cv2.IMREAD_COLOR)[..., ::-1]


def _decode(path: Path, flags: int) -> npt.NDArray[Any]:
    import cv2

    try:
        data = np.fromfile(path, np.uint8)  # cv2.imread fails on non-ASCII paths on Windows
    except OSError as error:
        raise BadRecordingError(f"{path}: {error.strerror}; check the file") from error
    image = cv2.imdecode(data, flags) if data.size else None
    if image is None:
        raise BadRecordingError(f"{path}: not a readable image; save it again as PNG or JPEG")
    out: npt.NDArray[Any] = image
    return out


# ---- layouts ---------------------------------------------------------------------------------


def _example(path: Path) -> Sequence:
    color = _example_color(path)
    needed = (path / "raw_depth.png", path / "intrinsics.txt")
    missing = [p.name for p in needed if not p.exists()] + ([] if color else ["rgb.png"])
    if missing or color is None:
        raise BadRecordingError(f"{path}: {' and '.join(missing)} missing beside the others")
    return Sequence("example", [Item(path.name, color, *needed)])


def _examples(path: Path) -> Sequence:
    return Sequence("examples", [i for p in _example_folders(path) for i in _example(p).items])


def _plain(path: Path) -> Sequence:
    camera = path / "intrinsics.json"
    scale_m = _depth_scale_m(camera, 0.001)
    colors, depths = _images(path / "color"), _images(path / "depth")
    names = sorted(colors.keys() & depths.keys(), key=_natural)
    items = [Item(colors[n].name, colors[n], depths[n], camera, scale_m) for n in names]
    return Sequence("plain", items, len(colors) + len(depths) - 2 * len(names))


def _tum(path: Path) -> Sequence:
    color_ns, colors = _tum_list(path / "rgb.txt")
    depth_ns, depths = _tum_list(path / "depth.txt")
    files = (path / "intrinsics.json", path / "intrinsics.txt")
    camera = next((p for p in files if p.exists()), None)
    if camera is None:
        log.warning("%s: no intrinsics file; fx = fy = 525 of the TUM benchmark is assumed", path)
    scale_m = _depth_scale_m(files[0], _TUM_SCALE_M) if files[0].exists() else _TUM_SCALE_M
    items = [
        Item(colors[c].name, colors[c], depths[d], camera, scale_m, round(int(depth_ns[d]) / 1000))
        for c, d in _associated(color_ns, depth_ns)
    ]
    return Sequence("tum", items, len(colors) + len(depths) - 2 * len(items))


def _tum_list(path: Path) -> tuple[Times, list[Path]]:
    """Return stamps in nanoseconds and images, in order of time."""
    stamps, names = [], []
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            stamp, name = line.split(maxsplit=1)
            parse_stamps([stamp])
        except ValueError:
            raise BadRecordingError(
                f"{path}: line {number} is {line[:40]!r}; `timestamp path` is needed"
            ) from None
        stamps.append(stamp)
        names.append(path.parent / name.strip())
    times_ns = parse_stamps(stamps)
    order = np.argsort(times_ns, kind="stable")
    return times_ns[order], [names[i] for i in order]


def _associated(color_ns: Times, depth_ns: Times) -> list[tuple[int, int]]:
    """Pair stamps, nearest first, each used once: indices into both, in order of time."""
    first = np.searchsorted(depth_ns, color_ns - _TUM_MOST_SKEW_NS, "left")
    last = np.searchsorted(depth_ns, color_ns + _TUM_MOST_SKEW_NS, "right")
    near = np.array(
        [(c, d) for c in range(len(color_ns)) for d in range(first[c], last[c])], np.intp
    ).reshape(-1, 2)
    order = np.argsort(np.abs(color_ns[near[:, 0]] - depth_ns[near[:, 1]]), kind="stable")
    pairs: dict[int, int] = {}
    used: set[int] = set()
    for c, d in near[order].tolist():
        if c not in pairs and d not in used:
            pairs[c] = d
            used.add(d)
    return sorted(pairs.items())


# ---- small readers ---------------------------------------------------------------------------


def _example_color(path: Path) -> Path | None:
    return next((path / n for n in _EXAMPLE_COLOR if (path / n).exists()), None)


def _example_folders(path: Path) -> list[Path]:
    found = [p for p in path.iterdir() if p.is_dir() and _example_color(p)]
    return sorted(found, key=lambda p: _natural(p.name))


def _natural(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (1 << 62, name)


def _images(path: Path) -> dict[str, Path]:
    return {p.stem: p for p in path.iterdir() if p.suffix.lower() in _IMAGES}


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRecordingError(f"{path}: cannot be read as text ({error})") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise BadRecordingError(f"{path}: no JSON ({error}); correct the file") from error
    if not isinstance(values, dict):
        raise BadRecordingError(f"{path}: an object with fx, fy, cx, cy is needed")
    return values


def _depth_scale_m(path: Path, default: float) -> float:
    value = _json(path).get("depth_scale_m", default)
    if not isinstance(value, (int, float)) or not 0 < value < 1:
        raise BadRecordingError(f"{path}: depth_scale_m {value!r} must lie between 0 and 1 metre")
    return float(value)


def _intrinsics(item: Item, width: int, height: int) -> Intrinsics:
    if item.camera is None:
        if (width, height) != (_TUM_DEFAULT.width, _TUM_DEFAULT.height):
            raise BadRecordingError(
                f"{item.color}: {width}x{height} is not TUM's 640x480; add an intrinsics.json"
            )
        return _TUM_DEFAULT
    try:
        if item.camera.suffix == ".json":
            return _from_json(item.camera, width, height)
        return Intrinsics.from_matrix(np.loadtxt(item.camera, ndmin=2), width, height)
    except (ConfigError, OSError, ValueError, TypeError, KeyError) as error:
        raise BadRecordingError(
            f"{item.camera}: {error}; 3x3 pixels or fx, fy, cx, cy are needed"
        ) from error


def _from_json(path: Path, width: int, height: int) -> Intrinsics:
    values = _json(path)
    size = int(values.get("width", width)), int(values.get("height", height))
    if size != (width, height):
        raise ValueError(f"is for {size[0]}x{size[1]}, the images are {width}x{height}")
    missing = [name for name in ("fx", "fy", "cx", "cy") if name not in values]
    if missing:
        raise ValueError(f"{', '.join(missing)} missing")
    fx, fy, cx, cy = (float(values[name]) for name in ("fx", "fy", "cx", "cy"))
    distortion = tuple(float(value) for value in values.get("distortion", ()))
    return Intrinsics(width, height, fx, fy, cx, cy, distortion)


_SCANS: dict[str, Callable[[Path], Sequence]] = {
    "example": _example,
    "examples": _examples,
    "tum": _tum,
    "plain": _plain,
}
