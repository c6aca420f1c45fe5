"""Depth to colour on a torch device: what `lingbot_live.registration` does, to the pixel.

The whole image goes through at once. Every step is an operation of its own in float32, which rounds
as NumPy does: nothing here may be fused or compiled.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lingbot_live.frame import Intrinsics, RawDepth
from lingbot_live.registration import ANY, FOOTPRINT_PX, Registration

_NONE = 0x10000  # loses to every value, and its low 16 bits are "no measurement"


class TorchRegistration:
    """A registration whose tables live on ``where``; used from one thread.

    On CUDA it has a stream of its own, ahead of others: a frame is not to wait for the network.
    """

    def __init__(self, plain: Registration, where: torch.device) -> None:
        self._plain = plain
        on_gpu = where.type == "cuda"
        self._stream = torch.cuda.Stream(where, priority=-1) if on_gpu else None

        def host(lens: Intrinsics) -> Tensor:
            return torch.empty((lens.height, lens.width), dtype=torch.int16, pin_memory=on_gpu)

        # They hold the bits of uint16, in which torch does not compute.
        self._depth_host, self._color_host = host(plain.depth), host(plain.color)
        with torch.cuda.stream(self._stream):
            self._depth = torch.empty(self._depth_host.shape, dtype=torch.int16, device=where)
            rays = torch.from_numpy(plain.rays).to(where)
        self._first, self._last = rays[:, :-1, :-1], rays[:, 1:, 1:]

    @torch.inference_mode()
    def __call__(self, depth_raw: RawDepth, scale_m: float) -> RawDepth:
        """As `Registration`, and RuntimeError where the device fails."""
        self._plain.check(depth_raw)
        self._depth_host.numpy()[:] = depth_raw.view("int16")
        with torch.cuda.stream(self._stream):
            self._depth.copy_(self._depth_host, non_blocking=True)
            self._color_host.copy_(self._splat(scale_m), non_blocking=True)
        if self._stream is not None:
            self._stream.synchronize()
        found: RawDepth = self._color_host.numpy().view("uint16").copy()
        return found

    def _splat(self, scale_m: float) -> Tensor:
        """Return the depth on the colour image's grid, (H, W) int16 with the bits of uint16."""
        height, width = self._plain.color.height, self._plain.color.width
        raw = self._depth.to(torch.int32) & 0xFFFF
        measured = raw > 0
        # A tensor, since CUDA divides by a number through its reciprocal, which rounds otherwise.
        scale = torch.full((), scale_m, dtype=torch.float32, device=raw.device)
        z_m = torch.where(measured, raw, ANY).float() * scale
        u0, v0, seen = self._plain.project(self._first, z_m)
        u1, v1, _ = self._plain.project(self._last, z_m)
        x0, x1, inside_x = _between(u0, u1, width)
        y0, y1, inside_y = _between(v0, v1, height)
        hit = measured & seen & inside_x & inside_y
        value = self._value(raw, z_m, scale)
        value = torch.where(hit & (value > 0), value, _NONE).flatten()
        # Elsewhere a position may be anything, and one outside would end the process.
        x0, x1, y0, y1 = (torch.where(hit, end, 0) for end in (x0, x1, y0, y1))
        nearest = torch.full((height * width,), _NONE, dtype=torch.int32, device=raw.device)
        columns, lines = _steps(x1 - x0, y1 - y0)
        for dy in range(lines):
            line = torch.minimum(y0 + dy, y1) * width
            for dx in range(columns):
                at = (line + torch.minimum(x0 + dx, x1)).flatten()
                nearest.scatter_reduce_(0, at, value, "amin")
        return nearest.view(height, width).to(torch.int16)

    def _value(self, raw: Tensor, z_m: Tensor, scale: Tensor) -> Tensor:
        if self._plain.keep_values:
            return raw
        middle = (self._first[2] + self._last[2]) / 2
        return self._plain.color_depth(middle, z_m, scale).to(torch.int32)


def _between(a: Tensor, b: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the first and last pixel from ``a`` to ``b`` within the image, if there is any."""
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    inside = (high >= 0) & (low < size)
    first, last = (end.clip(0, size - 1).to(torch.int64) for end in (low, high))
    return first, last, inside


def _steps(*spans: Tensor) -> list[int]:
    """Return how many pixels the widest footprint takes each way; waits for the device."""
    widest: list[int] = torch.stack([span.amax() for span in spans]).tolist()
    return [min(span + 1, FOOTPRINT_PX) for span in widest]
