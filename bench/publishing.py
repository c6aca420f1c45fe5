"""What publishing costs: two cameras of 640x480 at 30 fps to one Foxglove viewer beside it.

    python -m bench.publishing [SECONDS]

Raw and refined depth and JPEGs are subscribed to. Processor time of the publisher's thread and the
SDK's own, as a share of one core, less what encoding JPEGs takes.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import psutil

from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.pipeline.session import Session
from lingbot_live.publish import foxglove
from lingbot_live.publish.publisher import Publisher
from lingbot_live.publish.table import parse_place

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


def main(seconds: float = 20.0) -> None:
    encoding_s, encode = [0.0], foxglove.encode_jpeg

    def timed(*arguments: object) -> bytes:
        before = time.thread_time()
        made = encode(*arguments)  # type: ignore[arg-type]
        encoding_s[0] += time.thread_time() - before
        return made

    foxglove.encode_jpeg = timed
    cameras = ["synthetic:stereo", "synthetic:tof"]
    with Session.of(cameras, RefinerConfig("none"), CameraConfig()) as session:
        before = {t.id for t in psutil.Process().threads()}
        publisher = Publisher(parse_place("foxglove:0"))
        publisher.start(session)
        while not publisher.stats().where:
            time.sleep(0.05)
        viewer = subprocess.Popen([sys.executable, "-c", VIEWER, publisher.stats().where])
        while not publisher.stats().viewers:
            time.sleep(0.05)
        time.sleep(5)
        python = {t.native_id for t in threading.enumerate() if not t.name.startswith("publish")}
        ours = lambda: sum(  # noqa: E731
            t.user_time + t.system_time
            for t in psutil.Process().threads()
            if t.id not in python and t.id not in before
        )
        begun, spent, jpeg, sent = time.monotonic(), ours(), encoding_s[0], publisher.stats().frames
        time.sleep(seconds)
        took = time.monotonic() - begun
        spent, jpeg = ours() - spent, encoding_s[0] - jpeg
        fps = (publisher.stats().frames - sent) / took
        viewer.kill()
        viewer.wait()
        publisher.stop()
    print(
        f"{fps:.1f} frames a second sent; JPEG {jpeg / took:.1%} of a core, all else "
        f"{(spent - jpeg) / took:.1%}; drops {publisher.stats().drops}"
    )


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
