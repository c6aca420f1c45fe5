"""The sweep of a synthetic camera, rendered once and then replayed: poses in memory and on disk.

A pose is one position of camera and mover. `pose_index` names the pose of every frame from the
frame's number alone, so that equal runs show equal frames however fast the renderer is: the sweep
starts small and widens as slowly as a busy two-core machine renders.
"""

from __future__ import annotations

import hashlib
import io
import logging
import math
import os
import shutil
import threading
import zipfile
from collections import OrderedDict
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import CameraError
from lingbot_live.frame import ColorImage, Intrinsics, RawDepth

if TYPE_CHECKING:
    from drivers.synthetic.sensors import Sensor
    from drivers.synthetic.stage import View

log = logging.getLogger(__name__)

SWEEP_S = 8.0  # there and back
WIDEN_S = 45.0  # until the sweep has its full width
MOST_POSES = 60
MOST_BYTES = 170_000_000
_BYTES_PER_PIXEL = 8  # of a Pose
# What decides every pixel.
_SOURCES = ("shapes", "textures", "scene", "stage", "render", "sensors", "loop")
_SIGMA_M = 0.25  # the largest deviation that a Pose can hold

SIGMA_FINE = ((np.arange(256) / 255) ** 2 * _SIGMA_M * 1e4).astype(np.float32)
"""Standard deviation in units of 0.1 mm for each code in `Pose.sigma`."""


@dataclass(frozen=True, slots=True)
class Pose:
    """What a camera keeps of one pose; depth in units of 0.1 mm, 0 = none."""

    color: ColorImage  # (H, W, 3)
    mean: RawDepth  # (H, W) the sensor's depth before noise
    reference: RawDepth  # (H, W) the true depth
    sigma: npt.NDArray[np.uint8]  # (H, W) noise, an index into `SIGMA_FINE`


def pose_count(intrinsics: Intrinsics) -> int:
    """How many poses a sweep has, so that a camera's poses fit into `MOST_BYTES`."""
    pose = intrinsics.width * intrinsics.height * _BYTES_PER_PIXEL
    return min(MOST_POSES, MOST_BYTES // pose)


def pose_index(time_s: float, poses: int) -> int:
    """Return the pose shown ``time_s`` after the first frame."""
    reach = (poses - 1) * min(1.0, time_s / WIDEN_S)
    return round(reach * (1 - math.cos(2 * math.pi * time_s / SWEEP_S)) / 2)


def _fine(depth_m: npt.NDArray[np.float32]) -> RawDepth:
    fine = np.rint(depth_m * np.float32(1e4))
    return np.where(fine <= 65535, fine, 0).astype(np.uint16)


def pose_of(view: View, sensor: Sensor, seed: int, index: int) -> Pose:
    """Return what a camera keeps of the ``index``-th view."""
    seen = sensor.observe(view, np.random.default_rng((seed, index)))
    mean = _fine(seen.mean_m)
    code = np.rint(np.sqrt(np.clip(seen.sigma_m / _SIGMA_M, 0, 1)) * 255) * (mean > 0)
    return Pose(view.color, mean, _fine(view.depth_m), code.astype(np.uint8))


class _Views:
    """Renders views of one picture size; keeps the last few for cameras that follow behind."""

    def __init__(self, intrinsics: Intrinsics) -> None:
        self._intrinsics = intrinsics
        self._lock = threading.Lock()
        self._recent: OrderedDict[float, View] = OrderedDict()

    def view(self, phase: float, stop: threading.Event) -> View | None:
        """Return the view at ``phase``, None if ``stop`` was set meanwhile."""
        from drivers.synthetic.render import render

        with self._lock:
            found = self._recent.get(phase) or render(phase, self._intrinsics, stop.is_set)
            if found is not None:
                self._recent[phase] = found
                while len(self._recent) > 3:
                    self._recent.popitem(last=False)
        return found


_shared: WeakValueDictionary[Intrinsics, _Views] = WeakValueDictionary()
_shared_lock = threading.Lock()


def _views(intrinsics: Intrinsics) -> _Views:
    with _shared_lock:
        views = _shared.get(intrinsics)
        if views is None:
            views = _shared[intrinsics] = _Views(intrinsics)
    return views


class Supply:
    """Poses in their order: one thread adds them, `wait` hands them out on others."""

    def __init__(self) -> None:
        self._poses: OrderedDict[int, Pose] = OrderedDict()
        self._ready = 0
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    @property
    def ready(self) -> int:
        """How many poses were made so far."""
        return self._ready

    def fail(self, error: BaseException) -> None:
        """Make `wait` raise, since no more poses will come."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def wait(self, index: int, timeout_s: float) -> Pose | None:
        """Return a pose, None if it is not there within ``timeout_s``.

        Raises:
            CameraError: rendering failed.
        """
        with self._changed:
            self._changed.wait_for(lambda: index < self._ready or self._error, timeout_s)
            if self._error is not None:
                raise CameraError(f"synthetic: rendering failed: {self._error}") from self._error
            return self._poses.get(index)

    def _add(self, pose: Pose) -> None:
        with self._changed:
            self._poses[self._ready] = pose
            self._ready += 1
            self._changed.notify_all()


class Sweep(Supply):
    """All poses of one camera: `fill` makes them in order, `wait` hands them out."""

    def __init__(
        self, sensor: Sensor, intrinsics: Intrinsics, seed: int, cache: Path | None = None
    ) -> None:
        super().__init__()
        self.count = pose_count(intrinsics)
        self._sensor = sensor
        self._seed, self._intrinsics = seed, intrinsics
        self._views = _views(intrinsics)
        self._cache = cache

    def index_at(self, _frame: int, time_s: float) -> int:
        """Return the pose of a frame."""
        return pose_index(time_s, self.count)

    def fill(self, stop: threading.Event) -> None:
        """Load or render every pose; returns early when ``stop`` is set."""
        for index in range(self.count):
            pose = self._load(index) or self._render(index, stop)
            if pose is None or stop.is_set():
                return
            self._add(pose)

    def _render(self, index: int, stop: threading.Event) -> Pose | None:
        view = self._views.view(index / max(1, self.count - 1), stop)
        if view is None:
            return None
        pose = pose_of(view, self._sensor, self._seed, index)
        if self._cache is not None:
            save_pose(self._cache / f"{index:03}.npz.lz4", pose)
        return pose

    def _load(self, index: int) -> Pose | None:
        return None if self._cache is None else saved_pose(self._cache / f"{index:03}.npz.lz4")


def saved_pose(path: Path) -> Pose | None:
    """Return a pose that was kept; None if it was not, or is damaged."""
    try:
        return _unpack(path)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        log.warning("%s: not usable (%s), rendered anew", path, error)
        return None


class Still(Sweep):
    """One pose: a camera that stands still above the table of a seed."""

    def __init__(self, sensor: Sensor, intrinsics: Intrinsics, seed: int) -> None:
        super().__init__(sensor, intrinsics, seed)
        self.count = 1

    def _render(self, index: int, stop: threading.Event) -> Pose | None:
        from drivers.synthetic.render import look
        from drivers.synthetic.tabletop import Tabletop

        found = look(Tabletop(self._seed).stage(), self._intrinsics, stop.is_set)
        return None if found is None else pose_of(found, self._sensor, self._seed, index)


def _unpack(path: Path) -> Pose:
    import lz4.frame

    try:
        whole = io.BytesIO(lz4.frame.decompress(path.read_bytes()))
    except RuntimeError as error:  # lz4 has no other
        raise ValueError(str(error)) from error
    with np.load(whole, allow_pickle=False) as packed:
        return Pose(**{field.name: packed[field.name] for field in fields(Pose)})


def save_pose(path: Path, pose: Pose) -> None:
    """Write a pose losslessly, whole or not at all; a full or locked disk only costs the cache.

    PNG files would be half as large. Reading 60 of them took 2 s of a processor, while the window
    and its refiner started.
    """
    import lz4.frame

    whole = io.BytesIO()
    np.savez(whole, **{field.name: getattr(pose, field.name) for field in fields(Pose)})
    part = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(lz4.frame.compress(whole.getvalue()))
        part.replace(path)
    except OSError as error:
        log.info("%s: not kept (%s)", path, error)


def cache_root() -> Path:
    """Return the folder of this version's rendered poses; those of other versions are removed."""
    import platformdirs

    sources = [Path(__file__).with_name(f"{name}.py") for name in _SOURCES]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    named = os.environ.get("LINGBOT_LIVE_CACHE")
    cache = Path(named) if named else platformdirs.user_cache_path("lingbot-live", appauthor=False)
    base = cache / "synthetic"
    for old in base.glob("*"):
        if old.name != digest:
            shutil.rmtree(old, onerror=lambda _f, name, info: log.info("%s stays: %s", name, info))
    return base / digest
