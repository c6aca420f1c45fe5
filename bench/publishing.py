"""What publishing costs: two cameras of 640x480 at 30 fps to one Foxglove viewer beside it.

    python -m bench.publishing [SECONDS]

Raw and refined depth and JPEGs are subscribed to. Processor time of the publisher's thread and the
SDK's own, as a share of one core, less what encoding JPEGs takes; then the same while the viewer
does not read.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.pipeline.session import Session
from lingbot_live.publish import foxglove
from lingbot_live.publish.publisher import Publisher
from lingbot_live.publish.table import parse_place

TASKS = Path("/proc/self/task")  # of Linux; the SDK runs on tokio's threads
VIEWER = """
import json, sys
from websockets.sync.client import connect
ends = ("depth/image", "refined/image", "compressed")
with connect(sys.argv[1], subprotocols=["foxglove.sdk.v1"], max_size=1 << 26) as socket:
    for data in socket:
        if isinstance(data, str) and json.loads(data)["op"] == "advertise":
            ids = [c["id"] for c in json.loads(data)["channels"] if c["topic"].endswith(ends)]
            asked = [{"id": i, "channelId": i} for i in ids]
            socket.send(json.dumps({"op": "subscribe", "subscriptions": asked}))
"""


class Costs:
    """Processor time of the publisher's thread and of the SDK's, and what was sent for it."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._own = {t.native_id for t in threading.enumerate() if t.name.startswith("publish")}
        self._own |= {int(p.parent.name) for p in TASKS.glob("*/comm") if "tokio" in p.read_text()}
        self._encode, self._jpeg_s = foxglove.encode_jpeg, 0.0
        foxglove.encode_jpeg = self._timed

    def over(self, seconds: float) -> tuple[float, float, float]:
        """Return frames a second, and of a core the share of JPEG and of all else."""
        begun, spent, jpeg, sent = time.monotonic(), self._spent_s(), self._jpeg_s, self._sent()
        time.sleep(seconds)
        took = time.monotonic() - begun
        jpeg = (self._jpeg_s - jpeg) / took
        return (self._sent() - sent) / took, jpeg, (self._spent_s() - spent) / took - jpeg

    def _sent(self) -> int:
        return self._publisher.stats().frames

    def _spent_s(self) -> float:
        threads = psutil.Process().threads()
        return sum(t.user_time + t.system_time for t in threads if t.id in self._own)

    def _timed(self, *arguments: Any) -> bytes:
        before = time.thread_time()
        made = self._encode(*arguments)
        self._jpeg_s += time.thread_time() - before
        return made


def main(seconds: float = 20.0) -> None:
    cameras = ["synthetic:stereo", "synthetic:tof"]
    with Session.of(cameras, RefinerConfig("none"), CameraConfig()) as session:
        publisher = Publisher(parse_place("foxglove:0"))
        publisher.start(session)
        while not publisher.stats().where:
            time.sleep(0.05)
        viewer = psutil.Popen([sys.executable, "-c", VIEWER, publisher.stats().where])
        while not publisher.stats().viewers:
            time.sleep(0.05)
        costs = Costs(publisher)
        time.sleep(5)
        fps, jpeg, rest = costs.over(seconds)
        print(
            f"{fps:.1f} frames a second sent; JPEG {jpeg:.1%} of a core, all else {rest:.1%}: "
            f"{1e3 * rest / fps:.2f} ms a frame, {60 * rest / fps:.1%} at 60 frames a second; "
            f"drops {publisher.stats().drops}"
        )
        viewer.suspend()
        time.sleep(2)  # until it is noticed
        _, jpeg, rest = costs.over(10)
        print(f"a viewer that stopped reading: JPEG {jpeg:.1%}, all else {rest:.1%} of a core")
        viewer.resume()
        viewer.kill()
        viewer.wait()
        publisher.stop()


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
