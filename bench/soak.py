"""Run cameras for minutes and tell what grew: ``python -m bench.soak MINUTES ADDRESS...``.

Growth is counted from the end of the first minute, when caches are full, to the end.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import psutil

from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.pipeline.session import Session

_EVERY_S = 5.0
_WARM_S = 60.0


@dataclass(frozen=True)
class Sample:
    rss_mb: float
    threads: int
    files: int

    @classmethod
    def now(cls, process: psutil.Process) -> Sample:
        with process.oneshot():
            return cls(process.memory_info().rss / 1e6, process.num_threads(), process.num_fds())


def soak(minutes: float, addresses: list[str]) -> int:
    process = psutil.Process()
    samples: list[Sample] = []
    with Session.of(addresses, RefinerConfig("none"), CameraConfig(loop=True)) as session:
        started_s = time.monotonic()
        while (passed_s := time.monotonic() - started_s) < minutes * 60:
            if passed_s > min(_WARM_S, minutes * 30):
                samples.append(Sample.now(process))
            time.sleep(_EVERY_S)
        feeds = session.stats().as_dict()["feeds"]
    assert isinstance(feeds, dict)
    for name, feed in feeds.items():
        print(f"{name}: {feed['state']}, {feed['captured']} frames, missed {feed['missed']}")
    first, last = samples[0], samples[-1]
    minutely = " ".join(f"{s.rss_mb:.0f}" for s in samples[:: round(60 / _EVERY_S)])
    print(f"memory {first.rss_mb:.1f} -> {last.rss_mb:.1f} MB; each minute {minutely}")
    print(f"threads {first.threads} -> {last.threads}, open files {first.files} -> {last.files}")
    return int(last.rss_mb - first.rss_mb > 20)


if __name__ == "__main__":
    sys.exit(soak(float(sys.argv[1]), sys.argv[2:]))
