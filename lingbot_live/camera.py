"""The name by which drivers of third parties import `lingbot_live.cameras.base`."""

from lingbot_live.cameras.base import (
    Camera,
    CameraInfo,
    CameraState,
    Capture,
    Driver,
    RecordedFacts,
    StreamProfile,
    first_frame,
)

__all__ = [
    "Camera",
    "CameraInfo",
    "CameraState",
    "Capture",
    "Driver",
    "RecordedFacts",
    "StreamProfile",
    "first_frame",
]
