"""Frames to messages, on any thread."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lingbot_live.cameras.base import CameraInfo
from lingbot_live.errors import RecordingError
from lingbot_live.frame import (
    DEPTH_NATIVE,
    Calibration,
    ColorImage,
    Frame,
    Mask,
    RefinedFrame,
    TrustMap,
)
from lingbot_live.perception.trust import trust_map
from lingbot_live.recording import compressed_depth
from lingbot_live.recording.format import (
    Event,
    FrameNote,
    RefinedNote,
    Role,
    camera_to_json,
    to_json,
    to_levels,
)
from lingbot_live.recording.mcap import cdr
from lingbot_live.recording.video import ColorEncoder

Messages = list[tuple[Role, bytes]]


def optical_frame(name: str, sensor: str = "color") -> str:
    """Return the name of a sensor's coordinate frame, by ROS's habit (REP 103)."""
    return f"{name}_{sensor}_optical_frame"


def encode_frame(
    frame: Frame,
    name: str,
    stamp_ns: int,
    quality: int | None,
    video: tuple[ColorEncoder, int] | None = None,
) -> Messages:
    """Return a frame's messages, its note last; ``quality`` None keeps colour exact.

    ``video`` has colour packed by an encoder, at a place in its order, instead.

    ``name`` is the camera's in topics; ``stamp_ns`` the device's time since 1970.
    """
    header, since = cdr.Header(stamp_ns, optical_frame(name)), None
    if video is not None:
        encoder, ticket = video
        data, since = encoder.encode(ticket, frame.color)
        color = (Role.COLOR_VIDEO, cdr.encode_video(header, encoder.codec, data))
    elif quality is None:
        color = (Role.COLOR_EXACT, cdr.encode_image(header, "rgb8", frame.color))
    else:
        color = (
            Role.COLOR,
            cdr.encode_compressed(header, "jpeg", encode_jpeg(frame.color, quality)),
        )
    return [
        color,
        (Role.DEPTH_RVL, compressed_depth.encode(header, frame.depth_raw)),
        (Role.CAMERA_INFO, cdr.encode_camera_info(header, frame.intrinsics)),
        *_imu(frame, name, stamp_ns),
        *_extras(frame, name, stamp_ns),
        (Role.FRAME, cdr.encode_text(to_json(FrameNote.of(frame, since)))),
    ]


def _imu(frame: Frame, name: str, stamp_ns: int) -> Messages:
    """Return one message for each reading, at its own time of the device's clock."""
    zero_ns, where = stamp_ns - frame.device_timestamp_us * 1000, f"{name}_imu_frame"
    return [
        (Role.IMU, cdr.encode_imu(cdr.Header(zero_ns + s.device_timestamp_us * 1000, where), s))
        for s in frame.imu
    ]


def _extras(frame: Frame, name: str, stamp_ns: int) -> Messages:
    """Return one exact image for each; infrared is ``mono8`` or ``mono16``."""
    header = cdr.Header(stamp_ns, optical_frame(name, "depth"))
    found: Messages = []
    for what, picture in frame.extras.items():
        is_depth = what == DEPTH_NATIVE
        encoding = "16UC1" if is_depth else "mono8" if picture.dtype == np.uint8 else "mono16"
        found.append((Role(what), cdr.encode_image(header, encoding, picture)))
    return found


def trust_message(header: cdr.Header, trust: TrustMap) -> tuple[Role, bytes]:
    """Return how far each pixel (H, W) can be trusted, 0 to 1, as 8 bits in a PNG."""
    levels = np.rint(255 * trust).astype(np.uint8)
    png = cv2.imencode(".png", levels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    return Role.TRUST, cdr.encode_compressed(header, "png", png)


def encode_refined(
    refined: RefinedFrame, name: str, stamp_ns: int, exact: bool, with_trust: bool = False
) -> Messages:
    """Return a result's messages, its note last; depth is rounded unless ``exact``.

    The mask is left out where it says no more than that depth is not 0.
    """
    header = cdr.Header(stamp_ns, optical_frame(name))
    messages: Messages = []
    if exact:
        messages.append((Role.REFINED_DEPTH, cdr.encode_image(header, "32FC1", refined.depth_m)))
    else:
        packed = compressed_depth.encode(header, *to_levels(refined.depth_m))
        messages.append((Role.REFINED_RVL, packed))
    if not np.array_equal(refined.mask, refined.depth_m > 0):
        png = _bilevel_png(refined.mask)
        messages.append((Role.REFINED_MASK, cdr.encode_compressed(header, "png", png)))
    if with_trust:
        messages.append(trust_message(header, trust_map(refined)))
    messages.append((Role.REFINED, cdr.encode_text(to_json(RefinedNote.of(refined)))))
    return messages


def encode_camera(
    info: CameraInfo | None, calibration: Calibration, name: str, stamp_ns: int
) -> Messages:
    """Return what is known of a camera, and its sensors' places where they are known."""
    messages = [(Role.CAMERA, cdr.encode_text(camera_to_json(info, calibration)))]
    if calibration.T_color_depth is not None:
        header = cdr.Header(stamp_ns, optical_frame(name))
        child = optical_frame(name, "depth")
        data = cdr.encode_transform(header, child, calibration.T_color_depth)
        messages.append((Role.TRANSFORMS, data))
    return messages


def encode_event(event: Event) -> Messages:
    """Return an event's message."""
    return [(Role.EVENTS, cdr.encode_text(to_json(event)))]


def encode_jpeg(color: ColorImage, quality: int) -> bytes:
    """Return RGB as a JPEG; ``quality`` 1 to 100."""
    bgr = cv2.cvtColor(color, cv2.COLOR_RGB2BGR)
    return _encoded(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])


def _bilevel_png(mask: Mask) -> bytes:
    # Not an Image of 8 bits: viewers take every one-channel Image for depth.
    levels = mask.view(np.uint8) * np.uint8(255)
    return _encoded(".png", levels, [cv2.IMWRITE_PNG_BILEVEL, 1, cv2.IMWRITE_PNG_COMPRESSION, 1])


def _encoded(suffix: str, image: npt.NDArray[np.uint8], options: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, image, options)
    if not done:
        raise RecordingError(f"OpenCV could not write a {suffix} of {image.shape}")
    encoded: bytes = data.tobytes()
    return encoded
