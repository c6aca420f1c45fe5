"""A learned tracker from a file, TorchScript or ONNX, as a `Tracker`.

The network sees the last frames as a clip and is asked where the points of its first frame are in
all of them, as CoTracker, TAPNext and their kin are exported:

    video (1, T, 3, H, W) float32 0 to 255, queries (1, N, 3) float32: frame, x, y
        -> tracks (1, T, N, 2) pixels, visible (1, T, N) bool, or above 0.5 (a logit above 0)

So the newest places come from the network alone, and errors add up once in a clip's length.
"""

from __future__ import annotations

import warnings
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lingbot_live.errors import ConfigError, RefinerError
from lingbot_live.frame import ColorImage, DepthMap
from lingbot_live.perception.tracks import Pixels, Tracked, Tracker

SUFFIXES = (".pt", ".pth", ".ts", ".onnx")
CLIP = 8  # frames that the network sees at once


class FileTracker(Tracker):
    """Runs the network of a file over the last frames.

    Raises:
        ConfigError: the file is not there or is no such network.
    """

    def __init__(self, path: Path, clip: int = CLIP) -> None:
        if not path.is_file():
            raise ConfigError(f"--tracker {path}: there is no such file")
        self._path = path
        self._run = _onnx(path) if path.suffix.lower() == ".onnx" else _script(path)
        self._clip = clip

    def start(self, color: ColorImage, pixels: Pixels) -> None:
        """Begin with (N, 2) pixels of a picture (H, W, 3) RGB."""
        self._frames = deque([color], maxlen=self._clip)
        self._places = deque([pixels.astype(np.float32)], maxlen=self._clip)

    def follow(self, color: ColorImage, depth_m: DepthMap | None) -> Tracked:
        """Return where they are in the next picture."""
        self._frames.append(color)
        video = np.stack(self._frames).transpose(0, 3, 1, 2)[None].astype(np.float32)
        first = self._places[0] if len(self._places) < self._clip else self._places[1]
        queries = np.concatenate([np.zeros((len(first), 1), np.float32), first], 1)[None]
        tracks, visible = self._answer(video, queries)
        self._places.append(tracks[-1])
        return Tracked(tracks[-1].copy(), visible[-1])

    def _answer(
        self, video: npt.NDArray[np.float32], queries: npt.NDArray[np.float32]
    ) -> tuple[Pixels, npt.NDArray[np.bool_]]:
        """Return tracks (T, N, 2) and visibility (T, N)."""
        try:
            told = self._run(video, queries)
            tracks, visible = (np.asarray(part) for part in told[:2])
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            why = str(error).strip().splitlines()
            raise RefinerError(
                f"tracker {self._path}: it failed: {why[-1] if why else error}"
            ) from error
        length, count = video.shape[1], queries.shape[1]
        if tracks.shape != (1, length, count, 2) or visible.shape[:3] != (1, length, count):
            raise RefinerError(
                f"tracker {self._path}: it gave {tracks.shape} and {visible.shape}; "
                f"(1, {length}, {count}, 2) and (1, {length}, {count}) are needed"
            )
        if not np.isfinite(tracks).all():
            raise RefinerError(f"tracker {self._path}: it gave places that are no numbers")
        seen = visible.reshape(1, length, count)[0]
        told_seen = seen if seen.dtype == bool else seen > (0.5 if seen.min() >= 0 else 0.0)
        return tracks[0].astype(np.float32), np.asarray(told_seen, bool)


def _script(path: Path) -> Any:
    import torch

    load: Any = torch.jit.load  # it has no types
    try:
        with warnings.catch_warnings():  # PyTorch calls TorchScript old, and trackers are given so
            warnings.simplefilter("ignore", DeprecationWarning)
            network = load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"--tracker {path}: it is no TorchScript file; write one by torch.jit.save"
        ) from error

    def run(video: npt.NDArray[np.float32], queries: npt.NDArray[np.float32]) -> list[Any]:
        with torch.inference_mode():
            return [part.numpy() for part in network(*map(torch.from_numpy, (video, queries)))]

    return run


def _onnx(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            f"--tracker {path}: ONNX files need onnxruntime. Run: pip install onnxruntime"
        ) from error
    try:
        network = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ConfigError(
            f"--tracker {path}: it is no ONNX file that can be run: {error}"
        ) from error
    names = [one.name for one in network.get_inputs()]
    return lambda video, queries: network.run(None, dict(zip(names, (video, queries), strict=True)))
