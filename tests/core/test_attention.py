"""What the network's depth tokens attend to, against attention computed plainly."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from command import command
from made_network import save_made
from torch.nn import functional as F

from lingbot_live.config import RefinerConfig
from lingbot_live.errors import ConfigError
from lingbot_live.frame import Calibration, Frame, Intrinsics
from lingbot_live.model import LingBotDepth
from lingbot_live.model.lingbot import create_lingbot
from lingbot_live.model.preprocess import kept_patches, prepare_depth, prepare_image, token_grid
from lingbot_live.refiners.attended import around_hole, centres_px, overlay
from lingbot_live.refiners.base import PassthroughRefiner

TOKENS, HEADS = 48, 6
HEIGHT, WIDTH = 60, 80
HOLE, SEEN = (30.0, 10.0), (10.0, 50.0)  # pixels: without depth, with depth


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    encoder = {"backbone": "dinov2_vits14", "intermediate_layers": [1, 3], "dim_out": 384}
    return save_made(tmp_path_factory.mktemp("made") / "model.pt", encoder=encoder)


@pytest.fixture(scope="module")
def network(checkpoint):
    return LingBotDepth.from_pretrained(checkpoint)


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.5, 4, (HEIGHT, WIDTH)).astype(np.float32)
    depth[:30, 15:60] = 0
    return rng.random((3, HEIGHT, WIDTH), np.float32), depth


def plain(network, image, depth, *, masked):
    """Attention of every block, (H, N, N), by the textbook; masked tokens left out, or hidden."""
    grid = token_grid(WIDTH, HEIGHT, TOKENS)
    encoder, vit = network.encoder, network.encoder.backbone
    picture = prepare_image(
        torch.from_numpy(image)[None], grid, encoder.image_mean, encoder.image_std
    )
    deep = prepare_depth(torch.from_numpy(depth)[None, None], grid, "log")
    keep = kept_patches(deep, grid)[0]
    table = encoder.positions(grid)
    colors = vit.patch_embed(picture) + table
    depths = (vit.depth_patch_embed(deep) + table)[:, slice(None) if masked else keep]
    first = vit.cls_token + vit.pos_embed[:, :1]
    x = torch.cat([first, colors, depths], 1)[0].detach()
    hidden = torch.cat([torch.zeros(1 + grid.cells, dtype=torch.bool), ~keep])
    found = []
    for block in vit.blocks[:4]:
        q, k, v = (
            part.view(len(x), HEADS, 64).transpose(0, 1)
            for part in F.linear(block.norm1(x), *block.attn.qkv.parameters()).chunk(3, -1)
        )
        scores = torch.einsum("hqc,hkc->hqk", q, k) / 64**0.5
        if masked:
            scores[..., hidden] = -torch.inf
        weights = torch.exp(scores) / torch.exp(scores).sum(-1, keepdim=True)
        found.append(weights.detach())
        mixed = block.attn.proj((weights @ v).transpose(0, 1).flatten(1))
        x = x + block.ls1.gamma * mixed
        x = (x + block.ls2.gamma * block.mlp(block.norm2(x))).detach()
    return grid, keep, found


def test_equals_softmax_computed_plainly(network, scene):
    """Also of the sequence from which the tokens without depth are really left out."""
    grid, keep, found = plain(network, *scene, masked=False)
    told = network.attention(*scene, [SEEN], num_tokens=TOKENS)
    assert told.layers == (0, 1, 2, 3)
    assert told.to_color.shape == (4, HEADS, 1, *grid)
    row, column = told.cells[0]
    cell = row * grid.columns + column
    assert keep[cell]
    at = 1 + grid.cells + int(keep[:cell].sum())
    for layer, weights in enumerate(found):
        mine = weights[:, at, 1 : 1 + grid.cells].view(HEADS, *grid).numpy()
        np.testing.assert_allclose(told.to_color[layer, :, 0], mine, rtol=2e-4, atol=1e-7)
        deep = told.to_depth[layer, :, 0].reshape(HEADS, -1)
        np.testing.assert_allclose(
            deep[:, keep.numpy()], weights[:, at, 1 + grid.cells :].numpy(), rtol=2e-4, atol=1e-7
        )
        assert not deep[:, ~keep.numpy()].any()
        rest = weights[:, at, 0].numpy()
        np.testing.assert_allclose(
            told.to_color[layer, :, 0].sum((1, 2)) + deep.sum(1) + rest, 1, rtol=1e-5
        )


def test_a_masked_token_tells_what_it_would_look_at(network, scene):
    grid, keep, found = plain(network, *scene, masked=True)
    told = network.attention(*scene, [HOLE], layers=[-1], num_tokens=TOKENS)
    assert told.masked.tolist() == [True]
    row, column = told.cells[0]
    at = 1 + grid.cells + row * grid.columns + column
    assert not keep[row * grid.columns + column]
    mine = found[3][:, at, 1 : 1 + grid.cells].view(HEADS, *grid).numpy()
    np.testing.assert_allclose(told.to_color[0, :, 0], mine, rtol=2e-4, atol=1e-7)


def test_rollout_is_the_product_of_all_layers(network, scene):
    grid, _, found = plain(network, *scene, masked=True)
    told = network.attention(*scene, [HOLE, SEEN], layers=[0], num_tokens=TOKENS, rollout=True)
    whole = torch.eye(found[0].shape[1])
    for weights in found:
        whole = (0.5 * weights.mean(0) + 0.5 * torch.eye(len(whole))) @ whole
    for query, (row, column) in enumerate(told.cells):
        mine = whole[1 + grid.cells + row * grid.columns + column, 1 : 1 + grid.cells]
        np.testing.assert_allclose(told.rollout[query].ravel(), mine.numpy(), rtol=1e-3, atol=1e-8)


def test_asking_changes_nothing_and_leaves_nothing(network, scene):
    image, depth = (torch.from_numpy(part) for part in scene)

    def refined():
        return network.infer(image, depth, TOKENS, use_fp16=False)["depth"]

    before = refined()
    network.attention(*scene, [SEEN], num_tokens=TOKENS)
    assert torch.equal(refined(), before)
    blocks = network.encoder.backbone.blocks
    assert not any(block.attn._forward_pre_hooks for block in blocks)


def test_a_network_that_passes_over_hidden_tokens_is_asked_alike(network, scene, monkeypatch):
    told = network.attention(*scene, [HOLE], num_tokens=TOKENS)
    backbone = network.encoder.backbone
    monkeypatch.setattr(backbone, "skips_hidden", True)  # that needs a GPU and the kept ones first
    again = network.attention(*scene, [HOLE], num_tokens=TOKENS)
    np.testing.assert_array_equal(again.to_color, told.to_color)
    assert backbone.skips_hidden


def test_the_neighbours_of_a_hole_are_asked_too(network, scene):
    told = network.attention(*scene, [HOLE], layers=[1], num_tokens=TOKENS, neighbours=True)
    assert told.asked == 1
    assert len(told.cells) > 4
    assert told.masked.tolist() == [True] + [False] * (len(told.cells) - 1)
    for row, column in told.cells[1:]:
        around = told.kept[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        assert not around.all()


def test_around_a_hole():
    kept = np.ones((5, 6), bool)
    kept[2, 2:4] = False
    kept[0, 5] = False  # another hole
    assert around_hole(kept, 0, 0) == []
    found = around_hole(kept, 2, 2, most=99)
    assert len(found) == 10
    assert all(1 <= row <= 3 and 1 <= column <= 4 for row, column in found)
    assert around_hole(kept, 2, 2, most=4) == found[:4]
    assert around_hole(np.zeros((3, 3), bool), 1, 1) == []


def test_layers_heads_and_means(network, scene):
    told = network.attention(*scene, [SEEN], num_tokens=TOKENS)
    np.testing.assert_allclose(told.of(None, None), told.mean)
    np.testing.assert_array_equal(told.of(2, 3), told.to_color[2, 3])
    np.testing.assert_allclose(told.of(2, None), told.to_color[2].mean(0), rtol=1e-6)
    for layer, head in ((9, None), (0, 6), (0, -1)):
        with pytest.raises(ConfigError, match="attention: "):
            told.of(layer, head)


@pytest.mark.parametrize(
    ("queries", "layers", "text"),
    [
        ([(80, 5)], None, "80,5 lies outside the picture of 80x60"),
        ([(np.nan, 5)], None, "outside"),
        ([3, 4], None, "shape"),
        ([SEEN], [4], "layers: 4; this network runs blocks 0 to 3"),
    ],
)
def test_what_cannot_be_meant_is_said(network, scene, queries, layers, text):
    with pytest.raises(ValueError, match=text):
        network.attention(*scene, queries, layers, num_tokens=TOKENS)


def test_centres_lie_in_their_tokens():
    cells = np.array([[0, 0], [5, 7]])
    np.testing.assert_allclose(centres_px(cells, (6, 8), (60, 80)), [[4.5, 4.5], [74.5, 54.5]])


def test_an_overlay_is_brightest_where_most_is_looked_at():
    weights = np.zeros((6, 8), np.float32)
    weights[4, 6] = 1
    shown = overlay(np.full((60, 80, 3), 90, np.uint8), weights)
    assert shown.shape == (60, 80, 3)
    brightness = shown.astype(int).sum(2)
    row, column = np.unravel_index(brightness.argmax(), brightness.shape)
    assert (row // 10, column // 10) == (4, 6)


def frame(scene):
    image, depth = scene
    k = Intrinsics(WIDTH, HEIGHT, 70, 70, 39.5, 29.5)
    color = (255 * image.transpose(1, 2, 0)).astype(np.uint8).copy()
    return Frame("made", 0, 1, 1, color, (1000 * depth).astype(np.uint16), 0.001, Calibration(k))


def test_refiners_tell_what_they_attended_to_or_none(checkpoint, scene):
    assert PassthroughRefiner().attend(frame(scene), [SEEN]) is None
    refiner = create_lingbot(RefinerConfig("lingbot", str(checkpoint), tokens=TOKENS, device="cpu"))
    told = refiner.attend(frame(scene), [HOLE])
    assert told is not None
    assert told.rollout is not None
    assert len(told.cells) > 1
    refiner.close()


@pytest.fixture
def example(tmp_path, scene):
    folder = tmp_path / "example"
    folder.mkdir()
    made = frame(scene)
    cv2.imwrite(str(folder / "rgb.png"), made.color[..., ::-1])
    cv2.imwrite(str(folder / "raw_depth.png"), made.depth_raw)
    np.savetxt(folder / "intrinsics.txt", made.intrinsics.matrix)
    return folder


def attention(example, checkpoint, *options):
    return command(
        "attention", example, "--model", checkpoint, "--tokens", TOKENS, "--device", "cpu", *options
    )


def test_the_command_draws_the_figure(checkpoint, example, tmp_path):
    output = tmp_path / "figure.png"
    told = attention(example, checkpoint, "--at", "30,10", "--at", "10,50", "-o", output)
    assert told.returncode == 0, told.stderr
    assert "without depth" in told.stdout
    picture = cv2.imread(str(output))
    assert picture is not None
    assert picture.shape[1] > 3 * picture.shape[0] / 2
    again = attention(example, checkpoint, "--at", "10,50", "--rollout", "-o", output)
    assert again.returncode == 0, again.stderr  # its own file is written over


def test_the_command_writes_the_arrays(checkpoint, example, tmp_path):
    output = tmp_path / "weights.npz"
    told = attention(example, checkpoint, "--at", "10,50", "--layer", "1", "-o", output)
    assert told.returncode == 0, told.stderr
    with np.load(output) as arrays:
        assert arrays["to_color"].shape == (1, HEADS, 1, 6, 8)
        assert arrays["layers"].tolist() == [1]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--at", "90,10"), "--at 90,10"),
        (("--at", "ten"), "U,V"),
        (("--at", "10,10", "--layer", "7"), "blocks 0 to 3"),
        (("--at", "10,10", "--head", "6"), "head 6"),
        (("--at", "10,10", "--frame", "3"), "frame 3"),
    ],
)
def test_the_command_says_what_is_wrong(checkpoint, example, tmp_path, options, text):
    told = attention(example, checkpoint, *options, "-o", tmp_path / "figure.png")
    assert told.returncode != 0
    assert text in told.stderr
    assert not (tmp_path / "figure.png").exists()


def test_other_refiners_have_no_attention(example, tmp_path):
    told = command(
        "attention", example, "--refiner", "guided", "--at", "9,9", "-o", tmp_path / "a.png"
    )
    assert told.returncode != 0
    assert "guided" in told.stderr
    assert "lingbot" in told.stderr
