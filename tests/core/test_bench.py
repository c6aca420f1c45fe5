"""``lingbot-live bench``: the report on the CPU, and what it says without a GPU."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from command import command
from made_network import made_config, save_made

from lingbot_live.model import gpu_bench
from lingbot_live.model.device import CpuDevice, has_cuda
from lingbot_live.model.model_config import ModelConfig
from lingbot_live.model.precision import Precision
from lingbot_live.model.preprocess import Grid


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return command("bench", *arguments)


def test_report_on_the_cpu(tmp_path: Path):
    model = save_made(tmp_path / "model.pt")
    done = bench(
        "--cpu", "--model", str(model), "--tokens", "48", "--tokens", "12", "--rounds", "1"
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "CPU" in lines[0]
    assert str(model) in lines[0]
    assert "TFLOP/s" in lines[1]
    headings, first, second = (line.split() for line in lines[2:5])
    assert headings[:5] == ["tokens", "+depth", "upload", "prepare", "encoder"]
    assert (first[0], second[0]) == ("48", "12")
    stages, frame = [float(word) for word in first[2:7]], float(first[7])
    assert all(ms > 0 for ms in stages)
    assert float(first[8]) == pytest.approx(1000 / frame, rel=0.2)
    for line in lines[5:7]:
        assert 0 < float(line.split(": ")[1].split()[0]) < 1e-3


def test_without_a_gpu_it_says_so():
    if has_cuda():
        pytest.skip("there is a CUDA device")
    done = bench("--gpu")
    assert done.returncode == 2
    assert "finds no CUDA device" in done.stderr
    assert "--cpu" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [(), ("--gpu", "--cpu")])
def test_one_device_must_be_named(arguments):
    done = bench(*arguments)
    assert done.returncode == 2
    assert "say either --gpu or --cpu" in done.stderr


def test_operations_are_counted_as_by_hand():
    config = ModelConfig.parse(made_config())
    grid = Grid(6, 8)
    held = SimpleNamespace(
        image=torch.empty(1, 3, *grid.size_px), prepared=torch.empty(1, 1, *grid.size_px), grid=grid
    )
    counted = [gpu_bench.network_flop(config, held, kept) for kept in (0, 40)]
    width, blocks = 384, 2

    def transformer(tokens: int) -> int:
        return blocks * (24 * width**2 * tokens + 4 * tokens**2 * width)

    assert counted[1] - counted[0] == transformer(1 + 48 + 40) - transformer(1 + 48)
    assert counted[0] > transformer(1 + 48)


def test_peak_is_a_rate():
    assert gpu_bench.matmul_rate(CpuDevice(), Precision.FP32) > 1e8
