"""MCAP files as other programs write them: ROS 2 topics in CDR, by the library's own writer."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from mcap.writer import CompressionType, Writer

from lingbot_live.recording.mcap import cdr, schemas

START_NS = 1_700_000_000 * 10**9
STEP_NS = 33_000_000
WIDTH, HEIGHT = 80, 60
K = (75.0, 75.0, 39.5, 29.5)  # fx fy cx cy


class OtherProgram:
    """Writes one file; use it as a context manager."""

    def __init__(self, path: Path, compression: str = "zstd") -> None:
        self._file = path.open("wb")
        self._writer = Writer(self._file, compression=CompressionType[compression.upper()])
        self._writer.start("ros2")
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._writer.finish()
        self._file.close()

    def begin_channels_anew(self):
        """Let topics go on in channels of their own, as merged files and restarted nodes do."""
        self._channels = {}

    def put(self, topic, schema, log_ns, data, encoding="cdr"):
        """Write one message as it is."""
        if schema not in self._schemas:
            known = schema in schemas._MESSAGES
            text = schemas.definition(schema) if known else b""
            self._schemas[schema] = self._writer.register_schema(schema, "ros2msg", text)
        if topic not in self._channels:
            self._channels[topic] = self._writer.register_channel(
                topic, encoding, self._schemas[schema]
            )
        self._writer.add_message(self._channels[topic], log_ns, bytes(data), log_ns)

    def image(self, topic, stamp_ns, frame, encoding, pixels, *, log_ns=None, size=None, big=False):
        """Write an Image; ``size`` (width, height) where ``pixels`` do not show it."""
        pixels = np.ascontiguousarray(pixels)
        width, height = size or (pixels.shape[1], pixels.shape[0])
        step = pixels.nbytes // pixels.shape[0]
        if big:
            pixels = pixels.astype(pixels.dtype.newbyteorder(">"))
        writer = cdr.Writer().header(cdr.Header(stamp_ns, frame)).put("I", height, width)
        writer.text(encoding).put("B", int(big)).put("I", step, pixels.nbytes)
        data = writer.end(pixels.tobytes())
        self.put(topic, schemas.IMAGE, stamp_ns if log_ns is None else log_ns, data)

    def packed(self, topic, stamp_ns, frame, kind, data, *, log_ns=None):
        """Write a CompressedImage."""
        message = cdr.encode_compressed(cdr.Header(stamp_ns, frame), kind, bytes(data))
        log_ns = stamp_ns if log_ns is None else log_ns
        self.put(topic, schemas.COMPRESSED_IMAGE, log_ns, message)

    def camera(
        self, topic, stamp_ns, frame, k=K, *, size=(WIDTH, HEIGHT), model="plumb_bob",
        d=(0.0,) * 5, p=None, r=None, binning=(0, 0), roi=(0, 0, 0, 0),
    ):  # fmt: skip
        """Write a CameraInfo; ``k`` and ``p`` are fx fy cx cy."""
        fx, fy, cx, cy = k
        px, py, pcx, pcy = p or (0.0, 0.0, 0.0, 0.0)
        writer = cdr.Writer().header(cdr.Header(stamp_ns, frame)).put("I", size[1], size[0])
        writer.text(model).put("I", len(d)).put("d", *d)
        writer.put("d", fx, 0, cx, 0, fy, cy, 0, 0, 1 if fx else 0)
        writer.put("d", *(np.eye(3).ravel() if r is None else np.ravel(r)))
        writer.put("d", px, 0, pcx, 0, 0, py, pcy, 0, 0, 0, 1, 0)
        writer.put("I", *binning, roi[0], roi[1], roi[3], roi[2]).put("B", 0)
        self.put(topic, schemas.CAMERA_INFO, stamp_ns, writer.end())

    def transform(self, parent, child, matrix, topic="/tf_static"):
        """Write one transform of /tf_static: ``matrix`` maps points of ``child`` to ``parent``."""
        from lingbot_live.frame import Extrinsics

        header = cdr.Header(START_NS, parent)
        data = cdr.encode_transform(header, child, Extrinsics.from_matrix(matrix))
        self.put(topic, schemas.TRANSFORMS, START_NS, data)

    def text(self, topic, text):
        """Write a String."""
        self.put(topic, schemas.TEXT, START_NS, cdr.encode_text(text))


def stamp_ns(row):
    """Return when a frame was taken."""
    return START_NS + row * STEP_NS


def color_image(row=0, width=WIDTH, height=HEIGHT):
    """Return smooth (H, W, 3) RGB: red rises to the right, green downwards, blue by frame."""
    v, u = np.mgrid[:height, :width]
    planes = [u * 250 // (width - 1), v * 250 // (height - 1), np.full_like(u, 40 + row)]
    return np.stack(planes, -1).astype(np.uint8)


def depth_image(row=0, width=WIDTH, height=HEIGHT):
    """Return (H, W) uint16 millimetres: a slope, further by 10 mm each frame."""
    v, u = np.mgrid[:height, :width]
    return (1000 + 4 * u + 2 * v + 10 * row).astype(np.uint16)


def png(image, kind=".png"):
    """Return an image file; colour is RGB."""
    image = image[..., ::-1] if image.ndim == 3 else image
    return cv2.imencode(kind, np.ascontiguousarray(image))[1].tobytes()


def standard(file, rows=4, root="/camera/camera", frame="camera_color_optical_frame"):
    """Write colour, aligned depth and colour's calibration."""
    for row in range(rows):
        t = stamp_ns(row)
        file.camera(f"{root}/color/camera_info", t, frame)
        file.image(f"{root}/color/image_raw", t, frame, "rgb8", color_image(row))
        depth = f"{root}/aligned_depth_to_color/image_raw"
        file.image(depth, t, frame, "16UC1", depth_image(row))
