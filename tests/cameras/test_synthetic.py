"""The synthetic cameras: equal runs, the promised failure modes, and nothing left behind."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from drivers.synthetic.driver import SyntheticDriver
from drivers.synthetic.loop import SIGMA_FINE, Sweep, cache_root, pose_count, pose_index
from drivers.synthetic.render import render
from drivers.synthetic.sensors import (
    FINE_M,
    SENSORS,
    Observation,
    Stereo,
    StructuredLight,
    TimeOfFlight,
)
from drivers.synthetic.shapes import Material
from drivers.synthetic.stage import View
from lingbot_live.cameras.base import Camera, first_frame
from lingbot_live.cameras.registry import create_camera, find_camera
from lingbot_live.config import CameraConfig
from lingbot_live.errors import CameraError, CameraNotFoundError, CameraTimeoutError, ConfigError
from lingbot_live.frame import Frame, Intrinsics

SMALL = CameraConfig(width=160, height=120, realtime=False)
SIZE = Intrinsics(320, 240, 260.0, 260.0, 159.5, 119.5)


@pytest.fixture(scope="module")
def view() -> View:
    made = render(0.4, SIZE)
    assert made is not None
    return made


@pytest.fixture(scope="module")
def seen(view: View) -> dict[str, Observation]:
    return {name: s.observe(view, np.random.default_rng(1)) for name, s in SENSORS.items()}


def camera(name: str, config: CameraConfig = SMALL) -> Camera:
    return create_camera(f"synthetic:{name}", config)


def frames(name: str, count: int, config: CameraConfig = SMALL) -> list[Frame]:
    with camera(name, config) as opened:
        return [first_frame(opened) for _ in range(count)]


def edges(view: View) -> np.ndarray:
    near = cv2.erode(view.depth_m, np.ones((3, 3)))
    far = cv2.dilate(view.depth_m, np.ones((3, 3)))
    return far - near > 0.5


# ---- driver and stream ---------------------------------------------------------------------


def test_three_simulated_cameras_are_found() -> None:
    found = SyntheticDriver().discover()
    assert [info.address for info in found] == [f"synthetic:{name}" for name in SENSORS]
    assert [info.name for info in found] == [f"Synthetic {s.title}" for s in SENSORS.values()]
    assert all(info.is_simulated and info.profiles[0].width == 640 for info in found)
    assert find_camera("synthetic:tof") == found[1]


def test_an_unknown_one_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(CameraNotFoundError, match=r"Did you mean 'structured'.*synthetic:stereo"):
        find_camera("synthetic:structed")


@pytest.mark.parametrize("size", [(32, 24), (8000, 6000)])
def test_a_size_out_of_bounds_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="64x48 to 1920x1080"):
        camera("stereo", CameraConfig(width=size[0], height=size[1]))


@pytest.mark.parametrize("name", SENSORS)
def test_a_frame_keeps_the_contract(name: str) -> None:
    frame = frames(name, 1)[0]
    sensor = SENSORS[name]
    assert frame.color.shape == (120, 160, 3)
    assert frame.depth_scale_m == sensor.depth_scale_m
    assert frame.calibration.baseline_m == sensor.baseline_m
    assert (frame.device_index, frame.device_timestamp_us) == (0, 0)
    assert 0.3 < (frame.depth_raw > 0).mean() < 1
    assert frame.reference_m is not None
    assert frame.reference_m.min() > 1.0
    assert frame.reference_m.max() < 6.6
    valid = frame.depth_raw > 0
    error = np.abs(frame.depth_m - frame.reference_m)[valid]
    assert np.median(error) < 0.1


@pytest.mark.parametrize("name", SENSORS)
def test_equal_runs_give_equal_frames(name: str) -> None:
    config = CameraConfig(width=160, height=120, fps=1.0, realtime=False)
    for a, b in zip(frames(name, 6, config), frames(name, 6, config), strict=True):
        assert a.color.tobytes() == b.color.tobytes()
        assert a.depth_raw.tobytes() == b.depth_raw.tobytes()
        assert a.reference_m is not None
        assert b.reference_m is not None
        assert a.reference_m.tobytes() == b.reference_m.tobytes()


def test_another_seed_gives_other_depth_of_the_same_scene() -> None:
    one = frames("stereo", 1)[0]
    other = frames("stereo", 1, CameraConfig(width=160, height=120, realtime=False, seed=5))[0]
    assert (one.color == other.color).all()
    assert (one.depth_raw != other.depth_raw).mean() > 0.3


def test_the_scene_moves_and_every_frame_has_noise_of_its_own() -> None:
    config = CameraConfig(width=160, height=120, fps=0.25, realtime=False)
    start, later = frames("tof", 2, config)  # 4 s apart
    still = frames("tof", 2)
    assert (still[0].color == still[1].color).all()
    assert (still[0].depth_raw != still[1].depth_raw).mean() > 0.3
    assert np.abs(start.color.astype(int) - later.color).mean() > 3


def test_two_at_once_share_the_scene() -> None:
    with camera("stereo") as one, camera("tof") as other:
        for _ in range(5):
            a, b = first_frame(one), first_frame(other)
            assert (a.color == b.color).all()
            assert a.reference_m is not None
            assert (a.reference_m == b.reference_m).all()
            assert (a.depth_m != b.depth_m).any()


def test_it_opens_again_and_begins_anew() -> None:
    again = camera("structured")
    with again:
        before = first_frame(again)
    with again:
        after = first_frame(again)
    assert (before.depth_raw == after.depth_raw).all()
    assert not again.missed


def test_close_while_rendering_leaves_no_thread() -> None:
    opened = camera("stereo", CameraConfig(width=640, height=480, seed=3))
    opened.open()
    assert any("synthetic:stereo" in thread.name for thread in threading.enumerate())
    opened.close()
    opened.close()
    assert not any("synthetic:stereo" in thread.name for thread in threading.enumerate())


def test_a_short_timeout_is_kept_while_the_first_pose_renders() -> None:
    with (
        camera("stereo", CameraConfig(width=1920, height=1080)) as opened,
        pytest.raises(CameraTimeoutError),
    ):
        opened.read(0.001)


def test_it_never_runs_ahead_of_its_pace() -> None:
    config = CameraConfig(width=64, height=48, fps=50.0)
    with camera("tof", config) as opened:
        stamps = [first_frame(opened).timestamp_ns for _ in range(21)]
    assert stamps[-1] - stamps[0] > 0.9 * 20 / 50 * 1e9


def test_a_late_renderer_costs_no_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, real = threading.Event(), render

    def late(phase: float, *rest: object) -> View | None:
        if phase > 0:
            go_on.wait(10)
        return real(phase, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("drivers.synthetic.render.render", late)
    with camera("tof", CameraConfig(width=64, height=48, fps=1e4)) as opened:
        shown = [first_frame(opened) for _ in range(5)]
        opened._frame = 40_000
        held = first_frame(opened)
        go_on.set()
    assert (held.color == shown[0].color).all()
    assert (held.depth_raw != shown[0].depth_raw).any()


def test_a_failing_renderer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no rays today")

    monkeypatch.setattr("drivers.synthetic.render.render", broken)
    with camera("stereo") as opened, pytest.raises(CameraError, match="no rays today"):
        first_frame(opened)


# ---- the sweep and its cache ---------------------------------------------------------------


def test_the_sweep_begins_at_rest_widens_and_reaches_its_ends() -> None:
    path = [pose_index(k / 30, 60) for k in range(3600)]
    steps = np.abs(np.diff(path))
    assert path[:15] == [0] * 15
    assert steps.max() == 1
    assert max(path[:600]) <= 27
    assert set(path) == set(range(60))


def test_all_poses_of_any_size_fit_into_memory() -> None:
    for width, height in ((64, 48), (640, 480), (1280, 720), (1920, 1080)):
        size = Intrinsics(width, height, 500.0, 500.0, 10.0, 10.0)
        assert pose_count(size) >= 2
        assert pose_count(size) * width * height * 8 <= 170_000_000


def test_only_poses_are_held() -> None:
    sweep = Sweep(SENSORS["tof"], Intrinsics(64, 48, 52.0, 52.0, 31.5, 23.5), 0)
    sweep.count = 3
    sweep.fill(threading.Event())
    pose = sweep.wait(2, 0.0)
    assert pose is not None
    arrays = (pose.color, pose.mean, pose.reference, pose.sigma)
    assert sum(array.nbytes for array in arrays) == 64 * 48 * 8
    assert all(array.base is None or array.base.nbytes == array.nbytes for array in arrays)


def filled(sweep: Sweep) -> list[bytes]:
    sweep.count = 2
    sweep.fill(threading.Event())
    poses = [sweep.wait(index, 0.0) for index in range(2)]
    return [p.color.tobytes() + p.mean.tobytes() + p.sigma.tobytes() for p in poses if p]


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test does to a cache stays its own: the others share theirs."""
    monkeypatch.setenv("LINGBOT_LIVE_CACHE", str(tmp_path / "own-cache"))


@pytest.mark.usefixtures("own_cache")
def test_the_cache_gives_back_what_was_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    size, folder = Intrinsics(64, 48, 52.0, 52.0, 31.5, 23.5), cache_root() / "stereo"
    rendered = filled(Sweep(SENSORS["stereo"], size, 0, folder))
    monkeypatch.setattr("drivers.synthetic.render.render", None)
    assert filled(Sweep(SENSORS["stereo"], size, 0, folder)) == rendered


@pytest.mark.usefixtures("own_cache")
def test_the_sizes_on_offer_are_kept_and_no_others() -> None:
    for width, height in ((320, 240), (328, 240)):
        frames("stereo", 1, CameraConfig(width=width, height=height, realtime=False))
    assert [folder.name for folder in cache_root().iterdir()] == ["stereo-320x240"]


@pytest.mark.usefixtures("own_cache")
def test_a_damaged_cache_is_rendered_anew() -> None:
    size, folder = Intrinsics(64, 48, 52.0, 52.0, 31.5, 23.5), cache_root() / "stereo"
    rendered = filled(Sweep(SENSORS["stereo"], size, 0, folder))
    whole = (folder / "000.npz.lz4").read_bytes()
    for damage in (b"", whole[:500], b"\0" * 100, whole[:300] + b"\0" * 50 + whole[350:]):
        (folder / "000.npz.lz4").write_bytes(damage)
        assert filled(Sweep(SENSORS["stereo"], size, 0, folder)) == rendered


@pytest.mark.usefixtures("own_cache")
def test_the_cache_of_another_version_is_removed() -> None:
    old = cache_root().with_name("0123456789ab")
    old.mkdir(parents=True)
    (old / "000.npz.lz4").write_bytes(b"x")
    assert cache_root().parent == old.parent
    assert not old.exists()


# ---- the scene -----------------------------------------------------------------------------


def test_the_room_holds_every_hard_thing(view: View) -> None:
    for kind in (Material.GLASS, Material.MIRROR, Material.CHROME, Material.BLACK, Material.PAINT):
        assert (view.material == kind).sum() > 40, kind.name
    assert view.color.mean() > 60
    assert (view.color.max(-1) < 12).mean() < 0.01


def test_reference_is_the_first_surface(view: View) -> None:
    glass, mirror = (view.material == kind for kind in (Material.GLASS, Material.MIRROR))
    assert (view.through_m[glass] > view.depth_m[glass]).all()
    assert (view.through_m[mirror] > view.depth_m[mirror] + 0.1).mean() > 0.9
    rest = ~(glass | mirror)
    assert (view.through_m[rest] == view.depth_m[rest]).all()


# ---- failure modes -------------------------------------------------------------------------


def growth(sensor: str, view: View, seen: Observation) -> float:
    """Exponent of depth noise over distance, from drawn frames."""
    rng = np.random.default_rng(2)
    table = SENSORS[sensor].raw_table()
    draws = [seen.mean_m + seen.sigma_m * rng.standard_normal(SIZE_SHAPE) for _ in range(16)]
    raw = [table[np.clip(d / FINE_M, 0, 65535).astype(np.uint16)] for d in draws]
    spread = np.std(raw, axis=0) * SENSORS[sensor].depth_scale_m
    good = (seen.mean_m > 0) & (np.abs(seen.mean_m - view.depth_m) < 0.3) & (view.facing > 0.4)
    z = view.depth_m
    bins = [(1.4, 1.9), (2.0, 2.6), (2.8, 3.3), (3.8, 4.4)]
    picks = [good & (z > low) & (z < high) for low, high in bins]
    assert min(pick.sum() for pick in picks) > 50
    centres = [np.log(z[pick].mean()) for pick in picks]
    return float(np.polyfit(centres, [np.log(np.median(spread[p])) for p in picks], 1)[0])


SIZE_SHAPE = (SIZE.height, SIZE.width)


def test_noise_of_stereo_grows_with_z_squared(view: View, seen: dict[str, Observation]) -> None:
    assert 1.7 < growth("stereo", view, seen["stereo"]) < 2.3
    assert growth("tof", view, seen["tof"]) < 1.6


def test_stereo_is_as_good_as_its_formula() -> None:
    flat = Stereo()
    levels = np.unique(flat.raw_table()) * flat.depth_scale_m
    near = levels[(levels > 2.0) & (levels < 2.1)]
    assert np.median(np.diff(near)) == pytest.approx(2.05**2 / (520 * 0.05 * 32), rel=0.3)


def test_stereo_is_as_near_on_a_slant_as_straight_ahead(
    view: View, seen: dict[str, Observation]
) -> None:
    """Only the far side of an edge is shown nearer, as a matching window does."""
    mean_m, true_m = seen["stereo"].mean_m, view.through_m
    close = (mean_m > 0) & (np.abs(mean_m - true_m) < 0.05 * true_m)
    for slant in ((0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        here = close & (view.facing > slant[0]) & (view.facing <= slant[1])
        assert here.sum() > 500
        assert abs(np.median(mean_m[here] / true_m[here] - 1)) < 0.002, slant


def test_structured_light_has_the_steps_of_the_first_kinect() -> None:
    sensor = StructuredLight()
    levels = np.unique(sensor.raw_table()) * sensor.depth_scale_m
    step = np.diff(levels[(levels > 4.8) & (levels < 5.2)])
    assert np.median(step) == pytest.approx(0.0712, rel=0.05)


@pytest.mark.parametrize("name", ["stereo", "structured"])
def test_a_shadow_lies_left_of_near_things(
    name: str, view: View, seen: dict[str, Observation]
) -> None:
    hidden = view.hidden_from(SENSORS[name].baseline_m or 0)
    assert hidden.sum() > 200
    assert (seen[name].mean_m[hidden] == 0).all()
    jump = np.diff(view.through_m, axis=1)
    rows, left = np.nonzero(hidden[:, :-12])
    beyond = [jump[r, c : c + 12].min() < -0.05 for r, c in zip(rows, left, strict=True)]
    assert np.mean(beyond) > 0.6


def test_stereo_loses_what_has_no_texture(view: View, seen: dict[str, Observation]) -> None:
    def lost(kind: Material) -> float:
        return float((seen["stereo"].mean_m[view.material == kind] == 0).mean())

    assert lost(Material.CHROME) > 0.6
    assert lost(Material.GLASS) > 0.3
    assert lost(Material.BLACK) > 2 * lost(Material.RUG)
    assert lost(Material.RUG) < 0.15


def test_stereo_sees_the_room_in_the_mirror(view: View, seen: dict[str, Observation]) -> None:
    mirror = (view.material == Material.MIRROR) & (seen["stereo"].mean_m > 0)
    inner = cv2.erode(mirror.astype(np.uint8), np.ones((5, 5))) > 0
    behind = seen["stereo"].mean_m[inner] - view.depth_m[inner]
    assert inner.sum() > 20
    assert np.median(behind) > 0.3


def test_flying_pixels_of_time_of_flight(view: View, seen: dict[str, Observation]) -> None:
    near = cv2.erode(view.depth_m, np.ones((5, 5)))
    far = cv2.dilate(view.depth_m, np.ones((5, 5)))

    def between(name: str) -> int:
        mean = seen[name].mean_m
        gap = (far - near > 0.5) & (far < 4.6) & (mean > 0)
        return int((gap & (mean > near + 0.2) & (mean < far - 0.2)).sum())

    assert between("tof") > 150
    assert between("tof") > 4 * between("structured")


def test_range_wraps(view: View, seen: dict[str, Observation]) -> None:
    ray = np.hypot(np.hypot(*np.moveaxis(_rays(view), -1, 0)), 1)
    wrap = TimeOfFlight().wrap_m
    assert 5.3 < wrap < 5.4
    radial = seen["tof"].mean_m * ray
    beyond = (view.through_m * ray > wrap + 0.15) & (radial > 0) & ~edges(view)
    beyond &= np.isin(view.material, (Material.PLASTER, Material.WALLPAPER))
    assert beyond.sum() > 30
    folded = radial[beyond] + wrap - view.depth_m[beyond] * ray[beyond]
    assert np.median(np.abs(folded)) < 0.25


def _rays(view: View) -> np.ndarray:
    from lingbot_live.geometry import rays

    return rays(view.intrinsics)


def test_multipath_pushes_concave_corners_back(view: View) -> None:
    sensor = TimeOfFlight()
    shift = np.angle(sensor.multipath(view)) / (4 * np.pi) * sensor.wrap_m * 2
    walls = np.isin(view.material, (Material.PLASTER, Material.WALLPAPER, Material.PLANKS))
    assert np.median(shift[walls]) > 0.002
    assert np.percentile(shift[walls], 99) < 0.5
    open_table = (view.material == Material.WOOD) & (view.depth_m < 1.8) & (view.facing > 0.3)
    assert np.median(shift[open_table]) < np.median(shift[walls])


def test_dark_things_are_lost_to_light_that_must_come_back(
    view: View, seen: dict[str, Observation]
) -> None:
    black = view.material == Material.BLACK
    for name in ("tof", "structured"):
        lost = seen[name].mean_m == 0
        assert lost[black].mean() > 0.6
        assert lost[view.material == Material.RUG].mean() < lost[black].mean()


def test_glass_is_half_seen_through(view: View, seen: dict[str, Observation]) -> None:
    glass = (view.material == Material.GLASS) & (seen["tof"].mean_m > 0)
    mean, front, back = seen["tof"].mean_m[glass], view.depth_m[glass], view.through_m[glass]
    assert ((mean > front + 0.02) & (mean < back - 0.02)).mean() > 0.3
    pane = view.material == Material.GLASS
    assert (seen["structured"].mean_m[pane] == 0).mean() > 0.7


def test_structured_light_fails_in_the_sun_and_far_away(
    view: View, seen: dict[str, Observation]
) -> None:
    mean = seen["structured"].mean_m
    assert view.sunlit.sum() > 100
    assert (mean[view.sunlit] == 0).mean() > 0.85
    assert mean.max() <= StructuredLight().far_m
    assert (mean[view.depth_m > 4.8] == 0).mean() > 0.9


def test_a_stored_deviation_is_close_to_the_sensors() -> None:
    wanted = np.array([0.0008, 0.003, 0.02, 0.1])
    codes = np.rint(np.sqrt(wanted / 0.25) * 255).astype(int)
    assert SIGMA_FINE[codes] * FINE_M == pytest.approx(wanted, rel=0.07)
