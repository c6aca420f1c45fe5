"""Which Pythons and systems the app installs on, from wheels alone, and what is said otherwise."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from drivers.common.sdk import import_sdk
from lingbot_live.doctor import checks
from lingbot_live.doctor.doctor import Status
from lingbot_live.errors import DriverUnavailableError
from lingbot_live.system import releases

ROOT = Path(__file__).parents[2]
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
SDKS = {"pyrealsense2", "pyorbbecsdk2", "pyk4a-bundle"}
# The oldest C library of each: Debian 12's, and for ARM that of Debian 13 and Ubuntu 24.04.
SYSTEMS = {
    "x86_64-manylinux_2_36": SDKS,
    "aarch64-manylinux_2_39": {"pyrealsense2", "pyorbbecsdk2"},
    "windows": SDKS,
    "aarch64-apple-darwin": set(),
}
TARGETS = [
    (system, python)
    for system in SYSTEMS
    for python in (PYTHONS if "x86_64" in system else ["3.10", "3.13", "3.14"])
]
LEFT_OUT = {
    **{("x86_64-manylinux_2_36", python): {"pyk4a-bundle"} for python in ("3.13", "3.14")},
    **{("aarch64-manylinux_2_39", python): {"pyrealsense2"} for python in ("3.13", "3.14")},
}


def resolve(target: tuple[str, str], cache: Path) -> subprocess.CompletedProcess[str]:
    """Ask what would be installed on a system for a Python, with every extra, wheels only."""
    system, python = target
    return subprocess.run(
        [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--only-binary", ":all:",
         "--no-header", "--no-annotate", "--no-config", "--no-python-downloads",
         "--cache-dir", cache, "--python-version", python, "--python-platform", system,
         "--all-extras", ROOT / "pyproject.toml"],
        capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def installs(tmp_path_factory):
    """Return what would be installed, name to version, for each system and Python.

    All are asked at once, since nearly all of the time is the network's.
    """
    cache = tmp_path_factory.mktemp("uv")
    first = resolve(TARGETS[0], cache)
    if first.returncode and re.search("error sending request|dns error", first.stderr):
        pytest.skip("needs a package index")
    with ThreadPoolExecutor(8) as pool:
        answers = dict(
            zip(TARGETS, pool.map(lambda one: resolve(one, cache), TARGETS), strict=True)
        )

    def of(system: str, python: str) -> dict[str, str]:
        answer = answers[system, python]
        assert answer.returncode == 0, answer.stderr
        return dict(line.split("==") for line in answer.stdout.splitlines() if "==" in line)

    return of


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("system", "python"), TARGETS)
def test_every_python_installs_from_wheels_alone(installs, system, python):
    found = installs(system, python)
    left_out = LEFT_OUT.get((system, python), set())
    if python == "3.14":
        left_out = left_out | {"pyorbbecsdk2"}
    assert SDKS & set(found) == SYSTEMS[system] - left_out
    assert found.keys() & {"open3d", "open3d-cpu"}
    # One OpenCV only: others put their files over it.
    assert [name for name in found if name.startswith("opencv")] == [
        "opencv-contrib-python-headless"
    ]
    old_numpy = int(found["numpy"].split(".")[0]) < 2
    assert old_numpy == (system == "x86_64-manylinux_2_36" and "pyk4a-bundle" in found)


def test_tried_pythons_are_those_of_the_package():
    assert [f"3.{minor}" for minor in releases.tried_pythons()] == PYTHONS


def pretend(monkeypatch, python: str, system: str = "Linux", machine: str = "x86_64") -> None:
    monkeypatch.setattr(platform, "python_version_tuple", lambda: (*python.split("."), "0"))
    here = {
        "platform_machine": machine,
        "sys_platform": {"Linux": "linux", "Darwin": "darwin", "Windows": "win32"}[system],
    }
    monkeypatch.setattr(releases, "default_environment", lambda: here)
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)


@pytest.mark.parametrize(
    ("python", "system", "machine", "extra", "why", "fix"),
    [
        ("3.14", "Linux", "x86_64", "orbbec", "Python 3.14", "use Python 3.13"),
        ("3.13", "Linux", "x86_64", "kinect", "Python 3.13", "use Python 3.12"),
        ("3.12", "Linux", "aarch64", "kinect", "Linux on aarch64", "x86-64"),
        ("3.13", "Linux", "aarch64", "realsense", "Python 3.13", "use Python 3.12"),
        ("3.13", "Darwin", "arm64", "realsense", "Darwin on arm64", "Linux or Windows"),
    ],
)
def test_an_sdk_without_a_release_is_named(monkeypatch, python, system, machine, extra, why, fix):
    pretend(monkeypatch, python, system, machine)
    (found,) = checks.check_sdk("sdk_of_nobody", "sdk-of-nobody", extra)
    assert found.status is Status.WARN
    assert found.found.startswith("sdk_of_nobody is not installed: ")
    assert why in found.found
    assert fix in found.fix
    with pytest.raises(DriverUnavailableError, match=f"{why}; .*{fix}"):
        import_sdk("sdk_of_nobody", extra)


@pytest.mark.parametrize("machine", ["x86_64", "AMD64"])
@pytest.mark.parametrize("extra", ["realsense", "orbbec", "kinect"])
def test_an_sdk_with_a_release_is_installed_by_pip(monkeypatch, machine, extra):
    pretend(monkeypatch, "3.12", "Windows" if machine == "AMD64" else "Linux", machine)
    assert releases.why_not_released(extra) is None
    (found,) = checks.check_sdk("sdk_of_nobody", "sdk-of-nobody", extra)
    assert found.fix == f'pip install "lingbot-live[{extra}]"'


def test_a_python_newer_than_any_tried_is_said(monkeypatch):
    assert checks.check_python()[0].status is Status.OK
    monkeypatch.setattr(releases, "tried_pythons", lambda: [8, 9])
    (found,) = checks.check_python()
    assert found.status is Status.WARN
    assert "newer than any that was tried" in found.found
    assert "use Python 3.9" in found.fix


def test_make_warns_of_a_newer_python_and_refuses_an_older(tmp_path):
    for folder in ("scripts", "."):
        (tmp_path / folder).mkdir(exist_ok=True)
    script = tmp_path / "scripts" / "check-python.py"
    script.write_text((ROOT / "scripts" / "check-python.py").read_text())

    def said(*minors: int) -> subprocess.CompletedProcess[str]:
        lines = [f'    "Programming Language :: Python :: 3.{minor}",\n' for minor in minors]
        (tmp_path / "pyproject.toml").write_text("".join(lines))
        return subprocess.run(
            [sys.executable, script], capture_output=True, text=True, timeout=60, check=False
        )

    minor = sys.version_info.minor
    assert (said(minor - 1, minor).returncode, said(minor).stderr) == (0, "")
    newer = said(minor - 2, minor - 1)
    assert newer.returncode == 0
    assert "newer than any that was tried" in newer.stderr
    assert f"make PYTHON=python3.{minor - 1}" in newer.stderr
    older = said(minor + 1)
    assert older.returncode == 1
    assert "is too old" in older.stderr
