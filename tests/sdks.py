"""The cameras' SDKs that a test needs: where one is not released, that test alone is skipped."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

MODULES = {"realsense": "pyrealsense2", "orbbec": "pyorbbecsdk", "kinect": "pyk4a"}
WIRES = {"foxglove": ("foxglove", "websockets"), "ros2": ("cyclonedds",)}
HERE = tuple(make for make, module in MODULES.items() if find_spec(module))


def need(make: str) -> None:
    """Skip the test if the SDK of this make is not installed; other cameras need none."""
    if make in MODULES:
        pytest.importorskip(MODULES[make])
    for module in WIRES.get(make, ()):
        pytest.importorskip(module)
