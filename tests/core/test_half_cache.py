"""The fp16 copy of a checkpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from lingbot_live.errors import WeightsError
from lingbot_live.model.weights import store

CONFIG = {"encoder": {"backbone": "dinov2_vitl14", "intermediate_layers": [23]}, "remap": "exp"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LINGBOT_LIVE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def state():
    torch.manual_seed(0)
    shared = torch.randn(64)
    return {
        "fc.weight": torch.randn(32, 16),
        "fc.bias": torch.randn(32),
        "norm.weight": shared[:32],
        "norm.bias": shared[32:],
        "conv.weight": torch.randn(8, 16, 3, 3).transpose(0, 1),
        "last.weight": torch.randn(4, 4, dtype=torch.float64),
        "pos_embed": torch.randn(1, 10, 16, dtype=torch.bfloat16),
        "image_mean": torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1),
        "count": torch.tensor(7),
    }


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"a checkpoint")
    return path


def files(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


def test_products_are_halved_and_the_rest_stays_exact(source, state):
    path = store.write_half_cache(source, state, CONFIG, keep=("last.weight",))
    assert store.find_half_cache(source) == path
    loaded = load_file(path)
    assert set(loaded) == set(state)
    for name in ("fc.weight", "conv.weight"):
        assert loaded[name].dtype is torch.float16
        assert torch.equal(loaded[name], state[name].half())
    for name in set(state) - {"fc.weight", "conv.weight", "count"}:
        assert loaded[name].dtype is torch.float32
        assert torch.equal(loaded[name], state[name].float())
    assert loaded["count"].item() == 7
    assert config_in(path) == CONFIG


def test_a_changed_source_gets_a_new_copy(source, state, cache):
    store.write_half_cache(source, state, CONFIG)
    source.write_bytes(b"another checkpoint")
    assert store.find_half_cache(source) is None
    assert files(cache) == []
    store.write_half_cache(source, state, CONFIG)
    stat = source.stat()
    os.utime(source, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert store.find_half_cache(source) is None


def test_every_damage_is_found(source, state, cache):
    good = store.write_half_cache(source, state, CONFIG).read_bytes()
    path = files(cache)[0]
    rng = np.random.default_rng(1)
    for _ in range(200):
        bad = bytearray(good)
        bad[rng.integers(len(bad))] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad)
        found = store.find_half_cache(source)
        assert found is None or same(found, state), "a flipped bit went unnoticed"
        assert found is not None or not path.exists()
    for length in (0, 4, 100, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:length])
        assert store.find_half_cache(source) is None


def config_in(path: Path) -> dict[str, object]:
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["model_config"])


def same(path: Path, state: dict[str, torch.Tensor]) -> bool:
    """Tell whether tensors are right, as after a flip in the path or the padding of the header."""
    loaded = load_file(path)
    return (
        config_in(path) == CONFIG
        and set(loaded) == set(state)
        and all(
            torch.equal(loaded[name].float(), state[name].to(loaded[name].dtype).float())
            for name in state
        )
    )


def test_the_check_can_be_left_to_the_header(source, state):
    path = store.write_half_cache(source, state, CONFIG)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert store.find_half_cache(source, check=False) == path
    assert store.find_half_cache(source) is None


@pytest.mark.parametrize("value", [1e6, float("nan"), float("-inf")])
def test_values_beyond_fp16_are_refused_by_name(source, state, cache, value):
    state["fc.weight"][3, 3] = value
    with pytest.raises(WeightsError, match=r"fc\.weight: holds values that fp16 cannot"):
        store.write_half_cache(source, state, CONFIG)
    assert files(cache) == []


def test_another_files_copy_is_not_taken(source, state, tmp_path):
    store.write_half_cache(source, state, CONFIG)
    other = tmp_path / "other.pt"
    other.write_bytes(source.read_bytes())
    assert store.find_half_cache(other) is None


def test_it_goes_with_its_model(state, cache):
    folder = store.model_folder("v0.5")
    folder.mkdir(parents=True)
    (folder / "model.pt").write_bytes(b"weights")
    copy = store.write_half_cache(folder / "model.pt", state, CONFIG)
    size = copy.stat().st_size
    assert store.status("v0.5").half_bytes == size
    assert store.remove("v0.5") == size + len(b"weights")
    assert not copy.exists()


def test_a_users_file_stays_when_its_copy_goes(source, state):
    copy = store.write_half_cache(source, state, CONFIG)
    assert store.remove(str(source)) > 0
    assert source.exists()
    assert not copy.exists()


def test_a_full_disk_leaves_nothing(source, cache):
    pytest.importorskip("resource")
    code = f"""
import resource, torch
from pathlib import Path
from lingbot_live.errors import WeightsError
from lingbot_live.model.weights.store import write_half_cache
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    write_half_cache(Path({str(source)!r}), {{"a.weight": torch.ones(500, 500)}}, {{}})
except WeightsError as error:
    print(error)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "safetensors: " in out.stdout
    assert files(cache) == []


def test_metadata_names_the_source(source, state):
    path = store.write_half_cache(source, state, CONFIG)
    with safe_open(path, framework="numpy") as file:
        assert file.metadata()["source"] == str(source)


def test_checking_holds_one_tensor_at_a_time(source, cache):
    """The copy is made to save memory, so that looking at it must not take the whole."""
    import tracemalloc

    many = {f"{i}.weight": torch.full((1000, 1000), float(i)) for i in range(8)}
    store.write_half_cache(source, many, CONFIG)
    tracemalloc.start()
    try:
        assert store.find_half_cache(source) is not None
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 3 * 2_000_000
