"""Layouts of RGB-D images on disk: which images belong together, and which calibration is theirs.

=========  =====================================================================================
example    ``rgb.png`` or ``.jpg``, ``raw_depth.png`` (16 bit, mm), ``intrinsics.txt`` (3x3, pixels)
           and, where the true depth is known, ``truth_depth.png``, stored like the raw one
examples   a folder of such folders, in the order of their names
tum        ``rgb.txt`` and ``depth.txt`` (``timestamp path`` a line) paired by nearest time stamp
           within 20 ms, or ``associations.txt``; 5000 units per metre. Stamps are in s, or whole
           in ms, us or ns; small whole ones count frames (ICL-NUIM)
bop        ``rgb/``, ``depth/``, and ``scene_camera.json`` with a calibration for each image
7-scenes   ``frame-000000.color.png`` beside ``frame-000000.depth.png``, mm
plain      ``color/`` (``rgb/``, ``image/``) and ``depth/``, mm, paired by file name, by the
           microseconds in it (Redwood) or by the number in it, with a calibration in any form
           of `drivers.folder.lens`. ScanNet's ``intrinsic/`` has one for each sensor
=========  =====================================================================================

Names beginning with a dot are passed over. Without a calibration, 640x480 images of TUM, ICL-NUIM,
Redwood and 7-Scenes get the values that the authors of these data sets recommend, with a warning.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from drivers.folder import pictures
from drivers.folder.lens import Lens, read_bop, read_lens, read_text
from drivers.folder.lists import associated, read_associations, read_list
from lingbot_live.errors import BadRecordingError, CameraNotFoundError
from lingbot_live.frame import Extrinsics, Intrinsics

log = logging.getLogger(__name__)

_EXAMPLE_COLOR = ("rgb.png", "rgb.jpg", "rgb.jpeg")
_COLOR_FOLDERS = ("color", "colour", "rgb", "image", "images")
_DEPTH_FOLDERS = ("depth", "depths", "depth_image")
_ASSOCIATIONS = ("associations.txt", "associated.txt", "associate.txt", "association.txt")
_LENSES = (
    "intrinsics.json", "camera_intrinsic.json", "camera_intrinsics.json", "intrinsic.json",
    "camera_info.json", "camera.json", "calibration.json", "intrinsics.yaml", "intrinsics.yml",
    "camera_info.yaml", "camera_info.yml", "camera.yaml", "calibration.yaml", "intrinsics.txt",
    "intrinsic.txt", "camera-intrinsics.txt", "camera_intrinsics.txt", "camera.txt", "K.txt",
    "cam_K.txt", "calibration.txt", "camera_primesense.json", "_info.txt",
    "intrinsic/intrinsic_color.txt",
)  # fmt: skip
_MILLIMETRE_M = 0.001
_TUM_SCALE_M = 1 / 5000
_MOST_FRAMES = 1_000_000  # stamps below, all whole, are numbers of frames

_TUM = Intrinsics(640, 480, 525.0, 525.0, 319.5, 239.5)
_ICL = Intrinsics(640, 480, 481.2, 480.0, 319.5, 239.5)
_SEVEN_SCENES = Intrinsics(640, 480, 585.0, 585.0, 320.0, 240.0)
"""What the authors recommend for all sequences: "Intrinsic camera calibration of the Kinect" of the
TUM RGB-D benchmark (and Redwood's PrimeSense default), ICL-NUIM's camera, 7-Scenes' read-me."""


@dataclass(frozen=True, slots=True)
class Item:
    """One pair on disk."""

    label: str
    color: Path
    depth: Path
    lens: Lens | Intrinsics | None  # of colour; None with a `fault`
    depth_scale_m: float = _MILLIMETRE_M
    timestamp_us: int | None = None
    depth_lens: Lens | None = None  # where depth has one of its own, not aligned to colour
    T_color_depth: Extrinsics = field(default_factory=Extrinsics)
    fault: str = ""  # why it has no calibration
    truth: Path | None = None  # true depth, aligned to colour, in the units of depth


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
    if _is_listed(path):
        return "tum"
    if _folder(path, _COLOR_FOLDERS) and _folder(path, _DEPTH_FOLDERS):
        return "bop" if (path / "scene_camera.json").exists() else "plain"
    if any(path.glob("[!.]*.color.*")):
        return "7-scenes"
    return "examples" if _example_folders(path) else None


def scan(path: Path) -> Sequence:
    """List the pairs of a folder.

    Raises:
        CameraNotFoundError: the folder is gone, empty, or has no known layout.
        BadRecordingError: a list or the calibration is missing or damaged.
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


# ---- examples ------------------------------------------------------------------------------------


def _example(path: Path) -> Sequence:
    color = _example_color(path)
    exact = path / "intrinsics.json"  # of exports, where a text of 3x3 cannot say all
    needed = (path / "raw_depth.png", exact if exact.exists() else path / "intrinsics.txt")
    missing = [p.name for p in needed if not p.exists()] + ([] if color else ["rgb.png"])
    if missing or color is None:
        raise BadRecordingError(f"{path}: {' and '.join(missing)} missing beside the others")
    lens = read_lens(needed[1])
    item = Item(path.name, color, needed[0], lens, _scale_m(lens, _MILLIMETRE_M))
    truth = path / "truth_depth.png"
    return Sequence("example", [replace(item, truth=truth) if truth.exists() else item])


def _examples(path: Path) -> Sequence:
    items = []
    for folder in _example_folders(path):
        try:
            items += _example(folder).items
        except BadRecordingError as error:  # it loses itself, not the others
            color = _example_color(folder) or folder
            items.append(Item(folder.name, color, folder, None, fault=str(error)))
    return Sequence("examples", items)


def _example_color(path: Path) -> Path | None:
    return next((path / n for n in _EXAMPLE_COLOR if (path / n).exists()), None)


def _example_folders(path: Path) -> list[Path]:
    found = [p for p in _visible(path) if p.is_dir() and _example_color(p)]
    return sorted(found, key=lambda p: _natural(p.name))


# ---- two folders ---------------------------------------------------------------------------------


def _plain(path: Path) -> Sequence:
    colors, depths = _two_folders(path)
    pairs, stamps_us = _paired(colors, depths)
    lens = _lens_of(path, _TUM if stamps_us else None)
    own, pose = _scannet(path)
    scale_m = _scale_m(lens, _MILLIMETRE_M)
    items = [
        Item(colors[c].name, colors[c], depths[d], lens, scale_m, stamps_us.get(d), own, pose)
        for c, d in pairs
    ]
    return Sequence("plain", items, len(colors) + len(depths) - 2 * len(items))


def _bop(path: Path) -> Sequence:
    colors, depths = _two_folders(path)
    by_number = read_bop(path / "scene_camera.json")
    items = []
    for name, _ in _paired(colors, depths)[0]:
        lens = by_number.get(str(int(name))) if name.isdecimal() else None
        fault = "" if lens else f"{path / 'scene_camera.json'}: no image {name} in it"
        scale_m = _scale_m(lens, _MILLIMETRE_M)
        items.append(Item(colors[name].name, colors[name], depths[name], lens, scale_m,
                          fault=fault))  # fmt: skip
    return Sequence("bop", items, len(colors) + len(depths) - 2 * len(items))


def _seven_scenes(path: Path) -> Sequence:
    colors = {p.name.split(".color.")[0]: p for p in _images(path.glob("*.color.*")).values()}
    depths = {p.name.split(".depth.")[0]: p for p in path.glob("[!.]*.depth.*")}
    lens = _lens_of(path, _SEVEN_SCENES, also=path.parent)
    names = sorted(colors.keys() & depths.keys(), key=_natural)
    scale_m = _scale_m(lens, _MILLIMETRE_M)
    items = [Item(colors[n].name, colors[n], depths[n], lens, scale_m) for n in names]
    return Sequence("7-scenes", items, len(colors) + len(depths) - 2 * len(items))


def _two_folders(path: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    color, depth = _folder(path, _COLOR_FOLDERS), _folder(path, _DEPTH_FOLDERS)
    if color is None or depth is None:
        raise BadRecordingError(f"{path}: folders of colour and of depth are needed")
    return _images(_visible(color)), _images(_visible(depth), pictures.DEPTHS)


def _paired(
    colors: dict[str, Path], depths: dict[str, Path]
) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """Return names that belong together, in order, and stamps in microseconds by depth's name."""
    same = sorted(colors.keys() & depths.keys(), key=_natural)
    stamps = {name: _stamp_us(name) for name in (*colors, *depths)}
    times_us = {name: us for name, us in stamps.items() if us is not None}
    is_stamped = len(times_us) == len(stamps) and bool(stamps)
    if is_stamped and len(same) < min(len(colors), len(depths)):
        color_names, depth_names = (sorted(d, key=times_us.__getitem__) for d in (colors, depths))
        color_ns, depth_ns = (
            np.array([times_us[n] * 1000 for n in names], np.int64)
            for names in (color_names, depth_names)
        )
        pairs = associated(color_ns, depth_ns)
        return [(color_names[c], depth_names[d]) for c, d in pairs], times_us
    if same or not (colors and depths):
        return [(name, name) for name in same], times_us if is_stamped else {}
    color_by, depth_by = _by_number(colors), _by_number(depths)
    return [(color_by[n], depth_by[n]) for n in sorted(color_by.keys() & depth_by.keys())], {}


def _stamp_us(name: str) -> int | None:
    """Microseconds in a name of Redwood's, ``0000012-000000400402``."""
    found = re.fullmatch(r"\d{5,}-(\d{9,15})", name, re.ASCII)
    return int(found[1]) if found else None


def _by_number(names: Iterable[str]) -> dict[int, str]:
    """Names by the last number in them."""
    found = ((re.findall(r"\d+", name, re.ASCII), name) for name in names)
    return {int(numbers[-1]): name for numbers, name in found if numbers}


def _scannet(path: Path) -> tuple[Lens | None, Extrinsics]:
    """Return depth's own lens and ``T_color_depth`` where ScanNet's files hold them."""
    folder = path / "intrinsic"
    if not (folder / "intrinsic_depth.txt").exists():
        return None, Extrinsics()
    color, depth = (_pose(folder / f"extrinsic_{name}.txt") for name in ("color", "depth"))
    return read_lens(folder / "intrinsic_depth.txt"), color.inverse() @ depth


def _pose(path: Path) -> Extrinsics:
    if not path.exists():
        return Extrinsics()
    try:
        numbers = np.array(read_text(path).split(), np.float64).reshape(4, 4)
        if not np.isfinite(numbers).all():
            raise ValueError("an infinite one among them")
    except ValueError as error:
        raise BadRecordingError(f"{path}: 4x4 numbers are needed ({error})") from error
    return Extrinsics.from_matrix(numbers)


# ---- lists ---------------------------------------------------------------------------------------


def _is_listed(path: Path) -> bool:
    lists = (path / "rgb.txt").exists() and (path / "depth.txt").exists()
    return lists or _association_file(path) is not None


def _association_file(path: Path) -> Path | None:
    return next((path / name for name in _ASSOCIATIONS if (path / name).is_file()), None)


def _tum(path: Path) -> Sequence:
    if (path / "rgb.txt").exists() and (path / "depth.txt").exists():
        color_ns, colors = read_list(path / "rgb.txt")
        depth_ns, depths = read_list(path / "depth.txt")
        pairs = associated(color_ns, depth_ns)
    else:
        listed = _association_file(path)
        if listed is None:
            raise BadRecordingError(f"{path}: no list of colour and depth in it")
        depth_ns, colors, depths = read_associations(listed)
        pairs = [(i, i) for i in range(len(depths))]
    is_whole = not (depth_ns % 1_000_000_000).any()
    counts_frames = is_whole and bool((depth_ns < _MOST_FRAMES * 1_000_000_000).all())
    lens = _lens_of(path, _ICL if counts_frames else _TUM)
    scale_m = _scale_m(lens, _TUM_SCALE_M)
    items = [
        Item(colors[c].name, colors[c], depths[d], lens, scale_m,
             None if counts_frames else round(int(depth_ns[d]) / 1000))
        for c, d in pairs
    ]  # fmt: skip
    return Sequence("tum", items, len(colors) + len(depths) - 2 * len(items))


# ---- calibration and names -----------------------------------------------------------------------


def _lens_of(
    path: Path, otherwise: Intrinsics | None, also: Path | None = None
) -> Lens | Intrinsics:
    """Return the calibration in a folder, or the one its data set is known to have."""
    for folder in (path, also or path):
        places = [folder / name for name in _LENSES]
        places += [*sorted(folder.glob("[!.]*_info.txt")), folder / f"{folder.name}.txt"]
        found = next((place for place in places if place.is_file()), None)
        if found is not None:
            return read_lens(found)
    if otherwise is None:
        raise BadRecordingError(
            f"{path}: no calibration in it; add intrinsics.json with fx, fy, cx, cy in pixels, or "
            f"one of {', '.join(_LENSES[1:])}"
        )
    log.warning(
        "%s: no intrinsics file; fx %g fy %g cx %g cy %g of the data set is assumed",
        path, otherwise.fx, otherwise.fy, otherwise.cx, otherwise.cy,
    )  # fmt: skip
    return otherwise


def _scale_m(lens: Lens | Intrinsics | None, otherwise: float) -> float:
    told = lens.depth_scale_m if isinstance(lens, Lens) else None
    return otherwise if told is None else told


def _folder(path: Path, names: tuple[str, ...]) -> Path | None:
    found = {p.name.lower(): p for p in _visible(path) if p.is_dir()}
    return next((found[name] for name in names if name in found), None)


def _images(paths: Iterable[Path], suffixes: tuple[str, ...] = pictures.COLORS) -> dict[str, Path]:
    visible = sorted(p for p in paths if not p.name.startswith("."))
    return {p.stem: p for p in visible if p.suffix.lower() in suffixes}


def _visible(path: Path) -> list[Path]:
    return [p for p in path.iterdir() if not p.name.startswith(".")]


def _natural(name: str) -> tuple[tuple[str | int, ...], str]:
    """A key by which ``frame_2`` comes before ``frame_10``."""
    parts = re.split(r"(\d+)", name, flags=re.ASCII)
    return tuple(int(p) if i % 2 else p.casefold() for i, p in enumerate(parts)), name


_SCANS: dict[str, Callable[[Path], Sequence]] = {
    "example": _example,
    "examples": _examples,
    "tum": _tum,
    "bop": _bop,
    "7-scenes": _seven_scenes,
    "plain": _plain,
}
