"""Edge-aware depth completion and smoothing on the CPU; needs no download.

Unsound measurements go (`measured`), holes are filled (`membrane`), or get a body where that is
likelier (`choice`), noise is smoothed.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from lingbot_live.config import RefinerConfig
from lingbot_live.errors import ConfigError
from lingbot_live.frame import (
    ColorImage,
    DepthMap,
    Frame,
    Mask,
    Origin,
    OriginMap,
    RawDepth,
    RefinerInfo,
)
from lingbot_live.refiners.base import Refiner
from lingbot_live.refiners.guided import holes as grid
from lingbot_live.refiners.guided.choice import choose, origin_of
from lingbot_live.refiners.guided.measured import SATURATED_RAW, candidates, islands, reliable
from lingbot_live.refiners.guided.membrane import REACH, Guide, Plane, complete, hold, pyramid
from lingbot_live.refiners.guided.windows import Band, in_bands
from lingbot_live.system.helper import ALONE, Helper
from lingbot_live.system.malloc import keep_freed

GLASS = "glass"  # the model that looks for bodies which the sensor sees through
_COARSE = 8  # every so many pixels in both directions
_SMOOTH_REACH_PX = 2  # of a filter 5 pixels wide
_NOISE_ROWS = 4  # one in so many is looked at for noise
_NOISE_MOST = 0.01  # relative; more than this is structure, not noise


class GuidedRefiner(Refiner):
    """Fills holes along colour edges, removes flying pixels and outliers, smooths noise.

    Raises:
        ConfigError: a model other than `GLASS` or none.
    """

    computes_here = True

    def __init__(self, config: RefinerConfig) -> None:
        if config.model not in ("", GLASS):
            raise ConfigError(f"guided:{config.model}: write guided, or guided:{GLASS}")
        note = "classical edge-aware completion; where a body is missing, a tiny learned choice"
        name = f"guided:{GLASS}" if config.model == GLASS else "guided"
        super().__init__(RefinerInfo(name, device="CPU", note=note))
        self._config = config
        self._helper = Helper()
        keep_freed()

    def adopt(self, config: RefinerConfig) -> bool:
        """Change what is shown of the result."""
        self._config = config
        return True

    def _refine(self, frame: Frame) -> tuple[DepthMap, Mask]:
        depth_m, mask, self.origin = refine_depth(
            frame.color,
            frame.depth_raw,
            frame.depth_scale_m,
            self._config.model == GLASS,
            self._helper,
        )
        if self._config.keep_raw:
            measured = frame.depth_raw > 0
            np.copyto(depth_m, frame.depth_m, where=measured)
            mask |= measured
        if self._config.apply_mask and not mask.all():
            depth_m *= mask
        return depth_m, mask

    def close(self) -> None:
        """End the second thread."""
        self._helper.close()


def create_guided(config: RefinerConfig) -> Refiner:
    """Entry point of ``guided``."""
    return GuidedRefiner(config)


def refine_depth(
    color: ColorImage,
    depth_raw: RawDepth,
    scale_m: float,
    through: bool = False,
    helper: Helper = ALONE,
) -> tuple[DepthMap, Mask, OriginMap]:
    """Return completed and smoothed depth (H, W) float32 metres, where it is vouched for, and how.

    Depth is 0 everywhere where nothing was measured at all, and positive everywhere otherwise.

    Args:
        color: (H, W, 3) uint8.
        depth_raw: (H, W) uint16 sensor units, 0 = no measurement.
        scale_m: metres per sensor unit.
        through: whether glass is looked for, through which the background was measured.
        helper: who does a part of it; nothing hangs on that.
    """
    if not ((depth_raw > 0) & (depth_raw < SATURATED_RAW)).any():
        shape = depth_raw.shape
        nothing = np.full(shape, Origin.COMPLETED, np.uint8)
        return np.zeros(shape, np.float32), np.zeros(shape, bool), nothing
    sound = _sound(color, depth_raw, helper)
    known, log = sound.known, _filled(sound, depth_raw, scale_m)
    noise = noise_of(log, known)
    if sound.sparse:
        hold(log, known)
        origin = origin_of(known)
    else:
        origin = choose(grid.find(sound.guide.colors, sound.share, through), log, known, through)
    depth_m = smoothed(log, noise, helper)
    return depth_m, _vouched(known), origin


def completed(color: ColorImage, depth_raw: RawDepth, scale_m: float) -> tuple[Plane, Mask, bool]:
    """Return the completed log of inverse depth (H, W), what of it is measured, and if sparsely."""
    sound = _sound(color, depth_raw, ALONE)
    return _filled(sound, depth_raw, scale_m), sound.known, sound.sparse


class _Sound(NamedTuple):
    """What is to be completed."""

    guide: Guide  # what colour tells
    known: Mask  # (H, W) where a measurement can be trusted
    share: list[Plane]  # pyramid of that
    sparse: bool  # whether those stand alone


def _sound(color: ColorImage, depth_raw: RawDepth, helper: Helper) -> _Sound:
    among = candidates(depth_raw, helper)
    # One long call, beside which there is time for many short ones. The other way round, or with
    # short ones on both sides, the threads would wait for the interpreter's lock in turns.
    found = helper.begin(lambda: islands(among))
    guide = Guide(color)
    known, sparse = reliable(depth_raw, among, found.result, helper)
    return _Sound(guide, known, pyramid(known.astype(np.float32)), sparse)


def _filled(sound: _Sound, depth_raw: RawDepth, scale_m: float) -> Plane:
    """Return the completed log of inverse depth (H, W)."""
    beyond = sound.known & (depth_raw >= SATURATED_RAW)
    within = (sound.known & ~beyond).view(np.uint8)
    nearest, farthest, *_ = cv2.minMaxLoc(depth_raw, within)
    depth = depth_raw.astype(np.float32)
    if beyond.any() and sound.sparse:  # where little is measured the number is all there is
        farthest = float(depth[beyond].max())
    elif beyond.any():  # what lies beyond the range is far, nobody knows how far
        farthest *= REACH
        depth[beyond] = farthest
    inverse = cv2.copyTo(cv2.divide(1 / scale_m, depth), sound.known.view(np.uint8))
    range_ = (1 / (farthest * scale_m), 1 / (nearest * scale_m))
    return complete(sound.guide, inverse, sound.share, range_)


def smoothed(log: Plane, noise: float, helper: Helper = ALONE) -> DepthMap:
    """Return depth in metres of the log of inverse depth (H, W), smoothed within its own noise."""

    def within(band: Band) -> DepthMap:
        return np.asarray(cv2.exp(np.negative(_denoised(log[band.wide], noise)[band.own])))

    # Whoever does them, the parts are the same: the filter's last bits hang on its whole picture.
    depth_m: DepthMap = np.concatenate(in_bands(within, len(log), _SMOOTH_REACH_PX, helper))
    return depth_m


def _denoised(log: Plane, noise: float) -> Plane:
    """Smooth log depth (H, W), keeping steps larger than its noise."""
    noise = min(noise, _NOISE_MOST)
    if noise == 0:
        return log
    return np.asarray(cv2.bilateralFilter(log, 5, 3 * noise, 2.0))


def noise_of(log: Plane, known: Mask) -> float:
    """Return the standard deviation that white noise would need to be as rough along rows."""
    log, known = log[::_NOISE_ROWS], known[::_NOISE_ROWS]
    rough = np.abs(log[:, 1:-1] - (log[:, :-2] + log[:, 2:]) / 2)
    rough = rough[known[:, 1:-1] & known[:, :-2] & known[:, 2:]]
    # Clipped, so that edges count little; a median would be 0 on coarsely quantised depth.
    mean = float(np.minimum(rough, 2 * _NOISE_MOST).mean()) if rough.size else 0.0
    return mean * float(np.sqrt(np.pi / 2 / 1.5))


def _vouched(known: Mask) -> Mask:
    """Return the pixels within half the image's shorter side of a measurement."""
    some = float(_distance_px(known[::_COARSE, ::_COARSE]).max())  # where none is, float32's end
    # No pixel is farther from one than from one of some.
    if (some + 2) * _COARSE <= min(known.shape) / 2:
        return np.ones(known.shape, bool)
    return np.asarray(_distance_px(known) <= min(known.shape) / 2)


def _distance_px(known: Mask) -> Plane:
    """Return how far each pixel is from the next that is known."""
    return np.asarray(cv2.distanceTransform((~known).view(np.uint8), cv2.DIST_L2, 3))
