"""Cameras that need no hardware: a living room as three kinds of depth sensor see it.

It is also the example to copy for a new make. A driver file holds a `Driver` and a `Camera`, is
named in ``pyproject.toml`` under ``lingbot_live.drivers``, and keeps to this:

The driver
    - ``discover`` answers within a fraction of a second, opens nothing, and lists nothing twice.
    - ``find`` refuses a target it does not know with `CameraNotFoundError`, saying what there is.
    - ``create`` only makes the object; a setting the make cannot do is a `ConfigError` here.
    - The SDK is imported in the functions that need it, never when the file is imported; where it
      is missing, `DriverUnavailableError` carries the line that installs it.

The camera's hooks, called by the base class alone, from one thread at a time
    - ``_cam_open`` acquires everything. It may raise at any point: ``_cam_close`` is called then.
      It must not print, retry for ever, or wait for the first frame.
    - ``_cam_read`` waits at most about ``timeout_s`` and returns None when nothing came. It raises
      `CameraDisconnectedError` when the device is gone and `EndOfStreamError` at a recording's
      end, and must not return the same capture twice, count frames, or skip to the newest one.
    - A `Capture` owns its arrays: they are copied out of SDK memory once and never written again.
      ``arrival_ns`` is taken first, before any conversion. Depth lies on colour, 0 means no
      measurement, and the raw values are the sensor's own: no filter, no fill, no clipping.
    - ``_cam_close`` releases everything, in any state, twice as well as once, and never raises.
    - Whatever was lost before it became a capture is counted in ``self.missed`` by cause.

The failure modes and their sources are described in ``drivers/synthetic/sensors.py``.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drivers.synthetic.infrared import InfraredSweep
from drivers.synthetic.loop import SIGMA_FINE, Pose, Still, Sweep, cache_root
from drivers.synthetic.sensors import FINE_M, SENSORS, Sensor
from drivers.synthetic.walk import Walk
from lingbot_live.cameras.base import Camera, CameraInfo, Capture, Driver, StreamProfile
from lingbot_live.cameras.controls import Control, ControlKind, ControlValue
from lingbot_live.cameras.pace import Pacer
from lingbot_live.config import CameraConfig
from lingbot_live.errors import CameraNotFoundError, ConfigError, did_you_mean
from lingbot_live.frame import Calibration, Intrinsics, RawDepth
from lingbot_live.system.held import Held
from lingbot_live.system.worker import Worker

_SIZE = (640, 480)
_OTHERS = ((1280, 720), (320, 240))  # offered; any other size works as well
_FPS = 30.0
_TABLE = "table"  # a stereo camera that stands still above a table; the seed says what is on it
_LEAST, _MOST = (64, 48), (1920, 1080)
_WALK = "-walk"  # a sensor's name with this is carried through the room: `drivers.synthetic.walk`
_FOCAL = 520 / 640  # in picture widths: 63 degrees across


class SyntheticDriver(Driver):
    """Finds the three simulated cameras, everywhere; a fourth, ``table``, by its name alone."""

    scheme = "synthetic"
    title = "Synthetic camera"

    def discover(self) -> list[CameraInfo]:
        """List all of them."""
        return [self._info(target) for target in SENSORS]

    def find(self, target: str) -> CameraInfo:
        """Return ``stereo``, ``tof``, ``structured``, one of them as ``NAME-walk``, or ``table``.

        Raises:
            CameraNotFoundError: it is called otherwise.
        """
        known = [*SENSORS, _TABLE]
        if target not in known and target.removesuffix(_WALK) not in SENSORS:
            raise CameraNotFoundError(
                f"synthetic:{target}: there is no such camera.{did_you_mean(target, known)} "
                f"Use one of {', '.join(f'synthetic:{name}' for name in known)}"
            )
        return self._info(target)

    def create(self, info: CameraInfo, config: CameraConfig) -> Camera:
        """Return the camera, not yet open.

        Raises:
            ConfigError: the size is too small or too large to simulate.
        """
        width, height = config.width or _SIZE[0], config.height or _SIZE[1]
        if not (_LEAST[0] <= width <= _MOST[0] and _LEAST[1] <= height <= _MOST[1]):
            raise ConfigError(
                f"{info.address}: size {width}x{height}; choose one from "
                f"{_LEAST[0]}x{_LEAST[1]} to {_MOST[0]}x{_MOST[1]}"
            )
        return SyntheticCamera(info, config, pinhole(width, height))

    def _info(self, target: str) -> CameraInfo:
        profiles = tuple(
            StreamProfile(s, *size, _FPS) for s in ("color", "depth") for size in (_SIZE, *_OTHERS)
        )
        sensor = SENSORS.get(target.removesuffix(_WALK))
        what = "stereo above a table" if sensor is None else sensor.title
        name = f"Synthetic {what}{' walk' if target.endswith(_WALK) else ''}"
        return CameraInfo(self.scheme, target, name, is_simulated=True, profiles=profiles)


class SyntheticCamera(Camera):
    """Replays a rendered sweep through the room with fresh sensor noise on every frame.

    Frame k depends on the camera, the size, the rate, the seed, the noise control and k alone.
    Poses are rendered behind the stream in a thread that this camera owns and ends; at the sizes
    that are offered and the default seed they are kept in the user's cache folder, so that the next
    start has them at once.
    On a machine too busy to render in time, a stream in real time keeps its rate and shows the
    newest pose that is there; with ``realtime=False`` each frame waits for its own.
    """

    _sweep = Held[Sweep | Walk]()

    def __init__(self, info: CameraInfo, config: CameraConfig, intrinsics: Intrinsics) -> None:
        super().__init__(info, config)
        sensor = "stereo" if info.target == _TABLE else info.target.removesuffix(_WALK)
        self._sensor: Sensor = SENSORS[sensor]
        self._calibration = Calibration(intrinsics, baseline_m=self._sensor.baseline_m)
        self._eye = "infrared" if self._sensor.baseline_m is None else "infrared_left"
        self._infrared: InfraredSweep | None = None  # where such pictures are wanted
        self._fps = config.fps or _FPS
        self._pacer: Pacer | None = None
        self._worker: Worker | None = None
        self._frame = 0
        self._noisiness = 1.0

    def _cam_open(self) -> None:
        color = self._calibration.color
        seed = self.config.seed
        self._frame = 0
        self._noise = white_noise(self._sensor, color, seed)
        self._table = self._sensor.raw_table()
        self._pacer = Pacer(self._fps) if self.config.realtime else None
        stands = self.info.target in SENSORS  # neither a walk nor a table has infrared pictures
        wants_infrared = self.config.extras and stands
        self._infrared = InfraredSweep(self._sensor, color, seed) if wants_infrared else None
        self._sweep = self._infrared or self._poses(color, seed)
        name = f"render {self.info.address}"
        self._worker = Worker(name, self._sweep.fill, on_death=self._sweep.fail)
        self._worker.start()

    def wait_until_rendered(self, timeout_s: float) -> bool:
        """Wait until every pose is there; False if one is not in time."""
        return self._sweep.wait(self._sweep.count - 1, timeout_s) is not None

    def _poses(self, color: Intrinsics, seed: int) -> Sweep | Walk:
        if self.info.target.endswith(_WALK):
            return Walk(self._sensor, color, seed)
        if self.info.target == _TABLE:
            return Still(self._sensor, color, seed)
        return Sweep(self._sensor, color, seed, self._cache_folder())

    def _cam_read(self, timeout_s: float) -> Capture | None:
        until = time.monotonic() + timeout_s
        k = self._frame
        index = self._sweep.index_at(k, k / self._fps)
        if self.config.realtime:
            index = min(index, max(0, self._sweep.ready - 1))
        pose = self._sweep.wait(index, timeout_s)
        if pose is None:
            return None
        if self._pacer and not self._pacer.wait(max(0.0, until - time.monotonic())):
            return None
        arrival_ns = time.monotonic_ns()
        self._frame = k + 1
        return Capture(
            color=pose.color,
            depth_raw=self._draw(pose, k),
            depth_scale_m=self._sensor.depth_scale_m,
            calibration=self._calibration,
            arrival_ns=arrival_ns,
            device_timestamp_us=round(k * 1e6 / self._fps),
            device_index=k,
            reference_m=np.multiply(pose.reference, np.float32(FINE_M), dtype=np.float32),
            extras={} if self._infrared is None else {self._eye: self._infrared.infrared[index]},
        )

    def _cam_controls(self) -> list[Control]:
        about = "noise, as a multiple of the real sensor's"
        kind = ControlKind.FLOAT
        return [Control("depth.noise", self._noisiness, kind, 0.0, 5.0, 0.1, 1.0, "x", help=about)]

    def _cam_set_control(self, name: str, value: ControlValue) -> None:
        self._noisiness = float(value)

    def _cam_close(self) -> None:
        worker, self._worker = self._worker, None
        self._sweep = self._infrared = None
        if worker is not None:
            worker.request_stop()
            worker.join(10.0)

    def _draw(self, pose: Pose, k: int) -> RawDepth:
        """Return one frame's depth: mean plus noise, rounded as the sensor rounds."""
        rng = np.random.default_rng((self.config.seed, k))
        return drawn(pose, rng, self._noise, self._table, self._noisiness)

    def _cache_folder(self) -> Path | None:
        """Only the sizes that are offered are kept on disk, so that the cache stays small."""
        color = self._calibration.color
        size = color.width, color.height
        if size not in (_SIZE, *_OTHERS) or self.config.seed != 0:
            return None
        named = "" if size == _SIZE else f"-{color.width}x{color.height}"
        return cache_root() / f"{self.info.target}{named}"


def drawn(
    pose: Pose,
    rng: np.random.Generator,
    noise: npt.NDArray[np.float32],
    table: RawDepth,
    noisiness: float = 1.0,
) -> RawDepth:
    """Return a pose's depth (H, W) with noise, rounded by ``table`` as the sensor rounds."""
    import cv2

    start = int(rng.integers(noise.size - pose.mean.size))
    fine = np.asarray(cv2.LUT(pose.sigma, SIGMA_FINE[None]), np.float32)
    if noisiness != 1:
        fine *= np.float32(noisiness)
    fine *= noise[start : start + pose.mean.size].reshape(pose.mean.shape)
    fine += pose.mean
    np.maximum(fine, 0, out=fine)
    np.minimum(fine, 65535, out=fine)
    # Every code is inside the table; "wrap" only spares NumPy the check.
    return np.take(table, fine.astype(np.uint16), mode="wrap")


def pinhole(width: int, height: int) -> Intrinsics:
    """Return the simulated cameras' intrinsics at a size."""
    focal = _FOCAL * width
    return Intrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


def white_noise(sensor: Sensor, color: Intrinsics, seed: int) -> npt.NDArray[np.float32]:
    """Return noise over two pictures, flat, as coarse as the sensor's window; deviation 1."""
    noise = np.random.default_rng(seed).standard_normal((2 * color.height, color.width), np.float32)
    if sensor.grain_px:
        import cv2

        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), sensor.grain_px), np.float32)
    flat: npt.NDArray[np.float32] = (noise / noise.std()).ravel()
    return flat
