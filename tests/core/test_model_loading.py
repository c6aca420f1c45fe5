"""Checkpoints: what is read, what is refused, and in which words."""

from __future__ import annotations

import json
import logging
import os
import pickle
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from made_network import made_config, made_weights, save_made
from safetensors.torch import save_file

from lingbot_live.errors import WeightsError
from lingbot_live.model import LingBotDepth, Precision


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_made(tmp_path_factory.mktemp("made") / "model.pt")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Hundreds of small loads; waiting for a second thread would take most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def load(path: Path) -> LingBotDepth:
    return LingBotDepth.from_pretrained(path)


def save(path: Path, config: Any, weights: Any) -> Path:
    torch.save({"model_config": config, "model": weights}, path)
    return path


def owned(weights: dict[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    return {name: value.to(dtype).clone().contiguous() for name, value in weights.items()}


def depth_of(network: LingBotDepth) -> torch.Tensor:
    torch.manual_seed(0)
    depth = torch.rand(1, 42, 56) * 4
    return network.infer(torch.rand(1, 3, 42, 56), depth, num_tokens=40, use_fp16=False)["depth"]


def test_published_format_and_safetensors_are_the_same_network(made, tmp_path):
    config = made_config()
    weights = owned(made_weights(config), torch.float32)
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    expected = depth_of(load(made))
    assert torch.isfinite(expected).any()
    assert torch.equal(depth_of(load(tmp_path)), expected)
    (tmp_path / "config.json").unlink()
    alone = tmp_path / "alone.safetensors"
    save_file(weights, alone, metadata={"model_config": json.dumps(config)})
    assert torch.equal(depth_of(load(alone)), expected)


def test_a_misleading_name_is_said_or_does_not_matter(made, tmp_path):
    archive = tmp_path / "weights.safetensors"
    archive.write_bytes(made.read_bytes())
    with pytest.raises(WeightsError, match=r"Rename it to \.pt"):
        load(archive)
    tensors = tmp_path / "weights.pt"
    weights = owned(made_weights(made_config()), torch.float32)
    save_file(weights, tensors, metadata={"model_config": json.dumps(made_config())})
    assert torch.equal(depth_of(load(tensors)), depth_of(load(made)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_become_fp32(tmp_path, dtype):
    path = save(tmp_path / "m.pt", made_config(), owned(made_weights(made_config()), dtype))
    network = load(path)
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert torch.isfinite(depth_of(network)).any()


def test_precision_rounds_matrices_alone(made):
    network = LingBotDepth.from_pretrained(made, precision=Precision.FP16)
    block = network.encoder.backbone.blocks[0]
    assert block.mlp.fc1.weight.dtype == torch.float16
    for kept in (block.norm1.weight, block.ls1.gamma, network.encoder.backbone.pos_embed):
        assert kept.dtype == torch.float32
    assert network.depth_head.output_blocks[4].weight.dtype == torch.float32
    assert network.encoder.backbone.patch_embed.proj.weight.dtype == torch.float32
    stored = load(made).store(Precision.FP16)
    halves = [{n: p.dtype for n, p in net.named_parameters()} for net in (network, stored)]
    assert halves[0] == halves[1]


def test_fp32_weights_stay_mapped_from_the_file(made):
    weight = load(made).encoder.backbone.blocks[0].mlp.fc1.bias
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("no /proc")
    for line in maps.read_text().splitlines():
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        if first <= weight.data_ptr() < last:
            assert line.endswith(str(made))
            return
    pytest.fail("the weight lies nowhere")


def test_unknown_keys_are_ignored_with_a_line(tmp_path, caplog):
    config = made_config(some_new_key=1)
    weights = made_weights(config) | {"normal_head.0.weight": torch.zeros(3)}
    path = save(tmp_path / "m.pt", config, weights)
    with caplog.at_level(logging.INFO):
        load(path)
    assert "normal_head.0.weight" in caplog.text
    assert "some_new_key" in caplog.text


def changed(**tensors: Any) -> dict[str, Any]:
    return made_weights(made_config()) | {k.replace("__", "."): v for k, v in tensors.items()}


def test_missing_weights_are_named(tmp_path):
    weights = made_weights(made_config())
    del weights["neck.resamplers.2.1.bias"], weights["encoder.backbone.blocks.3.ls1.gamma"]
    path = save(tmp_path / "m.pt", made_config(), weights)
    with pytest.raises(WeightsError, match=r"m\.pt: lacks .*blocks\.3\.ls1.*neck\.resamplers\.2"):
        load(path)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (torch.zeros(3), r"shape \(3,\) instead of \(1, 1, 384\)"),
        (torch.zeros(1, 1, 384, dtype=torch.int64), r"torch\.int64 is no float"),
        (torch.zeros(1, 1, 384, dtype=torch.complex64), r"torch\.complex64 is no float"),
        (torch.full((1, 1, 384), torch.nan), "holds inf or nan"),
        (torch.zeros(1, 1, 384).to_sparse(), "no plain tensor"),
        ("text", "str is no plain tensor"),
        (None, "NoneType is no plain tensor"),
    ],
)
def test_misshapen_weights_are_named(tmp_path, value, words):
    path = save(tmp_path / "m.pt", made_config(), changed(encoder__backbone__cls_token=value))
    with pytest.raises(WeightsError, match=rf"encoder\.backbone\.cls_token: .*{words}"):
        load(path)


def test_another_backbone_than_the_configuration_says(tmp_path):
    encoder = made_config()["encoder"] | {"backbone": "dinov2_vitb14", "dim_out": 768}
    neck = made_config()["neck"] | {"dim_in": [770, 2, 2, 2, 2]}
    config = made_config(encoder=encoder, neck=neck)
    path = save(tmp_path / "m.pt", config, made_weights(made_config()))
    with pytest.raises(WeightsError, match=r"dinov2_vitb14 \(768 wide.*weights are 384 wide"):
        load(path)


STACK = {"neck": made_config()["neck"]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoder": None}, "encoder is NoneType"),
        ({"encoder": {"backbone": "resnet50"}}, "encoder.backbone is 'resnet50'; known: dinov2"),
        ({"encoder": made_config()["encoder"] | {"dim_out": 256}}, "encoder.dim_out is 256"),
        ({"encoder": made_config()["encoder"] | {"intermediate_layers": [-1]}}, "intermediate"),
        ({"encoder": made_config()["encoder"] | {"intermediate_layers": 13}}, "from 1 to 12"),
        ({"encoder": made_config()["encoder"] | {"img_mask_ratio": 0.5}}, "img_mask_ratio is 0.5"),
        ({"neck": STACK["neck"] | {"dim_in": [5, 2, 2, 2, 2]}}, r"dim_in\[0\] asks for 5"),
        ({"neck": STACK["neck"] | {"resamplers": "nearest"}}, "neck.resamplers is 'nearest'"),
        ({"neck": STACK["neck"] | {"dim_res_blocks": [1 << 40] * 5}}, "neck.dim_res_blocks"),
        ({"neck": STACK["neck"] | {"activation": "tanh"}}, "neck.activation is 'tanh'"),
        ({"depth_head": STACK["neck"]}, "depth_head"),
        ({"remap_depth_in": "cube"}, "remap_depth_in is 'cube'; known: log, linear"),
        ({"num_tokens_range": [0, 1]}, r"num_tokens_range is \[0, 1\]"),
        ({"num_tokens_range": "many"}, "num_tokens_range is 'many'"),
    ],
)
def test_configurations_that_no_network_has(tmp_path, changes, words):
    path = save(tmp_path / "m.pt", made_config() | changes, {})
    with pytest.raises(WeightsError, match=rf"m\.pt: model_config: .*{words}"):
        load(path)


def test_files_that_are_no_checkpoint(made, tmp_path):
    def refusal(content: bytes) -> str:
        path = tmp_path / "model.pt"
        path.write_bytes(content)
        with pytest.raises(WeightsError) as caught:
            load(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "empty" in refusal(b"")
    assert "web page" in refusal(b"\n<!DOCTYPE html><html>404</html>")
    assert "Git LFS" in refusal(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert "bare pickle" in refusal(pickle.dumps({"model": 1}))
    assert "neither a PyTorch checkpoint" in refusal(b"\x00" * 500)
    assert "cut short" in refusal(made.read_bytes()[: made.stat().st_size // 2])
    torch.save([1, 2], tmp_path / "list.pt")
    assert "no LingBot-Depth checkpoint: it holds list" in refusal(
        (tmp_path / "list.pt").read_bytes()
    )
    torch.save({"state_dict": {}}, tmp_path / "other.pt")
    assert "dict with 'state_dict'" in refusal((tmp_path / "other.pt").read_bytes())
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "zip archive, but no PyTorch" in refusal((tmp_path / "other.zip").read_bytes())


def test_safetensors_without_or_with_a_broken_configuration(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(owned(made_weights(made_config()), torch.float32), path)
    with pytest.raises(WeightsError, match=r"Put the model's config\.json there"):
        load(path)
    for text, words in (("{", "no JSON"), ("[]", "list, not an object")):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(WeightsError, match=words):
            load(path)


class Evil:
    """Runs a command when unpickled carelessly."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self.target}",))


def evil_files(made: Path, folder: Path, target: Path) -> list[bytes]:
    torch.save({"model_config": Evil(target), "model": {}}, folder / "config.pt")
    torch.save(
        {"model_config": made_config(), "model": changed(x=Evil(target))}, folder / "tensor.pt"
    )
    torch.save(Evil(target), folder / "old.pt", _use_new_zipfile_serialization=False)
    inside = folder / "inside.pt"
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(inside, "w") as copy:
        for item in source.infolist():
            evil = item.filename.endswith("data.pkl")
            copy.writestr(item, pickle.dumps(Evil(target)) if evil else source.read(item))
    names = ("config.pt", "tensor.pt", "old.pt", "inside.pt")
    return [*((folder / name).read_bytes() for name in names), pickle.dumps(Evil(target))]


def test_malicious_pickles_run_nothing(made, tmp_path):
    target = tmp_path / "executed"
    for content in evil_files(made, tmp_path, target):
        path = tmp_path / "model.pt"
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="refused"):
            load(path)
        assert not target.exists()
    pickle.loads(pickle.dumps(Evil(target)))  # the bait itself works
    assert target.exists()


def cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def flipped(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.choice([1, 1, 8, 64])):
        edge = min(60_000, len(content))  # names and directories are there
        first, last = chance.choice(
            [(0, edge), (0, len(content)), (len(content) - edge, len(content))]
        )
        damaged[chance.randrange(first, last)] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def zeroed(content: bytes, chance: random.Random) -> bytes:
    start = chance.choice([chance.randrange(len(content)), chance.randrange(60_000) % len(content)])
    hole = content[start : start + chance.choice([16, 4096])]
    return content[:start] + bytes(len(hole)) + content[start + len(hole) :]


@pytest.mark.parametrize("damage", [cut, flipped, zeroed])
@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_damaged_files_never_crash(made, tmp_path, damage, kind):
    """130 files: a clear error, or a network of finite numbers if only values changed."""
    content = made.read_bytes()
    if kind == "safetensors":
        whole = {"a": torch.ones(40, 40), "encoder.backbone.cls_token": torch.ones(1, 1, 384)}
        save_file(whole, tmp_path / "x", metadata={"model_config": json.dumps(made_config())})
        content = (tmp_path / "x").read_bytes()
    chance = random.Random(f"{damage.__name__} {kind}")
    path = tmp_path / "model.pt"
    refusals = []
    for _ in range(30 if kind == "pt" else 14):
        path.write_bytes(damage(content, chance))
        try:
            network = load(path)
        except WeightsError as error:
            refusals.append(str(error))
            continue
        assert all(p.sum().isfinite() for p in network.parameters())
    assert refusals
    assert all(text.startswith(str(path)) for text in refusals)


def wrong_shape(value: torch.Tensor, chance: random.Random) -> Any:
    shape = [max(0, n + chance.choice([-1, 1])) for n in value.shape]
    return chance.choice([torch.zeros(shape), value[None].clone(), torch.zeros(())])


def wrong_type(value: torch.Tensor, chance: random.Random) -> Any:
    dtypes = [torch.int8, torch.int64, torch.bool, torch.complex64, torch.uint8]
    others = [None, 3, "text", [1.0], torch.full(value.shape, torch.inf)]
    return chance.choice([torch.zeros(value.shape, dtype=chance.choice(dtypes)), *others])


@pytest.mark.parametrize("wrong", [wrong_shape, wrong_type])
def test_wrong_tensors_are_named(tmp_path, wrong):
    """70 files, each with one wrong tensor at a place drawn by chance."""
    chance = random.Random(wrong.__name__)
    weights = made_weights(made_config())
    path = tmp_path / "model.pt"
    for _ in range(35):
        name = chance.choice(list(weights))
        save(path, made_config(), weights | {name: wrong(weights[name], chance)})
        with pytest.raises(WeightsError, match=name.replace(".", r"\.")):
            load(path)
