"""Sensor controls: what is refused, what is told, and that they survive a reopen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from adjustable import Adjustable
from command import command

from lingbot_live.cameras.base import first_frame
from lingbot_live.config import CameraConfig
from lingbot_live.errors import CameraError, ConfigError, SessionStateError


@pytest.mark.parametrize(
    ("name", "value", "want"),
    [
        ("depth.exposure", "200", 201),  # steps count from the minimum
        ("depth.exposure", 33000, 33000),
        ("depth.exposure", "1", 1),
        ("depth.gain", "2.25", 2.25),
        ("depth.auto_exposure", "off", False),
        ("depth.auto_exposure", True, True),
        ("depth.auto_exposure", "1", True),
        ("depth.preset", "high density", "High Density"),
    ],
)
def test_values_and_texts_are_set_in_the_control_s_type(name, value, want):
    with Adjustable() as camera:
        camera.set_control(name, value)
        (now,) = (c.value for c in camera.controls() if c.name == name)
        assert now == want
        assert type(now) is type(want)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("depth.exposure", "40000", "it takes 1 to 33000 us in steps of 100"),
        ("depth.exposure", 0, "1 to 33000 us"),
        ("depth.exposure", "nan", "1 to 33000 us"),
        ("depth.exposure", "bright", "'bright'; it takes 1 to"),
        ("depth.gain", -0.1, "0 to 4"),
        ("depth.auto_exposure", "maybe", "on or off"),
        ("depth.preset", "Fast", "one of Default, High Density"),
        ("depth.units", 0.002, "is 0.001 and cannot be changed"),
        ("depth.exposur", 1, r"Did you mean 'depth.exposure'\? It has: depth.exposure, depth.gain"),
    ],
)
def test_what_it_does_not_take_is_refused_with_what_it_takes(name, value, words):
    with Adjustable() as camera:
        with pytest.raises(ConfigError, match=words) as caught:
            camera.set_control(name, value)
        assert str(caught.value).startswith("scripted:scripted: ")
        assert camera.log == ["open"]
        first_frame(camera)


def test_only_while_open_and_what_changes_with_it_is_told():
    camera = Adjustable()
    assert camera.controls() == ()
    with pytest.raises(SessionStateError, match=r"open it before setting depth\.gain"):
        camera.set_control("depth.gain", 1)
    with camera:
        camera.set_control("depth.exposure", 101)
        values = {c.name: c.value for c in camera.controls()}
        assert (values["depth.exposure"], values["depth.auto_exposure"]) == (101, False)
    assert camera.controls() == ()


def test_a_recording_shows_them_but_changes_none():
    camera = Adjustable()
    camera.info = replace(camera.info, is_recording=True)
    with camera:
        assert all(c.read_only for c in camera.controls())
        with pytest.raises(ConfigError, match="is 8000 and cannot be changed here"):
            camera.set_control("depth.exposure", 101)


def test_asked_for_ones_are_set_at_open_and_live_ones_again_after_a_reopen():
    wanted = (
        ("depth.gain", "2"),
        ("scripted:depth.exposure", "301"),
        ("scripted:scripted:depth.preset", "default"),
        ("realsense:color.gain", "9"),  # another make's
    )
    camera = Adjustable(CameraConfig(controls=wanted))
    first = ["depth.gain=2.0", "depth.exposure=301", "depth.auto_exposure=False",
             "depth.preset='Default'"]  # fmt: skip
    with camera:
        assert camera.log == ["open", *first]
        camera.set_control("depth.gain", 3.5)
    camera.log.clear()
    with camera:
        assert camera.log == ["open", *first[1:], "depth.gain=3.5"], "set last, set last again"


def test_an_open_with_a_bad_one_fails_and_releases():
    camera = Adjustable(CameraConfig(controls=(("depth.gian", "2"),)))
    with pytest.raises(ConfigError, match=r"Did you mean 'depth\.gain'"):
        camera.open()
    assert camera.log == ["open", "close"]


def test_what_the_device_refuses_is_not_remembered():
    camera = Adjustable()
    with camera, pytest.raises(CameraError, match="the sensor says no"):
        camera.set_control("depth.gain", 0.25)
    camera.log.clear()
    with camera:
        assert camera.log == ["open"]


def cli(*arguments):
    done = command(
        "run", "synthetic:stereo", "--size", "64x48", "--headless", "--frames", 2,
        "--refiner", "none", *arguments,
    )  # fmt: skip
    return done.returncode, done.stdout, " ".join(done.stderr.split())


def test_set_on_the_command_line():
    status, _, error = cli("--set", "depth.noise=0", "--set", "realsense:color.gain=3")
    assert status == 0, error
    status, _, error = cli("--set", "depth.noise")
    assert (status, error) == (
        2, "lingbot-live: --set depth.noise: write NAME=VALUE, such as color.exposure=200",
    )  # fmt: skip


def test_the_simulated_camera_has_a_control():
    from lingbot_live.cameras import registry

    config = CameraConfig(width=64, height=48, controls=(("depth.noise", "0"),))
    with registry.create_camera("synthetic:stereo", config) as camera:
        still = [first_frame(camera) for _ in range(2)]
        (control,) = camera.controls()
        assert (control.name, control.value, control.default) == ("depth.noise", 0.0, 1.0)
        camera.set_control("depth.noise", 5)
        loud = [first_frame(camera) for _ in range(2)]

    def differ(pair):
        both = (pair[0].depth_raw > 0) & (pair[1].depth_raw > 0)
        return (pair[0].depth_raw != pair[1].depth_raw)[both].mean()

    assert differ(still) < 0.05 < 0.5 < differ(loud)
