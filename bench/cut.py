"""``python -m bench.cut``: camera in one process, session in another, and no network for 5 s.

Linux, as root: both run in a network of their own (``ip netns``), whose link goes down. Prints for
Foxglove's transport and for DDS when that was noticed, and how soon frames came again.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from typing import NamedTuple

from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.pipeline.session import Session

WAYS = {
    "foxglove": ("foxglove:8765", "foxglove:ws://127.0.0.1:8765"),
    "ros2 (DDS)": ("ros2", "ros2:/synthetic_stereo"),
}
CUT_S, BEFORE_S, AFTER_S = 5.0, 12.0, 15.0


class Moment(NamedTuple):
    """What a session knew of its camera."""

    time_s: float
    state: str
    captured: int


def watch(address: str) -> None:
    """Print moments until it is ended."""
    with Session.of([address], RefinerConfig("none"), CameraConfig()) as session:
        feed = session.feeds[0]
        while True:
            print(time.monotonic(), feed.state.value, feed.stats.captured, flush=True)
            time.sleep(0.02)


def _in_network(name: str, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["ip", "netns", "exec", name, sys.executable, "-m", *command],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


def _link(name: str, state: str) -> float:
    subprocess.run(["ip", "-n", name, "link", "set", "lo", state], check=True)
    return time.monotonic()


def cut(name: str, target: str, address: str) -> tuple[list[Moment], float, float]:
    """Return what the session saw, when the link went down, and when it came up."""
    options = ("--headless", "--refiner", "none", "--publish", target)
    sender = _in_network(name, "lingbot_live", "run", "synthetic:stereo", *options)
    time.sleep(BEFORE_S / 2)
    watcher = _in_network(name, "bench.cut", "watch", address)
    try:
        time.sleep(BEFORE_S)
        down_s = _link(name, "down")
        time.sleep(CUT_S)
        up_s = _link(name, "up")
        time.sleep(AFTER_S)
    finally:
        watcher.terminate()
        sender.terminate()
        lines = watcher.communicate()[0].splitlines()
        sender.communicate()
    words = [line.split() for line in lines if line.count(" ") == 2]
    return [Moment(float(at), state, int(count)) for at, state, count in words], down_s, up_s


def tell(way: str, moments: list[Moment], down_s: float, up_s: float) -> None:
    before = max((m.captured for m in moments if m.time_s < down_s), default=0)
    noticed = next((m for m in moments if m.time_s > down_s and m.state != "streaming"), None)
    up = [m for m in moments if m.time_s > up_s]
    again = next((m.time_s - up_s for m in up if m.captured > up[0].captured), None)
    states = [state for state, _ in itertools.groupby(m.state for m in moments)]
    told = (
        "not noticed"
        if noticed is None
        else f"{noticed.state} after {noticed.time_s - down_s:.1f} s"
    )
    came = "never" if again is None else f"{again:.2f} s"
    after = up[-1].captured - up[0].captured if up else 0
    print(
        f"{way}: {before} frames before, {told}; frames again {came} after the link, "
        f"{after} in {AFTER_S:.0f} s; {' > '.join(states)}",
        flush=True,
    )


def main() -> None:
    if sys.argv[1:2] == ["watch"]:
        watch(sys.argv[2])
    name = f"lingbot-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for way, (target, address) in WAYS.items():
            _link(name, "up")
            tell(way, *cut(name, target, address))
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


if __name__ == "__main__":
    main()
