"""The network against the reference's own outputs (random weights, every option)."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden import calls, network, picture

from lingbot_live.model import TokenPacking

pytestmark = pytest.mark.testdata

TOLERANCE = 5e-5  # relative, fp32
MOST_IN_BUCKETS = 1000  # tokens: the largest call shows nothing of buckets that others do not
FEW_TOKENS = 48  # PyTorch's convolutions in half precision take 40 times as long on a CPU


@pytest.fixture(autouse=True)
def all_threads() -> Iterator[None]:
    """Tests of the refiner, which leaves a thread to the window, may have come before.

    All, that is, but those of the processes that run tests beside this one: threads that wait for
    each other's core take four times as long.
    """
    threads, workers = torch.get_num_threads(), os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // int(workers)))
    yield
    torch.set_num_threads(threads)


def run(folder: Path, call: dict[str, Any], **options: Any) -> tuple[Any, dict[str, Any]]:
    golden = np.load(folder / call["file"])
    arguments = {**call["infer_kwargs"], **options}
    if call["intrinsics"]:
        arguments["intrinsics"] = torch.from_numpy(golden["intrinsics"])
    depth = torch.from_numpy(golden["depth_in"])
    out = network(folder).infer(picture(golden["image"]), depth, **arguments)
    return golden, {name: value.numpy() for name, value in out.items()}


def relative(mine: Any, golden: Any, scale: Any) -> Any:
    """Errors where both are finite, against the size of what is golden."""
    both = np.isfinite(mine) & np.isfinite(golden)
    scales = np.broadcast_to(scale, golden.shape)[both]
    return np.abs(mine[both] - golden[both]) / scales


def packed_calls() -> list[Any]:
    """Each call by dropping, and by buckets where a depth token is left out and tokens are few.

    Where none is, a bucket holds the same sequence; one such call shows that (no_depth_mask).
    """
    pairs = []
    for parameters in calls():
        folder, call = parameters.values
        rows, columns = call.get("token_grid", (0, 0))
        for packing in TokenPacking:
            whole = call.get("depth_tokens_kept") == [rows * columns]
            is_small = rows * columns <= MOST_IN_BUCKETS
            if packing is TokenPacking.DROP or (is_small and not whole):
                name = f"{parameters.id}-{packing.value}"
                pairs.append(pytest.param(folder, call, packing, id=name, marks=parameters.marks))
    return pairs


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("folder", "call", "packing"), packed_calls())
def test_fp32_equals_the_reference(folder, call, packing):
    golden, out = run(folder, call, packing=packing)
    assert {f"out_{name}" for name in out} == {n for n in golden.files if n.startswith("out_")}
    depth = golden["out_depth"]
    scale = np.maximum(np.abs(np.where(np.isfinite(depth), depth, 1)), 0.05)
    assert out["depth"].dtype == np.float32
    assert relative(out["depth"], depth, scale).max() <= TOLERANCE
    if "mask" in out:
        sure = ~golden["aux_mask_unsure"].reshape(depth.shape)
        assert np.array_equal(out["mask"][sure], golden["out_mask"][sure])
        assert np.array_equal(np.isfinite(out["depth"])[sure], np.isfinite(depth)[sure])
    if "points" in out:
        stride, points = call["points_stride"], golden["out_points"]
        norm = np.linalg.norm(np.where(np.isfinite(points), points, 1), axis=-1, keepdims=True)
        mine = out["points"][..., ::stride, ::stride, :]
        assert relative(mine, points, np.maximum(norm, 0.05)).max() <= TOLERANCE


# The small ones; A-real_default_level has a test of its own, and docs/performance.md tells of all.
HALF = {"A-all_invalid", "A-dirty_depth", "B-dirty_depth", "C-depth_exactly_one", "C-no_depth_mask"}


@pytest.mark.parametrize(("folder", "call"), [c for c in calls() if c.id in {*HALF, "golden"}])
def test_fp16_stays_within_half_a_percent(folder, call):
    golden, out = run(folder, call, use_fp16=True, apply_mask=False)
    depth = golden["out_depth"]
    errors = relative(out["depth"], depth, np.maximum(np.abs(depth), 0.05))
    assert np.quantile(errors, 0.999) <= 5e-3


def half_call(name: str) -> tuple[Path, dict[str, Any]]:
    return next((c.values[0], c.values[1]) for c in calls() if c.id in (name, "golden"))


def test_fp16_leaves_no_terraces(testdata):
    golden, out = run(*half_call("A-real_default_level"), use_fp16=True, apply_mask=False)
    depth = golden["out_depth"]
    errors = relative(out["depth"], depth, np.abs(depth))
    assert np.quantile(errors, 0.999) <= 5e-3
    assert len(np.unique(out["depth"])) >= 100_000
    assert np.median(errors) < 5e-4


@functools.cache
def few_tokens() -> tuple[Any, Any, Any]:
    """The call, its depth in fp32 and in ours of 16 bits, at a few tokens."""
    folder, call = half_call("A-unbatched")
    golden = np.load(folder / call["file"])
    given = picture(golden["image"])[None], torch.from_numpy(golden["depth_in"])[None]
    truth, ours = (
        network(folder).infer(*given, FEW_TOKENS, apply_mask=False, use_fp16=half)["depth"].numpy()
        for half in (False, True)
    )
    return (folder, given), truth, ours


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["fp16", "bf16"])
def test_halving_everything_is_worse(testdata, dtype):
    """The naive way: the textbook module, weights, activations, norms and output in 16 bits."""
    from bench.textbook import Textbook

    (folder, given), truth, ours = few_tokens()
    model = network(folder)
    naive = Textbook(model.config)
    naive.load_state_dict(model.state_dict())
    plain = naive.to(dtype).infer(*given, FEW_TOKENS).numpy()
    worse, better = relative(plain, truth, truth), relative(ours, truth, truth)
    assert np.median(worse) > 1.5 * np.median(better)
    assert len(np.unique(plain)) < 0.2 * len(np.unique(ours))


# VmHWM is the most that was ever resident, anonymous and mapped pages alike, Python and PyTorch
# included. It starts anew with each program; ru_maxrss does not: a child inherits the peak of the
# process that started it. Taken off is the code of libraries mapped before the weights are: how
# much of it is resident, 80 to 130 MB, is up to the system's cache of files.
MEMORY = """
import pathlib, sys, torch

def kilobytes(key):
    return int(pathlib.Path("/proc/self/status").read_text().partition(key + ":")[2].split()[0])

code = kilobytes("RssFile")
from lingbot_live.model import LingBotDepth
network = LingBotDepth.from_pretrained(sys.argv[1])
network.infer(torch.rand(1, 3, 120, 160), torch.rand(1, 120, 160), num_tokens=60, use_fp16=False)
peak = (kilobytes("VmHWM") - code) * 1024
print(peak / (4 * sum(p.numel() for p in network.parameters())))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
def test_full_size_needs_little_more_memory_than_its_weights(testdata):
    folder = testdata / "model" / "golden" / "D_vitl_release_shapes"
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(folder)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 1.35
