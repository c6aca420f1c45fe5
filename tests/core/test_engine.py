"""The engine on live frames: exact, from fixed memory, whatever the size, scale and packing."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_network import made_config, save_made

from lingbot_live.errors import ConfigError
from lingbot_live.model import LingBotDepth, Precision, TokenPacking
from lingbot_live.model.device import (
    CpuDevice,
    CudaDevice,
    Device,
    has_cuda,
    is_out_of_memory,
    pick_device,
)
from lingbot_live.model.encoder import can_skip_hidden
from lingbot_live.model.engine import MOST_PLANS, Engine, OutputPolicy

FP32 = Precision.FP32
KINDS = [(60, 80, 0.001, 48), (90, 70, 0.00025, 60), (48, 64, 0.0001, 30), (61, 83, 0.005, 20)]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> LingBotDepth:
    config = made_config(num_tokens_range=[40, 120])
    assert config["mask_head"]
    return LingBotDepth.from_pretrained(save_made(tmp_path_factory.mktemp("n") / "model.pt"))


def scene(height: int, width: int, scale_m: float, seed: int = 0) -> tuple[Any, Any]:
    """A picture, and depth of 0.4 to 3 m with a hole and a border without any."""
    rng = np.random.default_rng(seed)
    color = rng.integers(0, 256, (height, width, 3), np.uint8)
    metres = np.linspace(0.4, 3.0, width) + 0.1 * rng.random((height, width))
    depth = np.clip(metres / scale_m, 0, 65535).astype(np.uint16)
    depth[: height // 3, : width // 2] = 0
    depth[:, -width // 5 :] = 0
    return color, depth


def inferred(network: LingBotDepth, color: Any, depth: Any, scale_m: float, tokens: int) -> Any:
    """What the Python call gives, with 0 for invalid."""
    metres = torch.from_numpy(depth.astype(np.float32) * np.float32(scale_m))
    picture = torch.from_numpy(color).permute(2, 0, 1)
    out = network.infer(picture, metres, num_tokens=tokens, use_fp16=False)
    refined, mask = out["depth"].numpy(), out["mask"].numpy()
    return np.where(np.isfinite(refined), refined, 0), mask


class Replaying(CpuDevice):
    """Does on the CPU what a graph does: the same tensors in, the same tensors out."""

    packing = TokenPacking.BUCKET

    def __init__(self) -> None:
        super().__init__()
        self.captures = 0

    def captured(self, call: Callable[[], Any]) -> Callable[[], Any]:
        self.captures += 1
        call()
        results = call()

        def replay() -> Any:
            again = call()
            for mine, new in zip(results or (), again or (), strict=True):
                mine.copy_(new)
            return results

        return replay


class Watching(CpuDevice):
    """Tells which memory the frames went through."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[weakref.ref[torch.Tensor]] = []
        self.places: list[tuple[int, ...]] = []

    def host_buffer(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        buffer = super().host_buffer(shape, dtype)
        self.made.append(weakref.ref(buffer))
        return buffer

    def upload(self, pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        self.places.append(tuple(tensor.data_ptr() for pair in pairs for tensor in pair))
        super().upload(pairs)

    @property
    def alive(self) -> int:
        return sum(made() is not None for made in self.made)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_dropping_and_buckets_equal_the_python_call(network, kind):
    height, width, scale_m, tokens = kind
    color, depth = scene(height, width, scale_m)
    expected, vouched = inferred(network, color, depth, scale_m, tokens)
    assert 0 < vouched.mean() < 1
    for device, packing in ((CpuDevice(), TokenPacking.DROP), (Replaying(), TokenPacking.BUCKET)):
        engine = Engine(network, device, FP32, packing=packing)
        for _ in range(2):
            refined, mask, used = engine.run(color, depth, scale_m, tokens)
            assert np.array_equal(mask, vouched)
            np.testing.assert_allclose(refined, expected, rtol=2e-5)
        assert refined.dtype == np.float32
        assert abs(used - tokens) <= 5


@pytest.mark.testdata
@pytest.mark.parametrize("case", ["unbatched", "all_invalid"])
def test_golden_frames(testdata, case):
    folder = testdata / "model" / "golden" / "A_vits_like_release"
    calls = json.loads((folder / "case.json").read_text())["calls"]
    tokens = next(call for call in calls if call["name"] == case)["infer_kwargs"]["num_tokens"]
    golden = np.load(folder / f"{case}.npz")
    size = golden["out_depth"].shape[-2:]
    color = golden["image"].reshape(*size, 3)
    depth = np.rint(golden["depth_in"].reshape(size) * 1000).astype(np.uint16)
    engine = Engine(
        LingBotDepth.from_pretrained(folder), CpuDevice(), FP32, packing=TokenPacking.BUCKET
    )
    refined, mask, _ = engine.run(color, depth, 0.001, tokens)
    expected, vouched = golden["out_depth"].reshape(size), golden["out_mask"].reshape(size)
    sure = ~golden["aux_mask_unsure"].reshape(size)
    assert np.array_equal(mask[sure], vouched[sure])
    both = sure & np.isfinite(expected)
    assert both.any()
    np.testing.assert_allclose(refined[both], expected[both], rtol=5e-5)


@pytest.mark.parametrize("device", [CpuDevice(), Replaying()], ids=["eager", "replayed"])
def test_frames_do_not_leak_into_each_other(network, device):
    engine = Engine(network, device, FP32)
    frames = [scene(60, 80, 0.001, seed) for seed in range(3)]
    frames.append((frames[0][0], np.zeros((60, 80), np.uint16)))
    frames.append((frames[1][0], np.full((60, 80), 900, np.uint16)))
    results = [engine.run(*frame, 0.001, 48)[0] for frame in frames]
    again = [engine.run(*frame, 0.001, 48)[0] for frame in reversed(frames)]
    for frame, first, second in zip(frames, results, reversed(again), strict=True):
        expected, _ = inferred(network, *frame, 0.001, 48)
        np.testing.assert_allclose(first, expected, rtol=2e-5)
        np.testing.assert_array_equal(first, second)


def test_frames_of_a_kind_go_through_the_same_memory(network):
    device = Watching()
    engine = Engine(network, device, FP32)
    for seed in range(5):
        engine.run(*scene(60, 80, 0.001, seed), 0.001, 48)
    assert len(device.places) == 5
    assert len(set(device.places)) == 1
    assert len(device.made) == 4  # picture, depth, refined depth, mask


def test_plans_are_bounded_and_leave_nothing(network):
    """Without the garbage collector: on a GPU nobody waits for it to give memory back."""
    device = Watching()
    engine = Engine(network, device, FP32)
    for kind in KINDS * 2:
        engine.run(*scene(*kind[:3]), *kind[2:])
    for tokens in range(20, 60, 5):
        engine.run(*scene(60, 80, 0.001), 0.001, tokens)
        assert device.alive <= 4 * MOST_PLANS
    engine.forget()
    assert device.alive == 0


def test_the_plan_that_is_in_use_stays(network):
    device = Watching()
    engine = Engine(network, device, FP32)
    for tokens in range(20, 60, 5):
        engine.run(*scene(60, 80, 0.001), 0.001, tokens)
        engine.run(*scene(90, 70, 0.001), 0.001, 30)
    assert len(set(device.places[1::2])) == 1


def test_depth_beyond_the_sign_bit(network):
    color, _ = scene(60, 80, 0.001)
    depth = np.linspace(20_000, 65_535, 80).astype(np.uint16)[None].repeat(60, 0)
    expected, _ = inferred(network, color, depth, 0.0001, 48)
    engine = Engine(network, Replaying(), FP32)
    np.testing.assert_allclose(engine.run(color, depth, 0.0001, 48)[0], expected, rtol=2e-5)
    keeping = Engine(network, CpuDevice(), FP32, OutputPolicy(keep_raw=True))
    refined, mask, _ = keeping.run(color, depth, 0.0001, 48)
    np.testing.assert_allclose(refined, depth * 0.0001, rtol=1e-6)
    assert mask.all()


def test_a_frame_without_depth(network):
    color, _ = scene(60, 80, 0.001)
    empty = np.zeros((60, 80), np.uint16)
    expected, _ = inferred(network, color, empty, 0.001, 48)
    for device in (CpuDevice(), Replaying()):
        refined, _, _ = Engine(network, device, FP32).run(color, empty, 0.001, 48)
        assert refined.max() > 0
        np.testing.assert_allclose(refined, expected, rtol=2e-5)


def test_strided_pictures(network):
    color, depth = scene(60, 160, 0.001)
    engine = Engine(network, CpuDevice(), FP32)
    cut = engine.run(color[:, ::2], depth[:, ::2], 0.001, 48)[0]
    whole = engine.run(color[:, ::2].copy(), depth[:, ::2].copy(), 0.001, 48)[0]
    np.testing.assert_array_equal(cut, whole)


def test_output_policy(network):
    color, depth = scene(60, 80, 0.001)
    raw_m = depth * np.float32(0.001)

    def run(**policy: bool) -> tuple[Any, Any]:
        return Engine(network, CpuDevice(), FP32, OutputPolicy(**policy)).run(
            color, depth, 0.001, 48
        )[:2]

    masked, mask = run()
    assert ((masked > 0) == mask).all()
    plain, same = run(apply_mask=False)
    assert (plain > 0).all()
    np.testing.assert_array_equal(plain[mask], masked[mask])
    np.testing.assert_array_equal(same, mask)
    kept, wider = run(keep_raw=True)
    measured = depth > 0
    np.testing.assert_array_equal(kept[measured], raw_m[measured])
    np.testing.assert_array_equal(kept[~measured], masked[~measured])
    np.testing.assert_array_equal(wider, mask | measured)


def test_what_is_no_number_becomes_invalid():
    depth = torch.tensor([[1.0, torch.inf], [torch.nan, -2.0]])
    refined, mask = OutputPolicy().apply(depth, None, torch.zeros(2, 2))
    assert refined.tolist() == [[1.0, 0.0], [0.0, 0.0]]
    assert mask.tolist() == [[True, False], [False, False]]


def test_buckets_are_captured_once_each(network):
    device = Replaying()
    engine = Engine(network, device, FP32)
    full, empty = np.full((60, 80), 900, np.uint16), np.zeros((60, 80), np.uint16)
    color, some = scene(60, 80, 0.001)
    for depth in (full, empty, some, full, empty, some):
        engine.run(color, depth, 0.001, 48)
    assert device.captures == 4  # preparing, and three lengths


def test_half_precisions_on_the_cpu(network):
    color, depth = scene(60, 80, 0.001)
    expected = Engine(network, CpuDevice(), FP32).run(color, depth, 0.001, 48)[0]
    for precision, most in ((Precision.FP16, 5e-3), (Precision.BF16, 4e-2)):
        engine = Engine(network, Replaying(), precision)
        assert engine.is_finite()
        refined = engine.run(color, depth, 0.001, 48)[0]
        both = (refined > 0) & (expected > 0)
        error = np.abs(refined - expected)[both] / expected[both]
        assert np.quantile(error, 0.99) < most
        assert (error > 0).any()


def test_devices_by_name():
    assert pick_device("cpu").where.type == "cpu"
    assert pick_device("auto").where.type == ("cuda" if has_cuda() else "cpu")
    with pytest.raises(ConfigError, match="device 'gpu'; known: auto, cpu, cuda"):
        pick_device("gpu")
    if not has_cuda():
        with pytest.raises(ConfigError, match="finds no CUDA device"):
            pick_device("cuda")


def test_out_of_memory_is_told_from_other_failures():
    assert is_out_of_memory(torch.cuda.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="previous error") as second:
        fail_twice()
    assert is_out_of_memory(second.value)


def fail_twice() -> None:
    try:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")
    finally:
        raise RuntimeError("operation failed due to a previous error during capture")


needs_gpu = pytest.mark.skipif(not has_cuda(), reason="no CUDA device here")


def on_gpu(folder: Path, precision: Precision) -> tuple[LingBotDepth, Device]:
    device = CudaDevice()
    path = save_made(folder / "model.pt")
    return LingBotDepth.from_pretrained(path, precision=precision, device=device.where), device


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16])
def test_gpu_equals_the_cpu(network, tmp_path, precision):
    engine = Engine(*on_gpu(tmp_path, precision), precision)
    for height, width, scale_m, tokens in KINDS:
        frame = scene(height, width, scale_m)
        expected, vouched = inferred(network, *frame, scale_m, tokens)
        refined, mask, _ = engine.run(*frame, scale_m, tokens)
        both = mask & vouched
        assert (mask == vouched).mean() > 0.99
        np.testing.assert_allclose(refined[both], expected[both], rtol=1e-2)


def seen_alone(q, k, v, cu_q, cu_k, max_q, max_k):
    """What `varlen_attn` is for, of one sample, step by step; that itself runs on CUDA alone."""
    assert (cu_q.tolist(), max_q, max_k) == ([0, len(q)], len(q), len(q))
    k, v = (x[: int(cu_k[1])] for x in (k, v))
    weights = (torch.einsum("qhd,khd->hqk", q, k) / q.shape[-1] ** 0.5).softmax(-1)
    return torch.einsum("hqk,khd->qhd", weights, v)


def test_attention_that_passes_over_hidden_tokens_equals_the_mask(network, monkeypatch):
    varlen = pytest.importorskip("torch.nn.attention.varlen", reason="torch 2.10 has it")
    monkeypatch.setattr(varlen, "varlen_attn", seen_alone)
    engine = Engine(network, CpuDevice(), Precision.FP32, packing=TokenPacking.BUCKET)
    color, depth = scene(60, 80, 0.001)
    for empty in (0, 20, 50, 80):
        depth = depth.copy()
        depth[:, :empty] = 0
        expected, mask, _ = engine.run(color, depth, 0.001, 48)
        monkeypatch.setattr(network.encoder.backbone, "skips_hidden", True)
        found, same, _ = engine.run(color, depth, 0.001, 48)
        monkeypatch.setattr(network.encoder.backbone, "skips_hidden", False)
        np.testing.assert_array_equal(same, mask)
        np.testing.assert_allclose(found, expected, rtol=2e-5)


@pytest.mark.gpu
@needs_gpu
def test_on_a_gpu_too(tmp_path):
    network, device = on_gpu(tmp_path, Precision.FP16)
    if not can_skip_hidden(device.where, torch.float16):
        pytest.skip("this torch has no varlen_attn")
    engine = Engine(network, device, Precision.FP16)
    for seed in range(8):
        color, depth = scene(60, 80, 0.001, seed)
        depth[:, : 10 * seed] = 0
        network.encoder.backbone.skips_hidden = False
        engine.forget()
        expected, vouched, _ = engine.run(color, depth, 0.001, 48)
        network.encoder.backbone.skips_hidden = True
        engine.forget()
        refined, mask, _ = engine.run(color, depth, 0.001, 48)
        both = mask & vouched
        np.testing.assert_allclose(refined[both], expected[both], rtol=5e-3)


@pytest.mark.gpu
@needs_gpu
def test_graph_replay_equals_eager(tmp_path):
    network, device = on_gpu(tmp_path, Precision.FP16)
    replayed = Engine(network, device, Precision.FP16)
    eager = Engine(network, device, Precision.FP16, packing=TokenPacking.DROP)
    for seed in range(8):
        color, depth = scene(60, 80, 0.001, seed)
        depth[:, : 10 * seed] = 0
        expected, vouched, _ = eager.run(color, depth, 0.001, 48)
        refined, mask, _ = replayed.run(color, depth, 0.001, 48)
        both = mask & vouched
        np.testing.assert_allclose(refined[both], expected[both], rtol=5e-3)


@pytest.mark.gpu
@needs_gpu
def test_200_frames_need_no_more_memory(tmp_path):
    engine = Engine(*on_gpu(tmp_path, Precision.FP16), Precision.FP16)

    def run(count: int) -> int:
        for seed in range(count):
            engine.run(*scene(60, 80, 0.001, seed % 7), 0.001, 48)
        torch.cuda.synchronize()
        return torch.cuda.memory_allocated()

    before = run(20)
    assert run(200) == before
    engine.forget()
    engine.run(*scene(60, 80, 0.001), 0.001, 48)  # captures again in a new pool
    assert torch.cuda.memory_allocated() <= before
