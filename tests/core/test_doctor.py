"""The doctor: every fault is named with its fix, and none stops the others."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys

import pytest
from command import command

from lingbot_live.doctor import checks, doctor, system
from lingbot_live.doctor.doctor import Status
from lingbot_live.system import usb


def attach(devices, port, vendor, product, speed, serial=""):
    """Add a device to a copy of what Linux shows under /sys/bus/usb/devices."""
    for name in (port, f"{port}:1.0"):
        (devices / name).mkdir(parents=True)
    for key, text in (("idVendor", vendor), ("product", product), ("speed", speed)):
        (devices / port / key).write_text(text + "\n")


def test_a_broken_check_is_a_line_and_the_others_go_on():
    def check_moon():
        raise OSError("no moon\ntonight")

    def check_sun():
        return [doctor.ok("sun", "shines")]

    moon, sun = doctor.examine([check_moon, check_sun])
    assert (moon.name, moon.status) == ("moon", Status.FAIL)
    assert "OSError: no moon tonight" in moon.found
    assert sun.status is Status.OK
    assert doctor.worst([moon, sun]) is Status.FAIL
    assert doctor.worst([sun, doctor.warn("x", "y", "z")]) is Status.WARN
    assert doctor.worst([]) is Status.OK


@pytest.mark.parametrize(
    ("body", "status", "words", "fix"),
    [
        (None, Status.WARN, "not installed", 'pip install "lingbot-live[moon]"'),
        ("", Status.OK, "moonsdk", ""),
        ("import os; os.kill(os.getpid(), 11)", Status.FAIL, "signal 11", "--force-reinstall"),
        (
            "raise ImportError('libusb-1.0.so.0: cannot open shared object file')",
            Status.FAIL, "libusb", "apt-get install libusb-1.0-0",
        ),
        ("raise ImportError('numpy.core failed to import')", Status.FAIL, "numpy", '"numpy<2"'),
    ],
)  # fmt: skip
def test_sdk(tmp_path, monkeypatch, body, status, words, fix):
    if body is not None:
        (tmp_path / "moonsdk.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (found,) = checks.check_sdk("moonsdk", "moonsdk", "moon")
    assert found.status is status, found
    assert words in found.found
    assert fix in found.fix


def test_a_busy_machine_is_no_fault():
    def check_torch(module):
        return doctor.ask_child("torch", limit_s=0.001)

    (found,) = doctor.examine([functools.partial(check_torch, "cuda")])
    assert (found.name, found.status) == ("torch cuda", Status.WARN)
    assert found.found == "no answer within 0.001 s"


@pytest.mark.skipif(not system.ON_LINUX, reason="reads Linux's list of USB devices")
def test_usb_speed_and_whose_cameras(tmp_path):
    attach(tmp_path, "usb2", "1d6b", "xHCI Host Controller", "5000")
    (quiet,) = system.check_usb(tmp_path)
    assert quiet.status is Status.OK
    attach(tmp_path, "2-1", "8086", "Intel(R) RealSense(TM) Depth Camera 435i", "5000")
    attach(tmp_path, "1-2", "2bc5", "Orbbec Gemini 335", "480")
    attach(tmp_path, "1-3", "8086", "Bluetooth", "12")
    attach(tmp_path, "1-4", "045e", "Mouse", "12")
    attach(tmp_path, "2-5", "045e", "Azure Kinect 4K Camera", "")
    assert [c.scheme for c in usb.cameras(tmp_path)] == ["orbbec", "realsense", "kinect"]
    slow, fast, unknown = system.check_usb(tmp_path)
    assert (slow.status, fast.status, unknown.status) == (Status.WARN, Status.OK, Status.OK)
    assert "480 Mbit/s (USB 2)" in slow.found
    assert "port 1-2" in slow.found
    assert "USB 3 port" in slow.fix
    assert "1-2:1.0" not in usb.listing(tmp_path)
    (none,) = system.check_usb(tmp_path / "absent")
    assert none.status is Status.WARN


@pytest.mark.parametrize(
    ("found", "why", "version", "fix"),
    [
        ([], {"orbbec": "no access"}, "2.0.18", "orbbec: no access"),
        ([], {}, "2.0.18", 'pip install --no-deps "pyorbbecsdk2==2.1.2"'),
        (["realsense:1 (D435)"], {}, "2.1.2", "orbbec: see the lines on udev and USB"),
    ],
)
def test_a_camera_that_no_driver_lists(tmp_path, monkeypatch, found, why, version, fix):
    attach(tmp_path, "2-1", "8086", "Intel(R) RealSense(TM) Depth Camera 435i", "5000")
    attach(tmp_path, "1-2", "2bc5", "Orbbec Gemini 305", "5000")
    there = [one for one in usb.cameras(tmp_path) if found or one.scheme == "orbbec"]
    monkeypatch.setattr(usb, "cameras", lambda: there)
    monkeypatch.setattr(checks, "ask_child", lambda question: [found, why])
    monkeypatch.setattr(checks, "_version", lambda distribution: version)
    (line,) = checks.check_cameras()
    assert line.status is Status.WARN
    assert "not listed: Orbbec Gemini 305" in line.found
    assert all(address in line.found for address in found)
    assert fix in line.fix


@pytest.mark.skipif(not system.ON_LINUX, reason="udev is Linux's")
def test_udev_rules(tmp_path):
    rule = 'SUBSYSTEMS=="usb", ATTRS{idVendor}=="8086", ATTRS{idProduct}=="0b07", MODE:="0666"\n'
    (tmp_path / "99-camera.rules").write_text(rule)
    (tmp_path / "98-old.rules").write_text('# ATTRS{idVendor}=="2bc5", MODE="0666"\n')
    realsense, orbbec, kinect = system.check_udev_rules((tmp_path, tmp_path / "absent"))
    assert realsense.status is Status.OK
    assert orbbec.status is kinect.status is Status.WARN
    assert "99-obsensor-libusb.rules" in orbbec.fix


def test_disk(tmp_path, monkeypatch):
    (found,) = checks.check_disk(tmp_path)
    assert str(tmp_path) in found.found
    assert "MB/s" in found.found or found.status is Status.FAIL
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(checks, "NO_GB", 1e9)
    (full,) = checks.check_disk(tmp_path)
    assert full.status is Status.FAIL
    (gone,) = checks.check_disk(tmp_path / "absent")
    assert "cannot be written" in gone.found


def test_weights(tmp_path):
    (none,) = checks.check_weights()
    assert none.status is Status.WARN
    assert none.fix == "lingbot-live models download v0.5"
    from lingbot_live.model.weights import store

    path = store.model_folder("v0.5") / store.FILE_NAMES[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 2_000_000)
    (there,) = checks.check_weights()
    assert there.status is Status.OK
    assert "v0.5 (2 MB)" in there.found


def test_no_display_is_said_without_trying(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(system, "ON_LINUX", True)
    (found,) = checks.check_display()
    assert found.status is Status.WARN
    assert "--headless" in found.fix
    monkeypatch.setenv("DISPLAY", ":99999")
    (found,) = checks.check_display()
    assert found.status is Status.FAIL
    assert "X11 :99999" in found.found


@pytest.mark.parametrize(
    ("told", "begins"),
    [
        (["NVIDIA GeForce RTX 4070", 4, 6], "gpu: NVIDIA GeForce RTX 4070, OpenGL 4.6"),
        (["llvmpipe (LLVM 15.0.6, 256 bits)", 4, 5], "software; llvmpipe"),
        (["GDI Generic", 1, 1], "software; GDI Generic, OpenGL 1.1 is too old"),
        ([], "software; the window finds no OpenGL"),
    ],
)
def test_the_renderer_that_auto_takes_is_said(monkeypatch, told, begins):
    monkeypatch.setattr(checks, "ask_child", lambda probe: {"renderer": told}[probe])
    found = checks._renderer()
    assert found.status is Status.OK
    assert found.found.startswith(begins)


def test_gpu_lines_tell_what_is_in_the_way():
    gpu = checks._gpu
    assert gpu("", {}).fix.startswith("use --refiner guided")
    assert "CPU build" in gpu("550", {"cuda": None}).found
    assert "update the NVIDIA driver" in gpu("400", {"cuda": "12.8"}).fix
    assert gpu("550", {"works": True, "devices": ["A", "B"]}).found == "A, B; driver 550"


def test_the_command_reports_everything_and_its_status(tmp_path):
    (tmp_path / "pyk4a.py").write_text("import os; os.abort()")
    done = subprocess.run(
        [sys.executable, "-m", "lingbot_live", "doctor", "--json", "--folder", str(tmp_path)],
        capture_output=True, text=True, timeout=100, check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    lines = {line["name"]: line for line in json.loads(done.stdout)}
    assert done.returncode == 1, done.stderr
    assert lines["SDK kinect"]["status"] == "fail"
    assert "signal 6" in lines["SDK kinect"]["found"]
    assert {"Python", "packages", "torch", "GPU", "OpenGL", "display", "disk", "cameras",
            "weights", "SDK realsense", "SDK orbbec"} <= set(lines)  # fmt: skip
    assert all(line["fix"] for line in lines.values() if line["status"] != "ok")


def test_a_folder_that_is_not_there():
    done = command("doctor", "--folder", "/nowhere")
    assert done.returncode == 2
    assert "--folder /nowhere" in done.stderr
