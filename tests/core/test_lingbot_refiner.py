"""LingBot-Depth as a refiner: precision, memory, tokens while it runs, the fp16 copy."""

from __future__ import annotations

import os
import shutil
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_network import made_config, made_weights, save_made

from lingbot_live.config import RefinerConfig
from lingbot_live.errors import ConfigError, OutOfMemoryError, RefinerError, WeightsError
from lingbot_live.frame import Calibration, Frame, Intrinsics
from lingbot_live.model import LingBotDepth, Precision, lingbot
from lingbot_live.model.device import CpuDevice
from lingbot_live.model.engine import Engine
from lingbot_live.model.half_cache import half_cache_path
from lingbot_live.model.lingbot import LingBotRefiner, create_lingbot
from lingbot_live.model.tokens import TokenPacking
from lingbot_live.model.weights import store


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_made(tmp_path_factory.mktemp("made") / "model.pt")


def frame(height: int = 60, width: int = 80) -> Frame:
    rng = np.random.default_rng(0)
    depth = np.linspace(500, 3000, width).astype(np.uint16)[None].repeat(height, 0)
    depth[:, : width // 4] = 0
    intrinsics = Intrinsics(width, height, 70.0, 70.0, width / 2, height / 2)
    color = rng.integers(0, 256, (height, width, 3), np.uint8)
    return Frame("made", 0, 1, 1, color, depth, 0.001, Calibration(intrinsics))


def config(path: Path, **options: Any) -> RefinerConfig:
    return RefinerConfig("lingbot", str(path), **{"tokens": 48, "device": "cpu", **options})


def depth_of(path: Path, **options: Any) -> Any:
    refiner = create_lingbot(config(path, **options))
    try:
        return refiner.refine(frame()).depth_m
    finally:
        refiner.close()


def test_says_what_made_the_depth(checkpoint):
    refiner = create_lingbot(config(checkpoint))
    refined = refiner.refine(frame())
    info = refined.refiner
    assert (info.name, info.precision, info.tokens) == ("lingbot", "fp32", 48)
    assert info.checkpoint == f"{checkpoint.parent.name}/model.pt"
    assert "CPU" in info.device
    refiner.close()
    refiner.close()


def test_a_folder_is_a_checkpoint_too(checkpoint):
    np.testing.assert_array_equal(depth_of(checkpoint.parent), depth_of(checkpoint))


def test_level_and_time_budget_choose_the_tokens(checkpoint):
    assert create_lingbot(config(checkpoint, tokens=None, level=0)).tokens == 40
    assert create_lingbot(config(checkpoint, tokens=None, level=9)).tokens == 120
    timed = create_lingbot(config(checkpoint, tokens=None))
    assert timed.tokens is not None
    assert 48 <= timed.tokens <= 1200
    assert f"without a GPU {timed.tokens} tokens take about" in timed.info.note


def test_output_policy_comes_from_the_settings(checkpoint):
    masked, whole = depth_of(checkpoint), depth_of(checkpoint, apply_mask=False)
    assert 0 < (masked > 0).mean() < (whole > 0).mean()
    raw_m = frame().depth_m
    kept = depth_of(checkpoint, keep_raw=True)
    np.testing.assert_allclose(kept[raw_m > 0], raw_m[raw_m > 0], rtol=1e-6)


def test_tokens_change_from_another_thread(checkpoint):
    refiner = create_lingbot(config(checkpoint))
    assert refiner.refine(frame()).refiner.tokens == 48

    def choose() -> None:
        refiner.tokens = 108

    thread = threading.Thread(target=choose)
    thread.start()
    thread.join()
    again = refiner.refine(frame())
    assert again.refiner.tokens == 108
    np.testing.assert_array_equal(again.depth_m, depth_of(checkpoint, tokens=108))


class SmallDevice(CpuDevice):
    """Runs out of memory in the first runs of the network, and tells what lives when it frees."""

    packing = TokenPacking.BUCKET

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures
        self.made: list[weakref.ref[torch.Tensor]] = []
        self.alive_when_freed: list[int] = []

    def host_buffer(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        buffer = super().host_buffer(shape, dtype)
        self.made.append(weakref.ref(buffer))
        return buffer

    def captured(self, call: Callable[[], Any]) -> Callable[[], Any]:
        def checked() -> Any:
            result = call()
            if result is not None and self.failures:
                self.failures -= 1
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            return result

        return checked

    def free(self) -> None:
        self.alive_when_freed.append(sum(made() is not None for made in self.made))


def small(checkpoint: Path, device: CpuDevice, tokens: int) -> LingBotRefiner:
    engine = Engine(LingBotDepth.from_pretrained(checkpoint), device, Precision.FP32)
    return LingBotRefiner(engine, "made", tokens)


def test_out_of_memory_halves_the_tokens_once_and_goes_on(checkpoint, caplog):
    device = SmallDevice(failures=1)
    refiner = small(checkpoint, device, 108)
    refined = refiner.refine(frame())
    assert refiner.tokens == 54
    assert refined.refiner.tokens == 48  # 6 by 8 patches
    assert refined.refiner.note == "out of memory at 108 tokens, lowered to 54"
    assert refined.refiner.note in caplog.text
    assert refiner.refine(frame()).refiner == refined.refiner
    np.testing.assert_allclose(refined.depth_m, depth_of(checkpoint, tokens=54), rtol=2e-5)
    # The traceback of the failure would have kept all memory that it was about.
    assert device.alive_when_freed == [0]


def test_out_of_memory_again_is_an_error_that_a_lower_number_ends(checkpoint):
    device = SmallDevice(failures=3)
    refiner = small(checkpoint, device, 300)
    for _ in range(2):
        with pytest.raises(OutOfMemoryError, match="too little memory for 150 tokens; choose few"):
            refiner.refine(frame())
    assert set(device.alive_when_freed) == {0}
    refiner.tokens = 48
    assert refiner.refine(frame()).refiner.tokens == 48


def test_out_of_memory_at_the_least_tokens(checkpoint):
    refiner = small(checkpoint, SmallDevice(failures=1), 48)
    with pytest.raises(OutOfMemoryError, match="48 tokens"):
        refiner.refine(frame())


def test_another_failure_is_no_lack_of_memory(checkpoint):
    class Broken(CpuDevice):
        def download(self, pairs: Any) -> None:
            raise RuntimeError("CUDA error: unspecified launch failure")

    with pytest.raises(RefinerError, match="the network failed: CUDA error: unspecified"):
        small(checkpoint, Broken(), 48).refine(frame())


def overflowing(path: Path) -> Path:
    """Products of one block exceed fp16's 65504, but not by much in what fp32 makes of them."""
    made = made_config()
    state = made_weights(made)
    name = "encoder.backbone.blocks.0.mlp"
    state[f"{name}.fc1.weight"] = state[f"{name}.fc1.weight"].clone() * 6e4
    state[f"{name}.fc2.weight"] = state[f"{name}.fc2.weight"].clone() * 1e-4
    torch.save({"model_config": made, "model": state}, path)
    return path


def test_weights_that_overflow_in_fp16_run_in_bf16(tmp_path, caplog):
    path = overflowing(tmp_path / "model.pt")
    refiner = create_lingbot(config(path, precision="fp16"))
    refined = refiner.refine(frame())
    assert refined.refiner.precision == "bf16"
    assert "overflow in fp16, so bf16 is used" in refined.refiner.note
    assert "overflows in fp16" in caplog.text
    assert not half_cache_path(path).exists()
    exact = depth_of(path, precision="fp32")
    both = (exact > 0) & (refined.depth_m > 0)
    assert both.mean() > 0.1
    assert np.median(np.abs(refined.depth_m - exact)[both] / exact[both]) < 0.05


def test_weights_that_overflow_everywhere_are_refused(tmp_path):
    made = made_config()
    state = made_weights(made)
    state["depth_head.output_blocks.4.weight"] = torch.full((1, 32, 1, 1), 3e38)
    torch.save({"model_config": made, "model": state}, tmp_path / "model.pt")
    with pytest.raises(WeightsError, match="gives inf or nan in fp32; get it again"):
        create_lingbot(config(tmp_path / "model.pt"))


def copied(checkpoint: Path, folder: Path) -> Path:
    path = folder / "model.pt"
    path.write_bytes(checkpoint.read_bytes())
    return path


def test_fp16_copy_is_written_once_and_used_afterwards(checkpoint, tmp_path):
    path = copied(checkpoint, tmp_path)
    first = depth_of(path, precision="fp16")
    half = half_cache_path(path)
    assert half.is_file()
    written_ns = half.stat().st_mtime_ns
    # The original is not read any more: it may hold nothing, with its old size and date.
    stat = path.stat()
    path.write_bytes(bytes(stat.st_size))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    np.testing.assert_array_equal(depth_of(path, precision="fp16"), first)
    assert half.stat().st_mtime_ns == written_ns


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
def test_damaged_fp16_copy_is_made_again(checkpoint, tmp_path, damage):
    path = copied(checkpoint, tmp_path)
    first = depth_of(path, precision="fp16")
    half = half_cache_path(path)
    content = half.read_bytes()
    middle = len(content) // 2
    half.write_bytes(
        {
            "cut": content[:middle],
            "flipped": content[:middle] + bytes([content[middle] ^ 64]) + content[middle + 1 :],
            "emptied": b"",
        }[damage]
    )
    np.testing.assert_array_equal(depth_of(path, precision="fp16"), first)
    assert store.find_half_cache(path) == half


def test_without_room_for_the_copy_it_runs_all_the_same(checkpoint, tmp_path, monkeypatch, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("LINGBOT_LIVE_CACHE", str(blocked / "cache"))
    path = copied(checkpoint, tmp_path)
    assert (depth_of(path, precision="fp16") > 0).any()
    assert "the fp16 copy was not written" in caplog.text


def test_fp32_and_bf16_make_no_copy(checkpoint, tmp_path):
    path = copied(checkpoint, tmp_path)
    depth_of(path, precision="fp32")
    depth_of(path, precision="bf16")
    assert not half_cache_path(path).exists()


def test_missing_weights_say_how_to_get_them():
    with pytest.raises(WeightsError, match="lingbot-live models download"):
        create_lingbot(RefinerConfig("lingbot"))
    with pytest.raises(WeightsError, match="no such file or folder"):
        create_lingbot(RefinerConfig("lingbot", "/nowhere/model.pt"))


def test_damaged_weights_and_other_networks_are_refused(checkpoint, tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="cut short"):
        create_lingbot(config(path))
    save_made(path, depth_head=None)
    with pytest.raises(WeightsError, match="no depth head"):
        create_lingbot(config(path))


def test_a_device_that_is_not_here(checkpoint):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ConfigError, match="finds no CUDA device"):
        create_lingbot(config(checkpoint, device="cuda"))


def test_weights_too_large_for_the_device(checkpoint, monkeypatch):
    from lingbot_live.model import lingbot

    def no_room(*_: Any) -> LingBotDepth:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(lingbot.LingBotDepth, "load", no_room)
    with pytest.raises(OutOfMemoryError, match=r"too little memory for .*model\.pt"):
        create_lingbot(config(checkpoint))


def test_models_in_the_cache_folder_go_by_name(checkpoint, monkeypatch):
    folder = store.model_folder(store.RECOMMENDED)
    folder.mkdir(parents=True)
    (folder / "model.pt").write_bytes(checkpoint.read_bytes())
    with pytest.raises(WeightsError, match="--any"):
        create_lingbot(RefinerConfig("lingbot", tokens=48, device="cpu"))
    monkeypatch.setenv("LINGBOT_LIVE_ANY_WEIGHTS", "1")
    refiner = create_lingbot(RefinerConfig("lingbot", tokens=48, device="cpu"))
    assert refiner.info.checkpoint == store.RECOMMENDED
    np.testing.assert_array_equal(refiner.refine(frame()).depth_m, depth_of(checkpoint))


def test_compiled_parts_are_run_and_depth_is_the_same(checkpoint, monkeypatch):
    """Compiling takes minutes: `bench runtimes` does it. Here is what it is given, and used for."""
    used: list[str] = []

    def compiled(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            used.append(call.__name__)
            return call(*arguments)

        return run

    monkeypatch.setattr(lingbot, "check_compiler", lambda on_gpu: None)
    monkeypatch.setattr(torch, "compile", compiled)
    refiner = create_lingbot(config(checkpoint, compiled=True, apply_mask=False))
    assert "compiled" in refiner.info.note
    ours = refiner.refine(frame()).depth_m
    refiner.close()
    assert used == ["encode", "decode"]
    np.testing.assert_allclose(ours, depth_of(checkpoint, apply_mask=False), rtol=1e-4)


def test_compiling_without_a_compiler_is_refused(checkpoint, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs a C\+\+ compiler.*apt install g\+\+"):
        create_lingbot(config(checkpoint, compiled=True))
    with pytest.raises(ConfigError, match="run by onnxruntime"):
        create_lingbot(RefinerConfig("lingbot", "a.onnx", compiled=True))
