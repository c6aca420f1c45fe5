"""The network as ONNX: what onnxruntime gives is what PyTorch and the reference give."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import torch
from command import command
from golden import calls, network, picture
from made_network import save_made

from lingbot_live.cameras import registry
from lingbot_live.cameras.base import first_frame
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.errors import ConfigError, RefinerError, WeightsError
from lingbot_live.model import onnx_export, postprocess
from lingbot_live.model.onnx_run import OnnxSession
from lingbot_live.model.precision import Precision
from lingbot_live.model.preprocess import kept_patches, prepare_depth, prepare_image, token_grid

for needed in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(needed, reason="pip install lingbot-live[onnx]")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


# Exports of networks of twelve blocks and more take minutes in all: for who asks for them.
on_request = pytest.mark.skipif(
    not os.environ.get("LINGBOT_LIVE_ALL_GOLDEN"), reason="LINGBOT_LIVE_ALL_GOLDEN=1 asks for it"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small checkpoint and its export for 4:3 pictures."""
    folder = tmp_path_factory.mktemp("onnx")
    weights = save_made(folder / "model.pt")
    target = folder / "model.onnx"
    written = onnx_export.export(weights, target, 48)
    assert written.difference <= onnx_export.EXACT
    return weights, target


@pytest.fixture(scope="module")
def frame():
    config = CameraConfig(width=160, height=120, seed=3)
    with registry.create_camera("synthetic:stereo", config) as camera:
        return first_frame(camera)


@on_request
@pytest.mark.testdata
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("made")  # the exporter's own thread is there from the first export on
@pytest.mark.parametrize(("folder", "call"), calls())
def test_every_golden_case_is_given_by_onnxruntime(folder, call, tmp_path):
    golden = np.load(folder / call["file"])
    options = call["infer_kwargs"]
    net = network(folder)
    image, depth_in = picture(golden["image"]), torch.from_numpy(golden["depth_in"])
    image = image if image.ndim == 4 else image[None]
    depth_in = depth_in.reshape(len(image), 1, *depth_in.shape[-2:])
    height, width = image.shape[2:]
    count = net._tokens(options.get("num_tokens"), options.get("resolution_level", 9))
    grid = token_grid(width, height, count)
    target = tmp_path / "golden.onnx"
    written = onnx_export.export(folder / "model.pt", target, count, (width, height))
    assert written.grid == grid
    session = OnnxSession(target, "cpu")
    expected = golden["out_depth"].reshape(len(image), height, width)
    for i, want in enumerate(expected):
        pixels = prepare_image(
            image[i : i + 1], grid, net.encoder.image_mean, net.encoder.image_std
        )
        depth = prepare_depth(depth_in[i : i + 1], grid, net.config.remap_depth_in)
        keep = kept_patches(depth, grid) | (not options.get("enable_depth_mask", True))
        logits = session.run(pixels, depth, keep)
        found = postprocess.depth_of(logits, (height, width), net.config.remap_depth_out)
        assert found is not None
        seen = np.isfinite(want)
        assert onnx_export.apart(found[0].numpy()[seen], want[seen]) <= onnx_export.EXACT
        mask = postprocess.mask_of(logits, (height, width))
        if mask is not None and options.get("apply_mask", True):
            sure = ~golden["aux_mask_unsure"].reshape(expected.shape)[i]
            assert np.array_equal(mask[0].numpy()[sure], seen[sure])


def test_the_refiner_gives_what_torch_gives_and_says_what_it_is(made, frame):
    weights, target = made
    ours = registry.create_refiner(RefinerConfig.parse(f"lingbot:{target}"))
    theirs = registry.create_refiner(
        RefinerConfig("lingbot", str(weights), tokens=48, device="cpu")
    )
    a, b = ours.refine(frame), theirs.refine(frame)
    assert ours.info.device == "onnxruntime CPU"
    assert ours.info.tokens == b.refiner.tokens == 48
    np.testing.assert_array_equal(a.mask, b.mask)
    assert onnx_export.apart(a.depth_m[a.mask], b.depth_m[b.mask]) <= onnx_export.EXACT
    assert ours.adopt(RefinerConfig("lingbot", str(target), keep_raw=True))
    blended = ours.refine(frame).depth_m
    np.testing.assert_array_equal(blended[frame.depth_raw > 0], frame.depth_m[frame.depth_raw > 0])
    for refiner in (ours, theirs):
        refiner.close()


def test_in_fp16_the_file_is_smaller_and_as_right_as_fp16_is(made, tmp_path):
    weights, target = made
    half = tmp_path / "half.onnx"
    written = onnx_export.export(weights, half, 48, precision=Precision.FP16)
    assert half.stat().st_size < 0.7 * target.stat().st_size
    assert 0 < written.difference <= onnx_export.HALF


def test_a_picture_of_another_aspect_is_refused_with_what_to_do(made):
    _, target = made
    refiner = registry.create_refiner(RefinerConfig.parse(f"lingbot:{target}"))
    with registry.create_camera("synthetic:stereo", CameraConfig(width=320, height=120)) as camera:
        wide = first_frame(camera)
    with pytest.raises(RefinerError, match=r"export it with --size 320x120"):
        refiner.refine(wide)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (RefinerConfig("lingbot", "{file}", provider="quantum"), "cpu"),
        (RefinerConfig("lingbot", "{file}", tokens=300), "--tokens 300"),
        (RefinerConfig("lingbot", "{weights}", provider="cpu"), "FILE.onnx"),
    ],
    ids=["no such provider", "other tokens", "a checkpoint"],
)
def test_what_does_not_fit_is_a_line(made, config, why):
    weights, target = made
    model = config.model.format(file=target, weights=weights)
    asked = RefinerConfig("lingbot", model, tokens=config.tokens, provider=config.provider)
    with pytest.raises(ConfigError, match=why):
        registry.create_refiner(asked)


@pytest.mark.parametrize("fault", ["absent", "a folder", "text", "cut", "of others", "lies"])
def test_a_bad_file_says_which_and_why(made, tmp_path, fault):
    _, target = made
    path = tmp_path / "bad.onnx"
    if fault == "a folder":
        path.mkdir()
    elif fault == "text":
        path.write_text("not a network")
    elif fault == "cut":
        path.write_bytes(target.read_bytes()[: target.stat().st_size // 2])
    elif fault in ("of others", "lies"):
        import onnx

        model = onnx.load(target)
        if fault == "of others":
            del model.metadata_props[:]
        else:
            model.metadata_props[0].value = json.dumps({"format": 1, "grid": "wide"})
        onnx.save(model, path)
    with pytest.raises((WeightsError, RefinerError), match=r"bad\.onnx") as told:
        registry.create_refiner(RefinerConfig.parse(f"lingbot:{path}"))
    assert "\n" not in str(told.value)


def test_a_network_whose_export_differs_is_not_kept(made, tmp_path, monkeypatch):
    weights, target = made
    monkeypatch.setattr(onnx_export, "_write", lambda fixed, path, about: shutil.copy(other, path))
    other = tmp_path / "other.onnx"
    _with_another_bias(target, other)
    with pytest.raises(RefinerError, match="differs by"):
        onnx_export.export(weights, tmp_path / "wrong.onnx", 48)
    assert list(tmp_path.iterdir()) == [other]


def _with_another_bias(path, changed):
    """Change one number that the result depends on."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    last = next(t for t in model.graph.initializer if t.name.endswith("output_blocks.4.bias"))
    bias = numpy_helper.to_array(last) + np.float32(0.01)
    last.CopyFrom(numpy_helper.from_array(bias, last.name))
    onnx.save(model, changed)


def test_weights_above_the_limit_of_one_file_are_refused(made, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_export, "LARGEST", 1 << 20)
    with pytest.raises(RefinerError, match="--fp16"):
        onnx_export.export(made[0], tmp_path / "large.onnx", 48)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_one_and_refuses_what_is_wrong(made, tmp_path):
    weights, _ = made
    target = tmp_path / "a.onnx"
    told = command("models", "export", weights, "-o", target, "--tokens", 48)
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip() == str(target)
    assert "differs from PyTorch by" in told.stderr
    for words in (("-o", weights), ("-o", tmp_path / "a.bin"), ("-o", tmp_path / "no" / "a.onnx")):
        told = command("models", "export", weights, *words)
        assert told.returncode == 2
        assert told.stderr.count("\n") == 1, told.stderr
    assert weights.stat().st_size > 1 << 20
