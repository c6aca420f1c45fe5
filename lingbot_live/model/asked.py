"""The arguments of one call of the network, checked and brought to one form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Given = Tensor | npt.NDArray[Any]  # what callers may hand in

_MOST_LEVEL, _MOST_SHARE = 2.0, 0.001  # of a float picture; single bad pixels are none of ours
_MOST_MEDIAN_M = 100.0
_MOST_NORMALISED = 10.0  # a focal length of ten picture widths is a telescope's


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What is to be refined: B pictures with as many depth maps and cameras."""

    image: Tensor  # (B, 3, H, W), uint8 or float
    depth: Tensor | None  # (B, 1, H', W') float metres
    intrinsics: Tensor | None  # (B, 3, 3), normalised
    single: bool  # one picture without the axis B

    @classmethod
    def of(cls, image: Given, depth: Given | None, intrinsics: Given | None) -> Request:
        """Check the arguments of `LingBotDepth.infer`; raises ValueError."""
        image = _tensor("image", image)
        single = image.ndim == 3
        images = image[None] if single else image
        if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
            last = image.ndim > 2 and image.shape[-1] == 3
            hint = " (move the channels, which are last, before H and W)" if last else ""
            raise ValueError(
                f"image: shape {tuple(image.shape)}; (3, H, W) or (B, 3, H, W) is needed{hint}"
            )
        if not (images.dtype == torch.uint8 or images.is_floating_point()):
            raise ValueError(f"image: {_name(image)}; uint8 or a float from 0 to 1 is needed")
        if images.is_floating_point() and _share_above(images, _MOST_LEVEL) > _MOST_SHARE:
            raise ValueError(
                f"image: a float up to {_most(images):g}; uint8, or a float from 0 to 1 is needed "
                "(divide by 255)"
            )
        count = len(images)
        return cls(images, _depth(depth, count), _intrinsics(intrinsics, count), single)

    @property
    def height_px(self) -> int:
        """Of the picture."""
        return self.image.shape[2]

    @property
    def width_px(self) -> int:
        """Of the picture."""
        return self.image.shape[3]

    def to(self, device: torch.device) -> Request:
        """Return the same on a device."""
        depth, intrinsics = self.depth, self.intrinsics
        return replace(
            self,
            image=self.image.to(device),
            depth=None if depth is None else depth.to(device),
            intrinsics=None if intrinsics is None else intrinsics.to(device),
        )


def _tensor(name: str, value: Given) -> Tensor:
    """Take a tensor as it is, and a NumPy array, read-only and of any byte order, as a copy."""
    if isinstance(value, Tensor):
        return value
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{name}: {type(value).__name__}; a tensor or a NumPy array is needed")
    if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
        raise ValueError(f"{name}: {value.dtype}; an array of numbers is needed")
    return torch.from_numpy(np.array(value, value.dtype.newbyteorder("="), order="C"))


def _share_above(values: Tensor, limit: float) -> float:
    return float(
        (values[..., ::4, ::4].isfinite() & (values[..., ::4, ::4] > limit)).float().mean()
    )


def _most(values: Tensor) -> float:
    return float(values[values.isfinite()].max())


def _check_metres(depth: Tensor) -> None:
    some = depth[..., ::4, ::4].float()
    valid = some[some.isfinite() & (some > 0)]
    if len(valid) and (median_m := float(valid.median())) > _MOST_MEDIAN_M:
        raise ValueError(
            f"depth_in: {median_m:g} m in the median, which looks like millimetres; metres are "
            "needed (divide by 1000)"
        )


def _depth(given: Given | None, count: int) -> Tensor | None:
    if given is None:
        return None
    depth = _tensor("depth_in", given)
    if not depth.is_floating_point():
        raise ValueError(
            f"depth_in: {_name(depth)}; a float in metres is needed (divide millimetres by 1000)"
        )
    maps = depth
    if maps.ndim == 4 and maps.shape[1] == 1:
        maps = maps[:, 0]
    elif maps.ndim == 2:
        maps = maps[None]
    if maps.ndim != 3 or len(maps) != count or 0 in maps.shape:
        raise ValueError(
            f"depth_in: shape {tuple(depth.shape)} with {count} picture(s); ({count}, H, W), "
            f"({count}, 1, H, W){' or (H, W)' if count == 1 else ''} is needed"
        )
    _check_metres(maps)
    return maps[:, None]


def _intrinsics(given: Given | None, count: int) -> Tensor | None:
    if given is None:
        return None
    intrinsics = _tensor("intrinsics", given)
    if intrinsics.shape not in ((3, 3), (1, 3, 3), (count, 3, 3)):
        raise ValueError(
            f"intrinsics: shape {tuple(intrinsics.shape)} with {count} picture(s); (3, 3) or "
            f"({count}, 3, 3) is needed"
        )
    matrices = intrinsics.float()
    _check_normalised(matrices)
    return matrices.expand(count, 3, 3)


def _check_normalised(matrices: Tensor) -> None:
    focal = matrices[..., [0, 1], [0, 1]]
    if not bool(matrices.isfinite().all()) or bool((focal <= 0).any()):
        raise ValueError(
            f"intrinsics: {matrices.tolist()}; finite numbers with focal lengths above 0 are needed"
        )
    if float(matrices.abs().max()) > _MOST_NORMALISED:
        raise ValueError(
            f"intrinsics: values up to {float(matrices.abs().max()):g} look like pixels; divide "
            "row 0 by the picture's width and row 1 by its height"
        )


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
