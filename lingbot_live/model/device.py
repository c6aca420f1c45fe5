"""All that differs between a CPU, a CUDA device and Apple's GPU, in one place.

The engine runs the same steps on all. What was written for CUDA alone (pinned memory, the copy
stream, graphs) stands in `CudaDevice`; ``docs/performance.md`` says what of it was ever run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from lingbot_live.config import DEVICES
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
        """Return ``call`` in its fastest form, on the tensors that it reads now.

        A result holds until any call captured from this device runs again.
        """

    def elapsed_ms(self, call: Callable[[], object]) -> float:
        """Return how long the device takes for a call, which need not wait for its end."""

    def free(self) -> None:
        """Give unused memory back, after all captured calls were dropped."""


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
        for target, source in pairs:
            target.copy_(source)

    def captured(self, call: Callable[[], T]) -> Callable[[], T]:
        return call

    def elapsed_ms(self, call: Callable[[], object]) -> float:
        started = time.perf_counter()
        call()
        return (time.perf_counter() - started) * 1e3

    def free(self) -> None:
        """Nothing to give back."""


@dataclass(slots=True, eq=False)
class _Graph(Generic[T]):
    """A recorded call. It holds the call, because replay reads tensors by their address."""

    call: Callable[[], T]
    graph: Any  # torch.cuda.CUDAGraph
    results: T

    def __call__(self) -> T:
        self.graph.replay()
        return self.results


class CudaDevice:
    """The current CUDA device.

    Graphs share one memory pool: what one leaves behind, another may overwrite, which is why a
    result must be downloaded before the next graph runs.
    """

    packing = TokenPacking.BUCKET
    precision = Precision.FP16

    def __init__(self) -> None:
        self.where = torch.device("cuda", torch.cuda.current_device())
        self.label = torch.cuda.get_device_name(self.where)
        self._copies = torch.cuda.Stream(self.where)
        self._captures = torch.cuda.Stream(self.where)
        self._pool = torch.cuda.graph_pool_handle()
        # What is called fp32 is to be fp32: PyTorch rounds convolutions to 10 bits by default, and
        # lets cuBLAS add partial sums in fp16.
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False

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
        graph = torch.cuda.CUDAGraph()
        self._captures.wait_stream(torch.cuda.current_stream())
        # The outer context also restores the stream where a failed capture does not.
        with torch.cuda.stream(self._captures):
            for _ in range(2):  # capture only records, so lazy initialisation has to happen before
                call()
            # thread_local: other threads may go on using CUDA meanwhile
            recording = torch.cuda.graph(
                graph, self._pool, self._captures, capture_error_mode="thread_local"
            )
            with recording:
                results = call()
        torch.cuda.current_stream().wait_stream(self._captures)
        return _Graph(call, graph, results)

    def elapsed_ms(self, call: Callable[[], object]) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        end.synchronize()
        took_ms: float = start.elapsed_time(end)
        return took_ms

    def free(self) -> None:
        torch.cuda.empty_cache()
        # PyTorch asserts that a pool is never used again once all its graphs are gone.
        self._pool = torch.cuda.graph_pool_handle()


class MpsDevice(CpuDevice):
    """Apple's GPU. Its memory is the host's, and it has no graphs: it does what a CPU does."""

    where = torch.device("mps")
    precision = Precision.FP16

    def __init__(self) -> None:
        self.label = "Apple GPU"

    def elapsed_ms(self, call: Callable[[], object]) -> float:
        def whole() -> None:
            call()
            torch.mps.synchronize()

        torch.mps.synchronize()
        return super().elapsed_ms(whole)

    def free(self) -> None:
        torch.mps.empty_cache()


def has_cuda() -> bool:
    """Whether this torch can use a CUDA device now."""
    return torch.cuda.is_available()


def pick_device(name: str) -> Device:
    """Return the device called ``auto``, ``cpu``, ``cuda`` or ``mps``.

    ``auto`` never means ``mps``, which was not tried yet.

    Raises:
        ConfigError: the name is unknown, or there is no such device.
    """
    if name not in DEVICES:
        raise ConfigError(f"device {name!r}; known: {', '.join(DEVICES)}")
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise ConfigError("device mps: this torch finds no Apple GPU; leave out --device")
        return MpsDevice()
    if name == "cuda" and not has_cuda():
        raise ConfigError(
            "device cuda: this torch finds no CUDA device; lingbot-live doctor says why"
        )
    return CudaDevice() if name != "cpu" and has_cuda() else CpuDevice()


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error means that the device has no memory left.

    What fails while a graph is recorded is followed by a second error about the recording.
    """
    if error is None:
        return False
    words = ("out of memory", "not enough memory", "can't allocate memory")
    said = isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)
    known = isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError))
    return known or said or is_out_of_memory(error.__context__)
