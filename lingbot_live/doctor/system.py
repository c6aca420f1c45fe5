"""Checks of what the system itself must offer: libraries, access rights, USB links."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from lingbot_live.doctor.doctor import Finding, ask_child, fail, ok, warn
from lingbot_live.system import usb

ON_LINUX = sys.platform.startswith("linux")
LIBRARIES = (  # file, Debian package, what needs it, whether nothing works without
    ("libGL.so.1", "libgl1", "the window and the point cloud", True),
    ("libEGL.so.1", "libegl1", "the window and the point cloud", True),
    ("libgomp.so.1", "libgomp1", "Open3D and torch", True),
    ("libxkbcommon.so.0", "libxkbcommon0", "the window", True),
    ("libxcb-cursor.so.0", "libxcb-cursor0", "the window on X11", False),
    ("libusb-1.0.so.0", "libusb-1.0-0", "RealSense cameras", False),
)
RULES_FOLDERS = tuple(
    Path(folder, "udev/rules.d") for folder in ("/etc", "/run", "/usr/local/lib", "/usr/lib")
)
# Make, what its rules say, where the vendor keeps them.
RULES = (
    ("RealSense", r'"8086".*"(0a|0b)\w\w"', "99-realsense-libusb.rules",
     "realsenseai/librealsense, folder config"),
    ("Orbbec", r'"2bc5"', "99-obsensor-libusb.rules",
     "orbbec/OrbbecSDK_v2, folder scripts/env_setup"),
    ("Azure Kinect", r'"045e".*"097[a-e]"', "99-k4a.rules",
     "microsoft/Azure-Kinect-Sensor-SDK, folder scripts"),
)  # fmt: skip


def check_libraries() -> list[Finding]:
    """System libraries that wheels do not carry."""
    if not ON_LINUX:
        return []
    missing = set(ask_child("libraries", *(name for name, *_ in LIBRARIES)))
    found = [
        (fail if vital else warn)(
            f"library {package}",
            f"{name} is missing; needed by {user}",
            f"apt-get install {package}",
        )
        for name, package, user, vital in LIBRARIES
        if name in missing
    ]
    return found or [ok("libraries", ", ".join(name for name, *_ in LIBRARIES))]


def check_udev_rules(folders: tuple[Path, ...] = RULES_FOLDERS) -> list[Finding]:
    """Whether users other than root may open the cameras."""
    if not ON_LINUX:
        return []
    files = [path for folder in folders if folder.is_dir() for path in folder.glob("*.rules")]
    lines = [line for path in files for line in path.read_text("utf-8", "replace").splitlines()]
    live = [line for line in lines if not line.lstrip().startswith("#")]
    return [
        ok(f"udev {make}", "rules are installed")
        if any(re.search(pattern, line) for line in live)
        else warn(f"udev {make}", "no rules: only root may open these cameras",
                  f"copy {name} (GitHub {place}) to /etc/udev/rules.d, run "
                  "udevadm control --reload-rules && udevadm trigger, plug it in again")
        for make, pattern, name, place in RULES
    ]  # fmt: skip


def check_usb(devices: Path = usb.DEVICES) -> list[Finding]:
    """Whether attached cameras have a fast link."""
    if not ON_LINUX:
        return []
    if usb.listing(devices) is None:
        return [warn("USB", "this system lists no USB devices (a container?)",
                     f"give the container access to {devices} and /dev/bus/usb")]  # fmt: skip
    return [_link(camera) for camera in usb.cameras(devices)] or [
        ok("USB", "no camera of a known make is attached")
    ]


def _link(camera: usb.UsbCamera) -> Finding:
    found = f"{camera.name} on port {camera.port}: {camera.speed_mbps:g} Mbit/s"
    if camera.is_slow:
        return warn("USB", f"{found} (USB 2)",
                    "use a blue USB 3 port, the cable that came with it, and no hub")  # fmt: skip
    return ok("USB", found)


def check_groups() -> list[Finding]:
    """Membership in the groups that own cameras and USB devices."""
    if not ON_LINUX:
        return []
    if os.geteuid() == 0:
        return [ok("groups", "root: may open every device")]
    import grp
    import pwd

    mine = {grp.getgrgid(gid).gr_name for gid in os.getgroups() if _has_group(gid)}
    wanted = [name for name in ("video", "plugdev") if name in {g.gr_name for g in grp.getgrall()}]
    lacking = [name for name in wanted if name not in mine]
    if lacking:
        user = pwd.getpwuid(os.geteuid()).pw_name
        fix = f"sudo usermod -aG {','.join(lacking)} {user}, then log in again"
        return [warn("groups", f"not in {' and '.join(lacking)}", fix)]
    return [ok("groups", f"in {', '.join(wanted)}" if wanted else "no special groups here")]


def _has_group(gid: int) -> bool:
    import grp

    try:
        grp.getgrgid(gid)
    except KeyError:  # an id without a name is common in containers
        return False
    return True
