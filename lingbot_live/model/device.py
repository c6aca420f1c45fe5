"""All that differs between a CPU and a CUDA device, in one place.

The engine runs the same steps on both. What was written for CUDA alone (pinned memory, the copy
stream, graphs) stands in `CudaDevice`; ``docs/performance.md`` says what of it was ever run.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from lingbot_live.errors import ConfigError
from lingbot_live.model.precision import Precision
from lingbot_live.model.tokens import TokenPacking

T = TypeVar("T")


class Device(Protocol):
    """Where the network runs. Used from one thread."""

    where: torch.device
    label: str  # for people
    packing: TokenPacking
    precision: Precision  # that is fast and good here

    def host_buffer(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return host memory from and to which copies are fast."""

    def upload(self, pairs: list[tuple[Tensor, Tensor]]) -> None:
        """Copy each host tensor into its device tensor, (device, host), before what follows."""

    def download(self, pairs: list[tuple[Tensor, Tensor]]) -> None:
        """Copy each device tensor into its host tensor, (host, device), and wait for it."""

    def captured(self, call: Callable[[], T]) -> Callable[[], T]:
        """Return ``call`` in its fastest form; its results keep their place from call to call."""

    def free(self) -> None:
        """Give unused device memory back."""


class CpuDevice:
    """All threads but one, which is left to the cameras and the window."""

    where = torch.device("cpu")
    packing = TokenPacking.DROP
    precision = Precision.FP32

    def __init__(self) -> None:
        threads = max(1, (os.cpu_count() or 2) - 1)
        torch.set_num_threads(threads)
        self.label = f"CPU, {threads} thread{'s' if threads > 1 else ''}"

    def host_buffer(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype)

    def upload(self, pairs: list[tuple[Tensor, Tensor]]) -> None:
        for target, source in pairs:
            target.copy_(source)

    def download(self, pairs: list[tuple[Tensor, Tensor]]) -> None:
        self.upload(pairs)

    def captured(self, call: Callable[[], T]) -> Callable[[], T]:
        return call

    def free(self) -> None:
        """Nothing to give back."""


class CudaDevice:
    """The first CUDA device."""

    packing = TokenPacking.BUCKET
    precision = Precision.FP16

    def __init__(self) -> None:
        self.where = torch.device("cuda", torch.cuda.current_device())
        self.label = torch.cuda.get_device_name(self.where)
        self._copies = torch.cuda.Stream(self.where)
        self._pool = torch.cuda.graph_pool_handle()

    def host_buffer(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype, pin_memory=True)

    def upload(self, pairs: list[tuple[Tensor, Tensor]]) -> None:
        # The frame before may still be read: its last kernel must end before it is overwritten.
        self._copies.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._copies):
            for target, source in pairs:
                target.copy_(source, non_blocking=True)
        torch.cuda.current_stream().wait_stream(self._copies)

    def download(self, pairs: list[tuple[Tensor, Tensor]]) -> None:
        for target, source in pairs:
            target.copy_(source, non_blocking=True)
        torch.cuda.current_stream().synchronize()

    def captured(self, call: Callable[[], T]) -> Callable[[], T]:
        # A capture records only, so lazy initialisation has to happen before, on a side stream.
        side = torch.cuda.Stream(self.where)
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):
                call()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            results = call()

        def replay() -> T:
            graph.replay()
            return results

        return replay

    def free(self) -> None:
        torch.cuda.empty_cache()


def has_cuda() -> bool:
    """Whether this torch can use a CUDA device now."""
    return torch.cuda.is_available()


def pick_device(name: str) -> Device:
    """Return the device called ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ConfigError: the name is unknown, or there is no such device.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device {name!r}; known: auto, cpu, cuda")
    if name == "cuda" and not has_cuda():
        raise ConfigError(
            "device cuda: this torch finds no CUDA device; lingbot-live doctor says why"
        )
    return CudaDevice() if name != "cpu" and has_cuda() else CpuDevice()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the device has no memory left."""
    words = ("out of memory", "not enough memory", "can't allocate memory")
    return isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)
    )
