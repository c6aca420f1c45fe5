"""The arguments of one call of the network, checked and brought to one form."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What is to be refined: B pictures with as many depth maps and cameras."""

    image: Tensor  # (B, 3, H, W), uint8 or float
    depth: Tensor | None  # (B, 1, H', W') float metres
    intrinsics: Tensor | None  # (B, 3, 3), normalised
    single: bool  # one picture without the axis B

    @classmethod
    def of(cls, image: Tensor, depth: Tensor | None, intrinsics: Tensor | None) -> Request:
        """Check the arguments of `LingBotDepth.infer`; raises ValueError."""
        single = image.ndim == 3
        images = image[None] if single else image
        if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
            raise ValueError(
                f"image: shape {tuple(image.shape)}; (3, H, W) or (B, 3, H, W) is needed"
            )
        if not (images.dtype == torch.uint8 or images.is_floating_point()):
            raise ValueError(f"image: {_name(image)}; uint8 or a float from 0 to 1 is needed")
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


def _depth(depth: Tensor | None, count: int) -> Tensor | None:
    if depth is None:
        return None
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
    return maps[:, None]


def _intrinsics(intrinsics: Tensor | None, count: int) -> Tensor | None:
    if intrinsics is None:
        return None
    if intrinsics.shape not in ((3, 3), (1, 3, 3), (count, 3, 3)):
        raise ValueError(
            f"intrinsics: shape {tuple(intrinsics.shape)} with {count} picture(s); (3, 3) or "
            f"({count}, 3, 3) is needed"
        )
    return intrinsics.float().expand(count, 3, 3)


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
