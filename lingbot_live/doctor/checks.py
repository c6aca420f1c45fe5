"""The checks of the doctor, in the order in which they are shown."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lingbot_live.cameras import registry
from lingbot_live.doctor import system
from lingbot_live.doctor.doctor import (
    Check,
    Finding,
    ask_child,
    fail,
    ok,
    slow,
    warn,
)
from lingbot_live.system import releases, usb
from lingbot_live.system.children import ChildError, ChildSlowError
from lingbot_live.system.compiler import missing_compiler
from lingbot_live.system.graphics import OpenGl, drawn_by_cpu

WRITE_BYTES = 64 << 20
NEEDED_MB_S = 50.0  # three cameras of 640x480 at 30 fps with lossless depth and JPEG colour
LOW_GB, NO_GB = 10.0, 1.0

# Module, distribution, extra of lingbot-live.
SDKS = (
    ("pyrealsense2", "pyrealsense2", "realsense"),
    ("pyorbbecsdk", "pyorbbecsdk2", "orbbec"),
    ("pyk4a", "pyk4a-bundle", "kinect"),
)


def all_checks(folder: Path) -> list[Check]:
    """Return every check; ``folder`` is where recordings will go. The slow ones start first."""
    return [
        check_python,
        check_packages,
        check_torch,
        check_opengl,
        check_display,
        *(functools.partial(check_sdk, *sdk) for sdk in SDKS),
        check_cameras,
        system.check_libraries,
        system.check_udev_rules,
        system.check_usb,
        system.check_groups,
        functools.partial(check_disk, folder),
        check_weights,
    ]


def check_python() -> list[Finding]:
    """Version and word size of the interpreter."""
    bits = 64 if sys.maxsize > 2**32 else 32
    found = f"{platform.python_version()}, {bits} bit, {platform.platform(terse=True)}"
    if sys.version_info < (3, 10) or bits == 32:
        return [fail("Python", found, "use a 64 bit Python of 3.10 or newer")]
    newest = max(releases.tried_pythons(), default=sys.version_info.minor)
    if sys.version_info >= (3, newest + 1):
        return [warn("Python", f"{found}: newer than any that was tried",
                     f"use Python 3.{newest} where something fails")]  # fmt: skip
    return [ok("Python", found)]


def check_packages() -> list[Finding]:
    """What pip says of the packages that everything needs, without importing them."""
    wanted = ("lingbot-live", "numpy", "opencv-contrib-python-headless", "PySide6-Essentials")
    found = [f"{name} {_version(name) or 'missing'}" for name in wanted]
    if not all(map(_version, wanted)):
        return [fail("packages", ", ".join(found), "pip install lingbot-live")]
    rivals = [name for name in ("opencv-python", "opencv-contrib-python") if _version(name)]
    if rivals:
        return [warn("packages", f"{', '.join(found)}; {' and '.join(rivals)} disturbs the window",
                     f"pip uninstall {' '.join(rivals)}, then "
                     "pip install --force-reinstall opencv-contrib-python-headless")]  # fmt: skip
    return [ok("packages", ", ".join(found))]


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


# ---- computing -------------------------------------------------------------------------------

_CUDA_BUILD = "install the CUDA build of torch as pytorch.org (Get Started) says"


def check_torch() -> list[Finding]:
    """The build of torch, and whether it computes on a GPU."""
    driver = _nvidia_driver()
    try:
        told = ask_child("torch")
    except ChildSlowError as error:
        return [slow("torch", error), _gpu(driver, {})]
    except ChildError as error:
        fix = "pip install torch" if "No module" in str(error) else "reinstall torch"
        return [fail("torch", f"cannot be imported: {error}", fix), _gpu(driver, {})]
    build = f"CUDA {told['cuda']}" if told["cuda"] else "CPU build"
    return [
        ok("torch", f"{told['version']}, {build}, {told['threads']} threads; {_compiling(told)}"),
        _gpu(driver, told),
    ]


def _compiling(told: dict[str, Any]) -> str:
    return missing_compiler(bool(told.get("works"))) or "run --compile has what it needs"


def _gpu(driver: str, told: dict[str, Any]) -> Finding:
    slow = "LingBot-Depth is slow on the CPU"
    if told.get("works"):
        return ok("GPU", f"{', '.join(told['devices'])}; driver {driver or 'unknown'}")
    if told.get("mps"):
        return ok("GPU", "Apple GPU (mps)")
    if not driver:
        return warn("GPU", f"no NVIDIA driver; {slow}", "use --refiner guided, or an NVIDIA GPU")
    if not told.get("cuda"):
        return warn("GPU", f"driver {driver}, but torch is a CPU build; {slow}", _CUDA_BUILD)
    return warn("GPU", f"driver {driver}, but torch {told.get('cuda')} cannot use it; {slow}",
                "update the NVIDIA driver, or " + _CUDA_BUILD)  # fmt: skip


def _nvidia_driver() -> str:
    """Return name and driver version of the GPUs, empty without a driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    query = [tool, "--query-gpu=driver_version,name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=8, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"not answering ({type(error).__name__})"
    return "; ".join(done.stdout.splitlines()) if done.returncode == 0 else ""


# ---- picture -----------------------------------------------------------------------------------


def check_opengl() -> list[Finding]:
    """Open3D, and the OpenGL that it draws the point cloud with."""
    drivers = "apt-get install libgl1-mesa-dri libegl1, or the GPU's driver"
    try:
        open3d, made, text, renderer = ask_child("opengl")
    except ChildError as error:
        missing = "No module" in str(error)
        return [fail("OpenGL", f"Open3D {'is not installed' if missing else f'failed: {error}'}",
                     "pip install open3d" if missing else drivers)]  # fmt: skip
    found = f"{text}, {renderer}; Open3D {open3d}"
    if not made:
        return [fail("OpenGL", f"Open3D {open3d} cannot draw", drivers)]
    if drawn_by_cpu(renderer):
        return [warn("OpenGL", f"{found}: drawn by the CPU", "install the GPU's driver")]
    return [ok("OpenGL", found)]


def check_display() -> list[Finding]:
    """Whether Qt can open a window, and on what."""
    wanted = {"Wayland": os.environ.get("WAYLAND_DISPLAY"), "X11": os.environ.get("DISPLAY")}
    there = [f"{kind} {name}" for kind, name in wanted.items() if name]
    if system.ON_LINUX and not there and "QT_QPA_PLATFORM" not in os.environ:
        return [warn("display", "none (neither X11 nor Wayland)",
                     "use --headless, start it on a desktop, or with ssh -X")]  # fmt: skip
    try:
        name, width, height, ratio = ask_child("display")
    except ChildError as error:
        fix = "pip install PySide6-Essentials" if "No module" in str(error) else (
            "apt-get install libxcb-cursor0 libegl1 libxkbcommon-x11-0; is the display running?"
        )  # fmt: skip
        return [fail("display", f"{' '.join(there)}: Qt cannot open a window ({error})", fix)]
    session = " on ".join([f"Qt {name}", *there[:1]])
    return [ok("display", f"{session}, {width}x{height}, scale {ratio:g}"), _renderer()]


def _renderer() -> Finding:
    """Which renderer ``run`` takes for the window's pictures unless told."""
    try:
        told = ask_child("renderer")
    except ChildSlowError as error:
        return slow("renderer", error)
    except ChildError as error:
        return warn("renderer", f"asking for OpenGL failed: {error}", "use run --renderer software")
    if not told:
        return ok("renderer", "software; the window finds no OpenGL")
    name, *version = told
    found, words = OpenGl(name, tuple(version)), f"{name}, OpenGL {'.'.join(map(str, version))}"
    if found.is_gpu:
        return ok("renderer", f"gpu: {words}")
    how = "draws without a GPU" if found.is_enough else "is too old"
    return ok("renderer", f"software; {words} {how}")


# ---- cameras -----------------------------------------------------------------------------------


def check_sdk(module: str, distribution: str, extra: str) -> list[Finding]:
    """Whether an SDK can be imported."""
    name, install = f"SDK {extra}", f'pip install "lingbot-live[{extra}]"'
    try:
        ask_child("sdk", module, K4A_ENABLE_LOG_TO_STDOUT="0")
    except ChildError as error:
        if f"No module named '{module}'" in str(error):
            why, fix = releases.why_not_released(extra) or ("", install)
            return [warn(name, ": ".join(filter(None, (f"{module} is not installed", why))), fix)]
        return [fail(name, f"{module} {_version(distribution)}: {error}", _sdk_fix(error, install))]
    return [ok(name, f"{module} {_version(distribution)}".strip())]


def _sdk_fix(error: ChildError, install: str) -> str:
    for library, package, *_ in system.LIBRARIES:
        if library in str(error):
            return f"apt-get install {package}"
    if "numpy" in str(error).lower():
        return f'{install} "numpy<2"'
    return install.replace("install", "install --force-reinstall", 1)


def check_cameras() -> list[Finding]:
    """What the drivers list now, and what of a driver is in the way."""
    try:
        found, why = ask_child("cameras")
    except ChildError as error:
        return [fail("cameras", f"listing them failed: {error}",
                     "unplug all cameras and try again, then plug in one by one")]  # fmt: skip
    listed = {address.partition(":")[0] for address in found}
    unlisted = [camera for camera in usb.cameras() if camera.scheme not in listed]
    if unlisted:
        names = ", ".join(camera.name for camera in unlisted)
        schemes = dict.fromkeys(camera.scheme for camera in unlisted)
        reasons = " ".join(f"{one}: {why.get(one) or _not_listed(one)}" for one in schemes)
        also = f"; listed: {'; '.join(found)}" if found else ""
        return [warn("cameras", f"attached, but not listed: {names}{also}", reasons)]
    if found:
        return [ok("cameras", "; ".join(found))]
    return [ok("cameras", f"none attached (drivers: {', '.join(registry.driver_names())})")]


def _not_listed(scheme: str) -> str:
    if scheme == "orbbec" and _version("pyorbbecsdk2").startswith("2.0."):
        return 'Gemini 305 and newer need: pip install --no-deps "pyorbbecsdk2==2.1.2"'
    return "see the lines on udev and USB, plug it in again"


# ---- disk --------------------------------------------------------------------------------------


def check_disk(folder: Path) -> list[Finding]:
    """Free space and write speed where recordings go."""
    if not os.access(folder, os.W_OK):
        return [fail("disk", f"{folder} cannot be written", "choose another folder: --folder")]
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < NO_GB:
        return [fail("disk", f"{folder}: {free_gb:.1f} GB free", "make room, or use --folder")]
    speed = _write_mb_s(folder)
    found = f"{folder}: {free_gb:.0f} GB free, writes {speed:.0f} MB/s"
    if free_gb < LOW_GB:
        return [warn("disk", found, "a camera fills about 1 GB a minute: make room")]
    if speed < NEEDED_MB_S:
        return [warn("disk", found, f"recording wants {NEEDED_MB_S:g} MB/s: use an SSD")]
    return [ok("disk", found)]


def _write_mb_s(folder: Path, limit_s: float = 3.0) -> float:
    block = os.urandom(4 << 20)
    begun, written = time.monotonic(), 0
    with tempfile.TemporaryFile(dir=folder) as file:
        while written < WRITE_BYTES and time.monotonic() - begun < limit_s:
            written += file.write(block)
            file.flush()
            os.fsync(file.fileno())
    return written / 1e6 / (time.monotonic() - begun)


def check_weights() -> list[Finding]:
    """Which weights of LingBot-Depth are here."""
    told = ask_child("weights")
    here = [f"{name} ({size / 1e6:.0f} MB)" for name, state, size in told if state == "present"]
    bad = [name for name, state, _ in told if state in ("damaged", "partial")]
    if bad:
        return [warn("weights", f"incomplete or changed: {', '.join(bad)}",
                     f"lingbot-live models download {bad[0]}")]  # fmt: skip
    if here:
        return [ok("weights", ", ".join(here))]
    return [warn("weights", "none are here; depth is refined by the classical guided refiner",
                 "lingbot-live models download v0.5")]  # fmt: skip
