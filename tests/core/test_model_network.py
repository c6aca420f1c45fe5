"""The network's parts and its interface, on a made-up network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from made_network import made_config, save_made

from lingbot_live.model import LingBotDepth, Precision, TokenPacking
from lingbot_live.model.preprocess import (
    Grid,
    kept_patches,
    prepare_depth,
    prepare_image,
    token_grid,
)
from lingbot_live.model.tokens import bucket_length, drop, pack

TOKENS = 40


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> LingBotDepth:
    return LingBotDepth.from_pretrained(save_made(tmp_path_factory.mktemp("made") / "model.pt"))


def scene(batch: int = 1, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (B, 3, 60, 80) and depth (B, 60, 80) with holes, of another size in each sample."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, 3, 60, 80, generator=generator)
    depth = torch.rand(batch, 60, 80, generator=generator) * 4 + 0.5
    for b in range(batch):
        depth[b, : 20 + 15 * b, 30:] = 0
    return image, depth


def infer(network: LingBotDepth, *args: Any, **options: Any) -> dict[str, torch.Tensor]:
    return network.infer(*args, **{"num_tokens": TOKENS, "use_fp16": False} | options)


def close(a: torch.Tensor, b: torch.Tensor, tolerance: float = 1e-5) -> bool:
    finite = a.isfinite() & b.isfinite()
    enough = finite.float().mean() > 0.1
    return bool(enough and (a - b)[finite].abs().max() <= tolerance * b[finite].abs().max())


def test_equals_the_textbook(network):
    from bench.textbook import Textbook

    assert len(network.config.encoder.taken) == 2
    config = made_config()
    config["encoder"] = config["encoder"] | {"intermediate_layers": [11]}
    from lingbot_live.model.model_config import ModelConfig

    ours = LingBotDepth(ModelConfig.parse(config))
    state = network.state_dict()
    ours.load_state_dict({k: v for k, v in state.items() if "projections.1" not in k})
    textbook = Textbook(ours.config)
    textbook.load_state_dict(ours.state_dict())
    image, depth = scene()
    expected = textbook.infer(image, depth, TOKENS)
    assert close(infer(ours, image, depth)["depth"], expected, 5e-5)


def test_both_ways_to_leave_tokens_out_are_equal(network):
    image, depth = scene(batch=3)
    dropped = infer(network, image, depth)["depth"]
    packed = infer(network, image, depth, packing=TokenPacking.BUCKET)["depth"]
    assert close(packed, dropped)
    alone = [infer(network, image[b], depth[b])["depth"] for b in range(3)]
    assert close(torch.stack(alone), dropped)
    assert not close(infer(network, image, depth, enable_depth_mask=False)["depth"], dropped, 1e-3)


def test_without_depth_and_with_empty_depth_are_the_same(network):
    image, depth = scene()
    monocular = infer(network, image)["depth"]
    assert torch.equal(infer(network, image, depth * 0)["depth"], monocular)
    for nothing in (torch.nan, torch.inf, -1.0, 0.01):
        assert torch.equal(
            infer(network, image, torch.full_like(depth, nothing))["depth"], monocular
        )
    empty = infer(network, image, depth * 0, packing=TokenPacking.BUCKET)["depth"]
    assert torch.equal(empty, monocular)
    assert not close(infer(network, image, depth)["depth"], monocular, 1e-3)


def test_shapes_follow_the_picture(network):
    image, depth = scene(batch=2)
    k = torch.tensor([[0.9, 0, 0.5], [0, 1.2, 0.5], [0, 0, 1]])
    out = infer(network, image, depth, intrinsics=k)
    assert {name: tuple(value.shape) for name, value in out.items()} == {
        "depth": (2, 60, 80), "mask": (2, 60, 80), "points": (2, 60, 80, 3)
    }  # fmt: skip
    single = infer(network, image[0], depth[0], intrinsics=k[None])
    assert tuple(single["points"].shape) == (60, 80, 3)
    assert close(single["depth"], out["depth"][0])
    assert out["mask"].dtype == torch.bool


def test_everything_that_means_the_same_gives_the_same(network):
    image, depth = scene()
    k = torch.tensor([[0.9, 0, 0.5], [0, 1.2, 0.5], [0, 0, 1]])
    expected = infer(network, image, depth, intrinsics=k)
    variants = [
        (image, depth[:, None], k[None]),
        (image, depth[0], k),
        (image.double(), depth.double(), k.double()),
        (image[0], depth, k),
        (image.numpy(), depth.numpy(), k.numpy()),
        (image.numpy().astype(">f4"), depth.numpy().astype(np.float64), k.numpy()),
    ]
    for variant in variants:
        out = infer(network, *variant[:2], intrinsics=variant[2])
        assert torch.equal(out["depth"].view(-1), expected["depth"].view(-1))
        assert torch.equal(out["points"].view(-1), expected["points"].view(-1))


def test_bytes_are_divided_by_255(network):
    image, depth = scene()
    levels = (image * 255).to(torch.uint8)
    expected = infer(network, levels.float() / 255, depth)["depth"]
    assert torch.equal(infer(network, levels, depth)["depth"], expected)


def test_a_bad_pixel_of_the_picture_stays_one_pixel(network):
    image, depth = scene()
    image[0, :, 5, 5] = torch.nan
    assert torch.isfinite(infer(network, image, depth, apply_mask=False)["depth"]).all()


def test_inputs_are_left_as_they_are(network):
    image, depth = scene()
    grid = token_grid(80, 60, TOKENS)
    depth = F.interpolate(depth[None], grid.size_px)[0]  # no resize is needed then
    depth[0, 0, :3] = torch.tensor([torch.nan, torch.inf, -1.0])
    before = image.clone(), depth.clone()
    infer(network, image, depth)
    assert torch.equal(image, before[0])
    assert torch.equal(depth.nan_to_num(9), before[1].nan_to_num(9))


def test_the_mask_makes_depth_and_points_infinite(network):
    image, depth = scene()
    k = torch.eye(3)
    out = infer(network, image, depth, intrinsics=k)
    bare = infer(network, image, depth, intrinsics=k, apply_mask=False)
    mask = out["mask"]
    assert mask.any()
    assert not mask.all()
    assert torch.equal(out["depth"].isfinite(), mask)
    assert torch.equal(out["points"].isfinite().all(-1), mask)
    assert torch.equal(out["depth"][mask], bare["depth"][mask])
    assert bare["points"].isfinite().all()


def test_points_follow_the_pinhole(network):
    image, depth = scene()
    k = torch.tensor([[0.9, 0, 0.4], [0, 1.2, 0.6], [0, 0, 1]])
    out = infer(network, image, depth, intrinsics=k, apply_mask=False)
    x, y, z = out["points"][0, 45, 70]
    assert z == out["depth"][0, 45, 70]
    assert torch.isclose(x / z * 0.9 * 80 + 0.4 * 80, torch.tensor(70.0))
    assert torch.isclose(y / z * 1.2 * 60 + 0.6 * 60, torch.tensor(45.0))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image": torch.rand(60, 80)}, r"image: shape \(60, 80\)"),
        ({"image": torch.rand(1, 4, 60, 80)}, "image: shape"),
        ({"image": torch.rand(1, 3, 0, 80)}, "image: shape"),
        ({"image": torch.ones(3, 60, 80, dtype=torch.int64)}, "image: int64"),
        ({"depth_in": torch.ones(2, 60, 80)}, r"depth_in: shape \(2, 60, 80\) with 1 picture"),
        ({"image": torch.rand(2, 3, 60, 80)}, r"depth_in: .* with 2 picture"),
        ({"depth_in": torch.ones(60, 80, dtype=torch.int32)}, "divide millimetres by 1000"),
        ({"depth_in": torch.ones(1, 2, 60, 80)}, "depth_in: shape"),
        ({"intrinsics": torch.eye(4)}, "intrinsics: shape"),
        ({"intrinsics": torch.eye(3).expand(2, 3, 3)}, "intrinsics: shape"),
        ({"image": 255 * torch.rand(1, 3, 60, 80)}, "image: a float up to 25.*divide by 255"),
        ({"image": np.zeros((60, 80, 3), np.uint8)}, r"image: shape \(60, 80, 3\).*channels"),
        ({"image": [[0.0]]}, "image: list; a tensor or a NumPy array"),
        ({"image": np.array([["a"]])}, "image: <U1; an array of numbers"),
        ({"depth_in": np.ones((60, 80), np.uint16)}, "depth_in: uint16.*divide millimetres"),
        ({"depth_in": torch.full((60, 80), 1500.0)}, "1500 m in the median.*divide by 1000"),
        ({"intrinsics": torch.diag(torch.tensor([500.0, 500, 1]))}, "look like pixels"),
        ({"intrinsics": torch.zeros(3, 3)}, "focal lengths above 0"),
        ({"intrinsics": np.diag([1.0, np.nan, 1.0])}, "finite numbers"),
        ({"num_tokens": 0}, "num_tokens: 0"),
        ({"num_tokens": None, "resolution_level": -20}, "resolution level -20"),
    ],
)
def test_what_does_not_fit_is_said(network, changes, words):
    arguments = {"image": torch.rand(1, 3, 60, 80), "depth_in": torch.ones(60, 80)} | changes
    with pytest.raises(ValueError, match=words):
        infer(network, **arguments)


def test_heads_that_are_not_there(tmp_path):
    image, depth = scene()
    depth_only = LingBotDepth.from_pretrained(save_made(tmp_path / "d.pt", mask_head=None))
    assert set(infer(depth_only, image, depth)) == {"depth"}
    mask_only = LingBotDepth.from_pretrained(save_made(tmp_path / "m.pt", depth_head=None))
    assert set(infer(mask_only, image, depth)) == {"mask"}
    with pytest.raises(ValueError, match="no depth head"):
        infer(mask_only, image, depth, intrinsics=torch.eye(3))


@pytest.mark.parametrize(
    ("tokens", "level", "grid"), [(None, 9, (9, 13)), (None, 0, (5, 7)), (77, 9, (8, 10))]
)
def test_number_of_tokens(network, tokens, level, grid, monkeypatch):
    seen = []
    forward = LingBotDepth.tables
    monkeypatch.setattr(
        LingBotDepth, "tables", lambda self, g, a: seen.append(g) or forward(self, g, a)
    )
    infer(network, *scene(), num_tokens=tokens, resolution_level=level)
    assert seen == [grid]


def test_16_bits_stay_near_fp32(network):
    image, depth = scene()
    exact = infer(network, image, depth, apply_mask=False)["depth"]
    half = infer(network, image, depth, apply_mask=False, use_fp16=True)["depth"]
    assert half.dtype == torch.float32
    errors = ((half - exact) / exact).abs()
    assert 0 < errors.max() < 5e-3
    stored = LingBotDepth(network.config)
    stored.load_state_dict(network.state_dict())
    stored.store(Precision.FP16)
    again = infer(stored, image, depth, apply_mask=False, use_fp16=True)["depth"]
    assert torch.equal(again, half)


@pytest.mark.parametrize("precision", list(Precision))
def test_steps_of_a_live_runtime(network, precision):
    """uint8 pictures and uint16 depth, static lengths: what a runtime does step by step."""
    image, depth = scene()
    levels, millimetres = (image * 255).to(torch.uint8), (depth * 1000).to(torch.uint16)
    grid = token_grid(80, 60, TOKENS)
    pixels = prepare_image(levels, grid, network.encoder.image_mean, network.encoder.image_std)
    remapped = prepare_depth(millimetres[:, None], grid, "log", scale_m=0.001)
    keep = kept_patches(remapped, grid)
    kept = pack(keep, bucket_length(int(keep.sum()), grid.cells, 1 + grid.cells))
    with torch.inference_mode():
        tables = network.tables(grid, 80 / 60)
        logits = network(pixels, remapped, kept, tables, precision.dtype)
    assert logits.depth.dtype == logits.mask.dtype == torch.float32
    assert logits.depth.shape == (1, 1, 16 * grid.rows, 16 * grid.columns)
    metres = millimetres.float() * 0.001
    use_fp16 = precision is not Precision.FP32
    expected = infer(network, levels, metres, apply_mask=False, use_fp16=use_fp16)["depth"]
    mine = F.interpolate(logits.depth, (60, 80), mode="bilinear")[:, 0].exp()
    tolerance = {"fp32": 1e-5, "fp16": 2e-3, "bf16": 3e-2}[precision.value]
    assert close(mine, expected, tolerance)


def test_tables_are_made_once_per_grid_and_few_are_kept(network):
    first = network.tables(Grid(3, 4), 1.3)
    assert network.tables(Grid(3, 4), 1.3) is first
    assert network.tables(Grid(3, 4), 1.4) is not first
    for rows in range(1, 40):
        network.tables(Grid(rows, 4), 1.3)
    assert len(network._tables) <= 8


@pytest.mark.parametrize(
    ("size", "tokens", "grid"),
    [
        ((640, 480), 1200, (30, 40)),
        ((640, 480), 2400, (42, 57)),
        ((640, 480), 3600, (52, 69)),
        ((640, 60), 166, (4, 42)),
        ((5000, 10), 20, (1, 100)),
    ],
)
def test_token_grid(size, tokens, grid):
    assert token_grid(*size, tokens) == grid


def test_depth_that_counts():
    grid = Grid(1, 4)
    depth = torch.zeros(1, 1, 14, 56)
    depth[..., 3, 20] = 0.010000001  # the least that is a measurement
    depth[..., 3, 30] = 0.01  # not one
    depth[..., 3, 50] = 1.0  # its logarithm is 0
    assert kept_patches(prepare_depth(depth, grid, "log"), grid).tolist() == [
        [False, True, False, False]
    ]
    assert kept_patches(prepare_depth(depth, grid, "linear"), grid).tolist() == [
        [False, True, False, True]
    ]
    depth[..., 3, 20] = 200.1  # beyond what a linear patch is kept for
    assert kept_patches(prepare_depth(depth, grid, "linear"), grid).tolist() == [
        [False, False, False, True]
    ]
    assert kept_patches(prepare_depth(depth, grid, "log"), grid)[0, 1]


def test_packing_keeps_order_and_marks_padding():
    keep = torch.tensor([[0, 1, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1]], dtype=torch.bool)
    packed = pack(keep, 4)
    assert packed.index[0, :3].tolist() == [1, 3, 4]
    assert packed.index[1, 0] == 5
    assert packed.real.tolist() == [[True, True, True, False], [True, False, False, False]]
    assert drop(keep[:1]).index.tolist() == [[1, 3, 4]]


@pytest.mark.parametrize("cells", [1, 63, 713, 1200, 3588])
def test_buckets_are_few_long_enough_and_aligned(cells):
    before = 1 + cells
    lengths = [bucket_length(kept, cells, before) for kept in range(cells + 1)]
    assert len(set(lengths)) <= 9
    assert lengths[0] == 0
    for kept, length in enumerate(lengths):
        assert kept <= length <= cells
        assert length < kept + cells / 8 + 8
        assert length in (0, cells) or (before + length) % 8 == 0


def test_importing_the_package_imports_no_torch():
    code = "import sys, lingbot_live.model; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_model_that_is_not_there_is_said(tmp_path: Path):
    from lingbot_live.errors import WeightsError

    with pytest.raises(WeightsError, match="no such file"):
        LingBotDepth.from_pretrained(tmp_path / "nothing.pt")
