"""Procedural albedo of the synthetic room: a colour from a place on a surface, no image files."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from drivers.synthetic.shapes import Floats, Material, rgb

_TILE = 512
_Texture = Callable[[Floats, Floats, Floats], Floats]


@functools.cache
def _noise_tile() -> Floats:
    """A periodic (512, 512) picture of 1/f noise, mean 0, standard deviation 1."""
    rng = np.random.default_rng(1)
    frequency = np.hypot(np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)[None])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((_TILE, _TILE))) / frequency
    tile = np.fft.irfft2(spectrum, (_TILE, _TILE))
    return np.asarray(tile / tile.std(), np.float32)


def _noise(u: Floats, v: Floats) -> Floats:
    """Sample the tile; one unit of ``u`` or ``v`` is one tile."""
    column = (u * _TILE).astype(np.int32) & (_TILE - 1)
    row = (v * _TILE).astype(np.int32) & (_TILE - 1)
    out: Floats = _noise_tile()[row, column]
    return out


def _flat(q: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Coordinates in the plane that the surface faces most (triplanar mapping), metres."""
    x, y, z = np.abs(n).T
    u = np.where((x > y) & (x > z), q[:, 2], q[:, 0])
    v = np.where((y > x) & (y > z), q[:, 2], q[:, 1])
    return u, v


def _times(base: Floats, factor: npt.NDArray[np.floating[Any]]) -> Floats:
    return np.asarray(base * np.clip(factor, 0.02, 2.0)[:, None], np.float32)


def _hash(cell: npt.NDArray[np.floating[Any]]) -> Floats:
    """A number from 0 to 1 for each whole number."""
    return np.asarray(np.modf(np.abs(np.sin(cell * 12.9898) * 43758.547))[0], np.float32)


def _plaster(q: Floats, n: Floats, base: Floats) -> Floats:
    u, v = _flat(q, n)
    return _times(base, 1 + 0.03 * _noise(u * 0.6, v * 0.6))


def _wallpaper(q: Floats, n: Floats, base: Floats) -> Floats:
    u, v = _flat(q, n)
    motif = np.sin(u * 52) * np.sin(v * 26 + 1.57 * np.sign(np.sin(u * 26)))
    return _times(base, 1 + 0.12 * (motif > 0.45) - 0.1 * (motif < -0.6) + 0.02 * _noise(u, v))


def _wood(q: Floats, n: Floats, base: Floats) -> Floats:
    u, v = _flat(q, n)
    grain = _noise(u * 0.25, v * 4.0) + 0.5 * _noise(u * 0.9, v * 11.0)
    return _times(base, 1 + 0.13 * grain)


def _planks(q: Floats, n: Floats, base: Floats) -> Floats:
    across = q[:, 0] / np.float32(0.15)
    row = np.floor(across)
    along = q[:, 2] / np.float32(1.2) + _hash(row)
    plank = row * 31 + np.floor(along)
    gap = (np.abs(across - np.rint(across)) < 0.018) | (np.abs(along - np.rint(along)) < 0.003)
    grain = _noise(q[:, 0] * 4.0, q[:, 2] * 0.3 + 0.37 * _hash(plank + 0.5))
    return _times(base, (0.86 + 0.26 * _hash(plank) + 0.1 * grain) * (1 - 0.55 * gap))


def _rug(q: Floats, n: Floats, base: Floats) -> Floats:
    x, z = q[:, 0] + np.float32(0.35), q[:, 2] - np.float32(2.7)
    radius, angle = np.hypot(x, z), np.arctan2(z, x)
    petals = np.cos(12 * angle) * np.cos(radius * 18)
    ring = (np.abs(radius - 0.8) < 0.04) | (np.abs(radius - 0.45) < 0.025)
    pile = 1 + 0.1 * _noise(q[:, 0] * 3, q[:, 2] * 3)
    colors = np.where((petals > 0.25)[:, None], rgb(0.66, 0.5, 0.3), base)
    colors = np.where(ring[:, None], rgb(0.05, 0.09, 0.16), colors)
    return _times(colors.astype(np.float32), pile)


def _fabric(q: Floats, n: Floats, base: Floats) -> Floats:
    u, v = _flat(q, n)
    weave = np.sin(u * 420) * np.sin(v * 420)
    return _times(base, 0.95 + 0.12 * weave + 0.12 * _noise(u * 1.5, v * 1.5))


def _stripes(q: Floats, n: Floats, base: Floats) -> Floats:
    band = np.sin(q[:, 1] * 95) > 0.25
    pale = np.where(band[:, None], rgb(0.75, 0.72, 0.65), base)
    u, v = _flat(q, n)
    return _times(pale.astype(np.float32), 1 + 0.06 * _noise(u * 2, v * 2))


def _picture(q: Floats, n: Floats, base: Floats) -> Floats:
    u, v = _flat(q, n)
    hills = _noise(u * 0.35, np.float32(0.21) * np.ones_like(u)) * 0.07 - 0.3
    layers = [(0.16, (0.06, 0.2, 0.18)), (0.08, (0.14, 0.34, 0.25)), (0.0, (0.45, 0.5, 0.2))]
    glow = np.clip(1.2 + v[:, None], 0, 1) * rgb(0.95, 0.5, 0.2)
    colors = glow + (1 - np.clip(1.2 + v[:, None], 0, 1)) * rgb(0.15, 0.3, 0.6)
    for step, (lift, tint) in enumerate(reversed(layers)):
        ridge = hills + lift + 0.04 * _noise(u * 0.8 + step * 0.3, np.zeros_like(u) + 0.1 * step)
        colors = np.where((v > ridge)[:, None], rgb(*tint), colors)
    return _times(colors.astype(np.float32), 1 + 0.07 * _noise(u * 3, v * 3))


def _book(q: Floats, n: Floats, base: Floats) -> Floats:
    bands = np.sin(q[:, 1] * 60 + 40 * base[:, 0]) > 0.93
    letters = (np.abs(np.sin(q[:, 1] * 22)) > 0.55) & (_noise(q[:, 0] * 6, q[:, 1] * 9) > 0.7)
    return _times(base, 1 + 0.5 * bands + 0.5 * letters)


def _leaf(q: Floats, n: Floats, base: Floats) -> Floats:
    return _times(base, 1 + 0.2 * _noise(q[:, 0] * 2, q[:, 1] * 2))


def _skin(q: Floats, n: Floats, base: Floats) -> Floats:
    return _times(base, 1 + 0.03 * _noise(q[:, 0] * 2, q[:, 1] * 2))


_TEXTURES: dict[int, _Texture] = {
    Material.PLASTER: _plaster,
    Material.WALLPAPER: _wallpaper,
    Material.WOOD: _wood,
    Material.PLANKS: _planks,
    Material.RUG: _rug,
    Material.FABRIC: _fabric,
    Material.STRIPES: _stripes,
    Material.PICTURE: _picture,
    Material.BOOK: _book,
    Material.LEAF: _leaf,
    Material.SKIN: _skin,
}


def albedo(material: npt.NDArray[np.uint8], place: Floats, normal: Floats, base: Floats) -> Floats:
    """Return the linear RGB that each of N surface points reflects.

    Args:
        material: (N,) values of `Material`.
        place: (N, 3) metres, fixed to the body, so that a texture moves with it.
        normal: (N, 3) of the body at rest.
        base: (N, 3) linear colour of the triangle.
    """
    out = base.copy()
    for kind in np.unique(material):
        paint = _TEXTURES.get(int(kind))
        if paint is not None:
            at = np.flatnonzero(material == kind)
            out[at] = paint(place[at], normal[at], base[at])
    return out
