"""``auto`` takes LingBot-Depth where it can be live, and says why where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import in_new_python
from made_network import save_made

from lingbot_live.cameras import registry
from lingbot_live.config import RefinerConfig
from lingbot_live.model import auto
from lingbot_live.model.device import CpuDevice, has_cuda
from lingbot_live.model.weights import store
from lingbot_live.refiners.base import Refiner


@pytest.fixture
def present(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Made-up weights where the recommended ones belong."""
    monkeypatch.setenv("LINGBOT_LIVE_ANY_WEIGHTS", "1")
    folder = store.model_folder(store.RECOMMENDED)
    folder.mkdir(parents=True)
    return save_made(folder / "model.pt")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a CUDA device were here; LingBot-Depth still runs where it can."""
    monkeypatch.setattr(auto, "_has_nvidia_driver", lambda: True)
    monkeypatch.setattr("lingbot_live.model.device.has_cuda", lambda: True)
    monkeypatch.setattr("lingbot_live.model.device.CudaDevice", CpuDevice)


def made(config: RefinerConfig | None = None) -> Refiner:
    return registry.create_refiner(config or RefinerConfig("auto"))


def test_without_weights_it_names_the_command_that_gets_them():
    refiner = made()
    assert refiner.info.name == "guided"
    assert f"lingbot-live models download {store.RECOMMENDED}" in refiner.info.note
    assert refiner.info.note.startswith("classical")
    refiner.close()


def test_without_a_driver_or_cuda(present):
    if has_cuda():
        pytest.skip("there is a CUDA device")
    refiner = made()
    assert refiner.info.name == "guided"
    assert "LingBot-Depth is not used: no NVIDIA driver" in refiner.info.note
    refiner.close()


def test_with_a_driver_that_torch_cannot_use(present, monkeypatch):
    monkeypatch.setattr(auto, "_has_nvidia_driver", lambda: True)
    monkeypatch.setattr("lingbot_live.model.device.has_cuda", lambda: False)
    assert "this torch finds no CUDA device" in auto.why_not_lingbot()


def test_with_weights_and_a_device_it_is_lingbot(present, gpu):
    refiner = made(RefinerConfig("auto", tokens=48))
    assert refiner.info.name == "lingbot"
    assert refiner.info.checkpoint == store.RECOMMENDED
    refiner.close()


def test_damaged_weights_do_not_stop_the_app(present, gpu):
    present.write_bytes(present.read_bytes()[:9000])
    refiner = made()
    assert refiner.info.name == "guided"
    assert "LingBot-Depth is not used" in refiner.info.note
    assert "cut short" in refiner.info.note
    refiner.close()


def test_the_cpu_was_asked_for(present, gpu):
    refiner = made(RefinerConfig("auto", device="cpu"))
    assert refiner.info.name == "guided"
    assert "the CPU was asked for" in refiner.info.note
    refiner.close()


def test_the_reason_is_found_without_importing_torch():
    code = (
        "import sys\nfrom lingbot_live.model.auto import why_not_lingbot\n"
        "assert why_not_lingbot()\nassert 'torch' not in sys.modules\n"
    )
    in_new_python(code)
