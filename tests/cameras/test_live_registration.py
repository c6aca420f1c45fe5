"""What serves an open camera when a faster registration comes, fails or goes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from command import in_new_python
from registrations import COLOR, DEPTH, LENSED, POSE, TILTED, scene, torch_on

from lingbot_live import registration
from lingbot_live.cameras import registry
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.errors import CameraError
from lingbot_live.frame import RawDepth
from lingbot_live.registration import LiveRegistration, Maker, Register, Registration, announce


@pytest.fixture
def announcing() -> Iterator[Callable[[Maker | None], None]]:
    yield announce
    announce(None)


class Counted:
    """A maker that counts what it makes and what that does."""

    def __init__(self, maker: Maker) -> None:
        self.maker, self.made, self.frames = maker, 0, 0

    def __call__(self, plain: Registration) -> Register:
        self.made += 1
        register = self.maker(plain)

        def counted(raw: RawDepth, scale_m: float) -> RawDepth:
            self.frames += 1
            return register(raw, scale_m)

        return counted


def test_an_open_camera_goes_over_to_what_is_announced_and_back(announcing) -> None:
    live = LiveRegistration(DEPTH, LENSED, TILTED, keep_values=False)
    expected = Registration(DEPTH, LENSED, TILTED, keep_values=False)(scene(), 0.001)
    counted = Counted(torch_on("cpu"))
    for maker in (None, counted, counted, None):
        announcing(maker)
        np.testing.assert_array_equal(live(scene(), 0.001), expected)
    assert (counted.made, counted.frames) == (1, 2)
    Registration(DEPTH, COLOR, POSE, keep_values=True)(scene(), 0.001)
    assert counted.made == 1, "what moves single pictures is left alone"


@pytest.mark.parametrize("fails", ["while it is made", "on a frame"])
def test_a_device_that_fails_leaves_numpy_and_one_warning(
    announcing, caplog: pytest.LogCaptureFixture, fails: str
) -> None:
    # A meta device has no memory to read from; no device is called "cuda:99" anywhere.
    where = {"on a frame": "meta", "while it is made": "cuda:99"}[fails]
    counted = Counted(torch_on(where))
    announcing(counted)
    cameras = [LiveRegistration(DEPTH, COLOR, POSE, keep_values=True) for _ in range(3)]
    expected = Registration(DEPTH, COLOR, POSE, keep_values=True)(scene(), 0.001)
    for _ in range(3):
        for camera in cameras:
            np.testing.assert_array_equal(camera(scene(), 0.001), expected)
    assert counted.made == 1
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "registration goes on in NumPy" in caplog.text


def test_cameras_whose_device_fails_at_once_warn_once(
    announcing, caplog: pytest.LogCaptureFixture
) -> None:
    together = threading.Barrier(2)

    def gone(raw: RawDepth, scale_m: float) -> RawDepth:
        together.wait(10)
        raise MemoryError("all gone")

    announcing(lambda plain: gone)
    found: list[RawDepth] = []

    def camera() -> None:
        live = LiveRegistration(DEPTH, COLOR, POSE, keep_values=True)
        found.append(live(scene(), 0.001))

    threads = [threading.Thread(target=camera) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_wrong_size_is_not_the_devices_fault(announcing) -> None:
    counted = Counted(torch_on("cpu"))
    announcing(counted)
    live = LiveRegistration(DEPTH, COLOR, POSE, keep_values=True)
    with pytest.raises(CameraError, match="depth is 10x10"):
        live(np.zeros((10, 10), np.uint16), 0.001)
    live(scene(), 0.001)
    assert counted.frames == 2


def kinect(path: Path, depths: list[RawDepth]) -> str:
    pytest.importorskip("pyk4a")
    from fixtures_kinect import COLOR_SIZE, Recording

    rgb = np.zeros((COLOR_SIZE[1], COLOR_SIZE[0], 3), np.uint8)
    return f"kinect:{Recording().write(path / 'a.mkv', [(rgb, depth) for depth in depths])}"


def orbbec(path: Path, depths: list[RawDepth]) -> str:
    pytest.importorskip("pyorbbecsdk")
    from fixtures_orbbec import Bag

    rgb = np.zeros((240, 320, 3), np.uint8)
    return f"orbbec:{Bag().write(path / 'a.bag', [(rgb, depth[:240]) for depth in depths])}"


@pytest.mark.parametrize("write", [kinect, orbbec])
def test_a_camera_plays_on_with_the_same_pixels(
    announcing, tmp_path: Path, write: Callable[[Path, list[RawDepth]], str]
) -> None:
    address = write(tmp_path, [scene(seed, (288, 320)) for seed in range(3)])
    config = CameraConfig(loop=False, realtime=False)
    counted = Counted(torch_on("cpu"))

    def played(then: Maker | None) -> list[RawDepth]:
        announcing(None)
        with registry.create_camera(address, config) as camera:
            first = camera.read(10).depth_raw
            announcing(then)
            return [first, *(camera.read(10).depth_raw for _ in range(2))]

    np.testing.assert_array_equal(played(counted), played(None))
    assert (counted.made, counted.frames) == (1, 2)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_lingbot_takes_registration_to_a_gpu_and_not_to_the_cpu(
    announcing, tmp_path: Path, device: str
) -> None:
    from made_network import save_made

    from lingbot_live.model.create import create_lingbot
    from lingbot_live.model.device import has_cuda

    if device == "cuda" and not has_cuda():
        pytest.skip("no CUDA device here")
    path = save_made(tmp_path / "model.pt")
    create_lingbot(RefinerConfig("lingbot", str(path), device=device, tokens=48)).close()
    assert (registration._announced is not None) == (device == "cuda")
    live = LiveRegistration(DEPTH, LENSED, TILTED, keep_values=False)
    expected = Registration(DEPTH, LENSED, TILTED, keep_values=False)(scene(), 0.001)
    np.testing.assert_array_equal(live(scene(), 0.001), expected)


def test_a_program_that_only_records_never_imports_torch() -> None:
    code = (
        "import sys, numpy as np\n"
        "from lingbot_live.frame import Extrinsics, Intrinsics\n"
        "from lingbot_live.registration import LiveRegistration\n"
        "import drivers.kinect.camera, drivers.orbbec.camera\n"
        "lens = Intrinsics(8, 6, 6.0, 6.0, 4.0, 3.0)\n"
        "live = LiveRegistration(lens, lens, Extrinsics(), keep_values=True)\n"
        "assert live(np.full((6, 8), 900, np.uint16), 0.001).all()\n"
        "assert 'torch' not in sys.modules\n"
    )
    in_new_python(code)
