"""Depth cameras on USB, as Linux lists them under /sys: free to ask, opens nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEVICES = Path("/sys/bus/usb/devices")

# Vendor id, a word of the product's name (vendors with other products too), scheme of the driver.
_MAKES = (
    ("8086", "realsense", "realsense"),
    ("2bc5", "", "orbbec"),
    ("045e", "azure kinect", "kinect"),
)


@dataclass(frozen=True, slots=True)
class UsbCamera:
    """One attached camera; a camera behind a hub of its own may be listed as several."""

    scheme: str
    name: str
    port: str  # such as 2-1.4: bus, then ports
    speed_mbps: float  # 12, 480, 5000 ...; 0 if not known

    @property
    def is_slow(self) -> bool:
        """Whether the link is USB 2 or older."""
        return 0 < self.speed_mbps <= 480


def listing(devices: Path = DEVICES) -> frozenset[str] | None:
    """Return the names of all attached USB devices, None where the system does not list them.

    Interfaces are left out: they come and go when a camera is opened.
    """
    try:
        return frozenset(entry.name for entry in devices.iterdir() if ":" not in entry.name)
    except OSError:
        return None


def cameras(devices: Path = DEVICES) -> list[UsbCamera]:
    """Return the depth cameras of the makes that have a driver here, by port."""
    found = (_camera(devices / name) for name in sorted(listing(devices) or ()))
    return [camera for camera in found if camera is not None]


def _camera(folder: Path) -> UsbCamera | None:
    vendor, name, speed = (_read(folder / key) for key in ("idVendor", "product", "speed"))
    for known, word, scheme in _MAKES:
        if vendor == known and word in name.lower():
            mbps = float(speed) if speed.replace(".", "", 1).isdigit() else 0.0
            return UsbCamera(scheme, name or f"{vendor} device", folder.name, mbps)
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""  # not every device has every file
