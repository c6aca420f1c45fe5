"""A driver in a package of its own is found by its entry point and keeps the contract."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lingbot_live.cameras import registry, testing
from lingbot_live.errors import BadRecordingError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGE = Path(__file__).parents[1] / "third_party"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder where the package is installed, as an installer does it, without a network."""
    site = tmp_path_factory.mktemp("site")
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text("utf-8"))["project"]
    shutil.copytree(PACKAGE / "stripes_camera", site / "stripes_camera")
    info = site / f"lingbot_live_stripes-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    (info / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
            for group, points in project["entry-points"].items()
        )
    )
    return site


@pytest.fixture(autouse=True)
def installed(site, monkeypatch):
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    registry.refresh()
    yield
    registry.refresh()


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("stripes") / "ten.stripes"
    color = np.full((10, 48, 64, 3), 90, np.uint8)
    depth = np.arange(900, 910, dtype=np.uint16)[:, None, None] + np.zeros((48, 64), np.uint16)
    with path.open("wb") as file:
        np.savez(file, color=color, depth=depth)
    return path


@pytest.mark.parametrize("check", testing.CAMERA_CHECKS, ids=lambda check: check.__name__)
def test_its_cameras_keep_the_contract(check, recording):
    for address in ("stripes:live", str(recording)):
        check(lambda config, address=address: registry.create_camera(address, config))


@pytest.mark.parametrize("check", testing.DRIVER_CHECKS, ids=lambda check: check.__name__)
def test_it_keeps_the_contract(check):
    check("stripes")


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "bad.stripes"
    path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(BadRecordingError, match=r"bad\.stripes: no stripes in it"):
        registry.create_camera(str(path)).open()


def test_the_command_line_lists_it():
    command = [sys.executable, "-m", "lingbot_live", "devices", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "stripes:live" in [c["address"] for c in json.loads(done.stdout)["cameras"]]
