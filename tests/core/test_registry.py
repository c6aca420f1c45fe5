"""Plug-ins by name, and the shape of the distribution."""

from __future__ import annotations

import importlib.metadata

import pytest
from command import in_new_python

from lingbot_live.cameras import registry
from lingbot_live.config import RefinerConfig
from lingbot_live.errors import CameraNotFoundError, ConfigError
from lingbot_live.refiners.base import Refiner


def test_the_generic_packages_belong_to_this_distribution():
    owners = importlib.metadata.packages_distributions()
    if "drivers" not in owners:  # an editable install lists no packages
        files = importlib.metadata.distribution("lingbot-live").read_text("RECORD")
        assert files
        assert "lingbot" in files
        return
    for package in ("lingbot_live", "drivers", "ui"):
        assert owners[package] == ["lingbot-live"]


def test_every_registered_refiner_makes_a_refiner():
    for name in ("none", "guided"):
        assert name in registry.refiner_names()
        refiner = registry.create_refiner(RefinerConfig(name))
        assert isinstance(refiner, Refiner)
        assert refiner.info.name == name
        refiner.close()


def test_an_unknown_scheme_names_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'realsense'"):
        registry.find_camera("realsens:123")


def test_a_path_that_is_not_there_says_how_to_write_an_address():
    with pytest.raises(CameraNotFoundError, match="SCHEME:NAME"):
        registry.find_camera("not-there.bag")


def test_a_file_nobody_plays_lists_the_schemes(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    with pytest.raises(CameraNotFoundError, match="no driver plays"):
        registry.find_camera(str(path))


def test_drivers_import_no_sdk():
    code = (
        "import sys\nfrom lingbot_live.cameras import registry\n"
        "for name in registry.driver_names(): registry.driver(name)\n"
        "loaded = [m for m in ('pyrealsense2', 'pyorbbecsdk', 'pyk4a') if m in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    in_new_python(code)
