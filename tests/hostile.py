"""Files made to cost much or to trip what reads them, and what they cost."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zstandard
from sessions import NoisyCamera

from lingbot_live.config import CameraConfig
from lingbot_live.frame import Frame
from lingbot_live.recording import encode
from lingbot_live.recording.format import Role
from lingbot_live.recording.mcap import cdr
from lingbot_live.recording.mcap.records import CHUNK, CHUNK_HEAD, MAGIC, PREFIX
from lingbot_live.recording.session_file import SessionFile

MOST_S, MOST_BYTES = 10.0, 1 << 30  # before the first frame or the error


@dataclass(frozen=True)
class Cost:
    """What a command took and said."""

    status: int
    said: str
    cpu_s: float
    peak_bytes: int


def cost_of(*arguments: object, limit_s: float = 60.0) -> Cost:
    """Run a command in a process of its own; it is killed after ``limit_s``."""
    words = [sys.executable, "-m", "lingbot_live", *map(str, arguments)]
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ
    ) as process:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        said, until_s, peak = b"", time.monotonic() + limit_s, 0
        while True:
            peak = max(peak, _peak_bytes(process.pid))
            said += process.stdout.read() or b""
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > until_s:
                process.kill()
            time.sleep(0.02)
        said += process.stdout.read() or b""
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = usage.ru_utime + usage.ru_stime
    return Cost(process.returncode, said.decode(), seconds, peak or usage.ru_maxrss * 1024)


def _peak_bytes(pid: int) -> int:
    """What was resident at most so far: ru_maxrss holds what the test run itself had, too."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has ended, or this system has no such file
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def frame() -> Frame:
    """A small whole frame."""
    camera = NoisyCamera(count=1)
    camera.config = CameraConfig()
    with camera:
        return camera.read(1.0)


def session(path: Path, frames: int = 1, **changed: bytes) -> Path:
    """Write a session of one camera; ``changed`` are messages by role, in place of the true."""
    file = SessionFile(path, [])
    file.add_camera("noisy:left", "left", 1)
    true = frame()
    camera = encode.encode_camera(None, true.calibration, "left", 1)
    for number in range(frames):
        messages = (camera if not number else []) + encode.encode_frame(true, "left", 1, 95)
        replaced = [(role, changed.get(role.name, data)) for role, data in messages]
        file.write("noisy:left", 10**18 + number, 10**18, number, replaced)
    file.finish()
    return path


def note(**changed: object) -> bytes:
    """A frame's note with other values."""
    values = {
        "index": 0, "timestamp_ns": 1, "device_timestamp_us": 1, "depth_scale_m": 0.001,
        "device_index": None, "alignment": "none", "label": "",
    }  # fmt: skip
    return cdr.encode_text(json.dumps(values | changed))


def large_jpeg(width: int, height: int) -> bytes:
    """A small JPEG that says it is large, as a message."""
    data = bytearray(encode.encode_jpeg(np.zeros((16, 16, 3), np.uint8), 90))
    at = data.index(b"\xff\xc0")
    struct.pack_into(">HH", data, at + 5, height, width)
    return cdr.encode_compressed(cdr.Header(1, "a"), "jpeg", bytes(data))


def large_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is large, as a message."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head
    data += struct.pack(">I", zlib.crc32(head))
    packed = zlib.compress(bytes(1000))
    data += struct.pack(">I", len(packed)) + b"IDAT" + packed
    data += struct.pack(">I", zlib.crc32(b"IDAT" + packed))
    return cdr.encode_compressed(cdr.Header(1, "a"), "png", data)


def chunk_bomb(path: Path, size: int, chunks: int, pattern: bytes) -> Path:
    """Write chunks without an index that unpack to ``size`` bytes of a pattern each."""
    packer = zstandard.ZstdCompressor(level=1).compressobj()
    piece = pattern * ((1 << 20) // len(pattern))
    packed = b"".join(packer.compress(piece) for _ in range(size // len(piece)))
    packed += packer.flush()
    size = size // len(piece) * len(piece)
    body = CHUNK_HEAD.pack(1, 2, size, 0, 4) + b"zstd" + struct.pack("<Q", len(packed)) + packed
    record = PREFIX.pack(CHUNK, len(body)) + body
    path.write_bytes(MAGIC + record * chunks)
    return path


def roles() -> list[str]:
    """The messages that every frame has."""
    return [Role.COLOR.name, Role.DEPTH_RVL.name, Role.CAMERA_INFO.name, Role.FRAME.name]
