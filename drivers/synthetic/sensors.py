"""How three kinds of depth sensor see a View: what they measure, how noisy, and where not at all.

Each sensor gives a mean depth and a standard deviation per pixel (`observe`), to be drawn from for
every frame, and rounds the drawn depth as its own arithmetic does (`raw_table`). The parameters
are those of the native device, whatever the size of the picture.

Sources:
    Keselman, Woodfill, Grunnet-Jepsen, Bhowmik: Intel RealSense Stereoscopic Depth Cameras, CVPR
        Workshops 2017 (stereo: sub-pixel disparity, depth error growing with z squared).
    Grunnet-Jepsen, Sweetser, Woodfill: Best-Known-Methods for Tuning Intel RealSense D400 Depth
        Cameras for Best Performance, 2018 (stereo: RMS error = z^2 * subpixel / (f * baseline)).
    Scharstein, Szeliski: A Taxonomy and Evaluation of Dense Two-Frame Stereo Correspondence
        Algorithms, IJCV 2002 (stereo: failure in textureless regions, edges that fatten).
    Lange, Seitz: Solid-State Time-of-Flight Range Camera, IEEE J. Quantum Electronics 2001 (ToF:
        range noise from amplitude and background).
    Sarbolandi, Lefloch, Kolb: Kinect Range Sensing: Structured-Light versus Time-of-Flight Kinect,
        CVIU 2015 (flying pixels, multipath, dark and transparent surfaces, ambient light).
    Khoshelham, Elberink: Accuracy and Resolution of Kinect Depth Data for Indoor Mapping
        Applications, Sensors 2012 (structured light: disparity steps, shadow).
    Nguyen, Izadi, Lovell: Modeling Kinect Sensor Noise for Improved 3D Reconstruction and Tracking,
        3DIMPVT 2012 (structured light: axial noise by distance and angle, lateral noise).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from drivers.synthetic.shapes import Floats, Material, rgb
from drivers.synthetic.stage import Hit, Stage, View
from lingbot_live.frame import DepthMap, Mask, RawDepth
from lingbot_live.geometry import rays as pixel_rays

Phasors = npt.NDArray[np.complex64]

FINE_M = 1e-4  # depth is kept in units of 0.1 mm before a sensor rounds it
_LIGHT_M_S = 299_792_458.0


@dataclass(frozen=True, slots=True)
class Observation:
    """What a sensor makes of a View, before the noise of one frame."""

    mean_m: DepthMap  # (H, W), 0 = no measurement
    sigma_m: Floats  # (H, W) standard deviation from frame to frame


@dataclass(frozen=True)
class Sensor(ABC):
    """A kind of depth sensor."""

    title: str
    depth_scale_m: float
    baseline_m: float | None
    grain_px: float  # how far the noise of neighbours hangs together

    @abstractmethod
    def observe(self, view: View, rng: np.random.Generator) -> Observation:
        """Measure; ``rng`` decides what differs from one device to the next."""

    @abstractmethod
    def raw_table(self) -> RawDepth:
        """Return the raw value for each depth in units of `FINE_M`, (65536,); 0 stays 0."""


def _blobs(rng: np.random.Generator, shape: tuple[int, ...], size_px: float) -> Floats:
    """Smooth noise with patches of about ``size_px``, standard deviation about 1."""
    import cv2

    height, width = shape[:2]
    small = (max(2, round(height / size_px)), max(2, round(width / size_px)))
    noise = rng.standard_normal(small, np.float32)
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _fattened(depth_m: DepthMap, size_px: int) -> DepthMap:
    """Return the depth of what is nearer around the far side of an edge; elsewhere as it is.

    A matching window takes the nearer of two surfaces, but a single one as it lies, at a slant too:
    a plane's disparity changes evenly, so that in a window it rises by as much as it falls.
    Pixels without depth stay so.
    """
    import cv2

    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size_px, size_px))
    known = depth_m > 0
    inverse = np.divide(1, depth_m, out=np.zeros_like(depth_m), where=known)
    most = cv2.dilate(inverse, kernel)
    least = cv2.erode(np.where(known, inverse, np.float32(1e3)), kernel)
    nearer = np.maximum(inverse, most + least - inverse)
    return np.divide(1, nearer, out=np.zeros_like(depth_m), where=known)


def _fine_depths_m() -> npt.NDArray[np.float64]:
    return np.arange(65536) * FINE_M


def _disparity_steps(focal_baseline: float, steps_per_px: int, scale_m: float) -> RawDepth:
    """Round the table's depths as a matcher does that counts parts of a pixel of disparity."""
    with np.errstate(divide="ignore"):
        disparity = np.rint(focal_baseline / _fine_depths_m() * steps_per_px) / steps_per_px
    raw = np.rint(focal_baseline / np.maximum(disparity, 1e-6) / scale_m)
    raw[0] = 0
    out: RawDepth = np.clip(raw, 0, 65535).astype(np.uint16)
    return out


def contrast(view: View) -> Floats:
    """Return the standard deviation of grey in a 9x9 window, (H, W), in 8-bit steps."""
    import cv2

    gray = cv2.cvtColor(view.color, cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean = cv2.blur(gray, (9, 9))
    square = cv2.blur(gray * gray, (9, 9))
    return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0)), np.float32)


@dataclass(frozen=True)
class Stereo(Sensor):
    """Two imagers and a weak projector, after the Intel RealSense D435.

    Its depth error is ``z^2 * error_px / (f * baseline)``, its depths lie on steps of 1/32 px. It
    finds nothing where little texture is (the projected dots fade with distance), where the right
    imager does not see the surface, on chrome, and at steep angles. It sees through glass in
    places, sees the room in mirrors, and near edges gives the nearer depth.
    """

    title: str = "stereo"
    depth_scale_m: float = 0.001
    baseline_m: float | None = 0.05
    grain_px: float = 1.2  # of the matching window
    focal_px: float = 520.0  # native
    error_px: float = 0.08
    near_m: float = 0.28
    far_m: float = 6.5

    @property
    def _focal_baseline(self) -> float:
        return self.focal_px * (self.baseline_m or 0)

    def observe(self, view: View, rng: np.random.Generator) -> Observation:
        """See `Sensor`."""
        shape = view.depth_m.shape
        seen = _fattened(view.through_m, 5)
        texture = contrast(view)
        lost = self._unmatched(view, seen, texture, rng) | view.hidden_from(self.baseline_m or 0)
        per_px = seen * seen / np.float32(self._focal_baseline)
        bumps = np.float32(0.6 * self.error_px) * _blobs(rng, shape, 6)
        error_px = self.error_px * (1 + 1.5 / (1 + texture))
        mean = np.where(lost, 0, seen + per_px * bumps).astype(np.float32)
        return Observation(mean, np.asarray(per_px * error_px, np.float32))

    def _unmatched(
        self, view: View, seen: DepthMap, texture: Floats, rng: np.random.Generator
    ) -> Mask:
        patches = _blobs(rng, seen.shape, 9)
        dots = 9 * view.infrared * np.clip(view.facing, 0, 1) / np.maximum(seen, 0.3) ** 2
        lost = texture + dots < 1.3 + 0.5 * patches
        lost |= (view.material == Material.CHROME) & (patches < 1.2)
        lost |= (view.material == Material.GLASS) & (patches < 0.2)
        lost |= (view.facing < 0.12) | (seen < self.near_m) | (seen > self.far_m)
        # The left border lies outside the right imager's picture.
        column = np.arange(seen.shape[1], dtype=np.float32)
        reach = view.intrinsics.fx * np.float32(self.baseline_m or 0)
        return lost | (column < reach / np.maximum(seen, 0.1))

    def raw_table(self) -> RawDepth:
        """See `Sensor`."""
        return _disparity_steps(self._focal_baseline, 32, self.depth_scale_m)


@dataclass(frozen=True)
class TimeOfFlight(Sensor):
    """Continuous-wave time of flight with a single modulation frequency.

    A pixel measures the phase of a sum of phasors: of everything inside its footprint (flying
    pixels at edges), of light that came by way of a second surface (which rounds and pushes back
    concave corners), of a pane and what is behind it. The phase wraps at ``c / 2f``, 5.35 m of
    radial distance at 28 MHz. Noise is ``L / sqrt(8) * sqrt(B) / (2 A)``, with L that range, A the
    amplitude and B all light, in electrons (Lange and Seitz); pixels of little amplitude are lost.
    """

    title: str = "time of flight"
    depth_scale_m: float = 0.001
    baseline_m: float | None = None
    grain_px: float = 0.0
    modulation_hz: float = 28e6
    electrons: float = 7e5  # from a white surface at 1 m
    ambient: float = 1e4  # electrons
    least: float = 2.5e3  # electrons of amplitude below which a pixel is invalid

    _BOUNCE_STEP_PX: ClassVar[int] = 10
    _BOUNCE_RAYS: ClassVar[int] = 24

    @property
    def wrap_m(self) -> float:
        """The radial distance at which the phase begins anew."""
        return _LIGHT_M_S / (2 * self.modulation_hz)

    def observe(self, view: View, rng: np.random.Generator) -> Observation:
        """See `Sensor`."""
        import cv2

        stretch = np.sqrt(1 + np.sum(pixel_rays(view.intrinsics) ** 2, -1))
        phasor = self._phasor(view, stretch)
        mixed = cv2.blur(phasor.real, (3, 3)) + 1j * cv2.blur(phasor.imag, (3, 3))
        amplitude = np.abs(mixed) * self.electrons
        radial = np.mod(np.angle(mixed) / (2 * np.pi), 1) * self.wrap_m
        light = amplitude + self.ambient + 2e5 * view.sunlit
        noise = self.wrap_m / np.sqrt(8) * np.sqrt(light) / (2 * np.maximum(amplitude, 1))
        lost = amplitude < self.least * (1 + 0.15 * _blobs(rng, radial.shape, 3))
        mean = np.where(lost, 0, np.maximum(radial / stretch, FINE_M)).astype(np.float32)
        return Observation(mean, (noise / stretch).astype(np.float32))

    def _turn(self, path_m: Floats) -> Phasors:
        """The phasor of light that went ``path_m`` there and back together."""
        angle = 2 * np.pi * self.modulation_hz / _LIGHT_M_S * path_m
        out: Phasors = np.exp(1j * angle).astype(np.complex64)
        return out

    def _phasor(self, view: View, stretch: Floats) -> Phasors:
        far = view.through_m * stretch
        near = view.depth_m * stretch
        mirror = view.material == Material.MIRROR
        glass = view.material == Material.GLASS
        strength = np.where(mirror, 0.35, view.infrared * np.clip(view.facing, 0.02, 1))
        strength = strength / stretch**4  # the emitter's cone
        strength = np.where(view.material == Material.CHROME, 0.007, strength)
        strength = np.where(glass, 0.7 * strength, strength) / np.maximum(far, 0.2) ** 2
        bounced = np.where(mirror | (view.through_m <= 0), 1, self.multipath(view))
        out = strength * (view.through_m > 0) * self._turn(2 * far) * bounced
        pane = np.where(glass, 0.1 / np.maximum(near, 0.2) ** 2, 0) * self._turn(2 * near)
        mixed: Phasors = (out + pane).astype(np.complex64)
        return mixed

    def multipath(self, view: View) -> Phasors:
        """Return the factor by which light off a second surface changes each phasor, (H, W).

        One diffuse bounce, gathered on a coarse grid with rays spread by the cosine law; the
        surface's own reflectance cancels.
        """
        import cv2

        step = self._BOUNCE_STEP_PX
        primary = view.stage.world_rays(view.intrinsics)[step // 2 :: step, step // 2 :: step]
        grid = primary.shape[:2]
        factor = self._bounce(view, primary.reshape(-1, 6)).reshape(grid)
        size = (view.intrinsics.width, view.intrinsics.height)
        real, imag = (
            cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_LINEAR)
            for part in (factor.real, factor.imag)
        )
        out: Phasors = (real + 1j * imag).astype(np.complex64)
        return out

    def _bounce(self, view: View, primary: Floats) -> Phasors:
        stage = view.stage
        first = stage.cast(primary)
        count, spread = len(primary), _cosine_directions(self._BOUNCE_RAYS)
        onward = _around(first.normal, spread)
        start = first.place + first.normal * np.float32(2e-3)
        rays = np.concatenate([np.repeat(start[:, None], len(spread), 1), onward], -1)
        second = stage.cast(rays.reshape(-1, 6).astype(np.float32))
        light, back = _lit_by_emitter(stage, second)
        direct, there = _lit_by_emitter(stage, first)
        light *= 0.8 * second.color.mean(1)
        between = np.where(np.isfinite(second.t), second.t, 0)
        detour = (back + between).reshape(count, -1) - there[:, None]
        indirect = (light.reshape(count, -1) * self._turn(detour)).mean(1)
        # The factor spreads over a grid cell: a point seen from aside must not outshine the rest.
        direct = np.maximum(direct, 0.25 / np.maximum(there, 0.3) ** 2)
        factor: Phasors = (1 + indirect / direct).astype(np.complex64)
        return factor

    def raw_table(self) -> RawDepth:
        """See `Sensor`."""
        out: RawDepth = np.rint(_fine_depths_m() / self.depth_scale_m).astype(np.uint16)
        return out


def _lit_by_emitter(stage: Stage, hit: Hit) -> tuple[Floats, Floats]:
    """Light (N,) of an emitter in the camera, 1 straight ahead at 1 m, and the distance, metres.

    The emitter's cone fades with the fourth power of the cosine and ends at 45 degrees.
    """
    to_eye = stage.position - hit.place
    far = np.linalg.norm(to_eye, axis=1)
    toward = np.einsum("nc,nc->n", hit.normal, to_eye) / np.maximum(far, 0.1)
    ahead = -(to_eye @ stage.turn[:, 2]) / np.maximum(far, 0.1)
    rays = np.concatenate([hit.place + hit.normal * np.float32(2e-3), to_eye], 1)
    lit = (ahead > 0.7) & np.isfinite(hit.t) & ~stage.blocked(rays.astype(np.float32), 0.99)
    light = np.clip(toward, 0, 1) * np.clip(ahead, 0, 1) ** 4 * lit / np.maximum(far, 0.3) ** 2
    return light, far


def _cosine_directions(count: int) -> Floats:
    """Directions about +z with a density like their cosine, (count, 3), on Vogel's spiral."""
    k = np.arange(count) + 0.5
    radius, angle = np.sqrt(k / count), k * np.pi * (3 - np.sqrt(5))
    height = np.sqrt(1 - radius**2)
    spiral = [radius * np.cos(angle), radius * np.sin(angle), height]
    return np.stack(spiral, -1, dtype=np.float32, casting="same_kind")


def _around(normal: Floats, directions: Floats) -> Floats:
    """Turn directions about +z to lie about each normal: (N, 3) and (K, 3) give (N, K, 3)."""
    helper = np.where(np.abs(normal[:, :1]) > 0.8, rgb(0, 1, 0), rgb(1, 0, 0))
    side = np.cross(normal, helper)
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-9
    frame = np.stack([side, np.cross(normal, side), normal], 1)
    return np.asarray(np.einsum("kc,nca->nka", directions, frame), np.float32)


@dataclass(frozen=True)
class StructuredLight(Sensor):
    """A projector of dots beside an infrared imager, after the first Kinect.

    Depths lie on steps of 1/8 px of disparity, 2.85 mm times z^2 (Khoshelham and Elberink); noise
    is ``0.0012 + 0.0019 (z - 0.4)^2 + 0.0001 / sqrt(z) * a^2 / (pi/2 - a)^2`` metres at the angle
    ``a`` of the surface, and edges are rough by 0.8 px (Nguyen et al.). No dots are found in the
    projector's shadow, in sunlight, on chrome, glass, black or far surfaces, and on what is
    narrower than the correlation window. The scale is 0.1 mm.
    """

    title: str = "structured light"
    depth_scale_m: float = 0.0001
    baseline_m: float | None = 0.075
    grain_px: float = 0.7
    step_per_m: float = 2.85e-3  # of depth between two disparities, times z^2
    near_m: float = 0.4
    far_m: float = 4.6
    window_px: int = 5

    def observe(self, view: View, rng: np.random.Generator) -> Observation:
        """See `Sensor`."""
        seen = _rough_edges(view.depth_m, rng)
        lost = self._undotted(view, seen, rng) | view.hidden_from(self.baseline_m or 0)
        angle = np.arccos(np.clip(view.facing, 0.05, 1))
        noise = 0.0012 + 0.0019 * (seen - 0.4) ** 2
        noise += 0.0001 / np.sqrt(np.maximum(seen, 0.1)) * angle**2 / (np.pi / 2 - angle) ** 2
        mean = np.where(lost, 0, seen).astype(np.float32)
        return Observation(mean, noise.astype(np.float32))

    def _undotted(self, view: View, seen: DepthMap, rng: np.random.Generator) -> Mask:
        import cv2

        patches = _blobs(rng, seen.shape, 4)
        echo = view.infrared * np.clip(view.facing, 0, 1) / np.maximum(seen, 0.3) ** 2
        lost = echo < 0.005 * (1 + 0.25 * patches)
        lost |= (view.infrared < 0.07) & (seen > 0.8)
        bare = (Material.CHROME, Material.MIRROR, Material.GLASS)
        lost |= np.isin(view.material, bare) & (patches < 1.6)
        lost |= (view.sunlit & (patches < 1.8)) | (seen < self.near_m) | (seen > self.far_m)
        window = np.ones((self.window_px, self.window_px), np.uint8)
        broad = cv2.morphologyEx(view.depth_m, cv2.MORPH_CLOSE, window)
        return np.asarray(lost | (broad > view.depth_m * 1.04), bool)

    def raw_table(self) -> RawDepth:
        """See `Sensor`."""
        return _disparity_steps(1 / self.step_per_m, 1, self.depth_scale_m)


def _rough_edges(depth_m: DepthMap, rng: np.random.Generator) -> DepthMap:
    """Take each depth from a place about 0.8 px away."""
    import cv2

    v, u = np.mgrid[: depth_m.shape[0], : depth_m.shape[1]].astype(np.float32)
    u += np.float32(0.8) * _blobs(rng, depth_m.shape, 3)
    v += np.float32(0.8) * _blobs(rng, depth_m.shape, 3)
    moved = cv2.remap(depth_m, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


SENSORS: dict[str, Sensor] = {
    "stereo": Stereo(),
    "tof": TimeOfFlight(),
    "structured": StructuredLight(),
}
