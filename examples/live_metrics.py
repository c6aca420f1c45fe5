"""Print quality numbers of a running camera, raw beside refined."""

from lingbot_live.config import RefinerConfig
from lingbot_live.frame import Frame, RefinedFrame
from lingbot_live.quality.meter import QualityMeter
from lingbot_live.session import Session

meter = QualityMeter()


def measure(feed: str, news: Frame | RefinedFrame) -> None:
    """Called on the thread that made it; the meter leaves most frames out by itself."""
    if isinstance(news, RefinedFrame):
        meter.add(news)


session = Session.of(["synthetic:stereo"], RefinerConfig("guided"))
session.add_tap(measure)
session.start(max_frames=60)
session.wait()
session.stop()
numbers = meter.snapshot()
for name, value in numbers.raw.items():
    refined = (numbers.refined or {}).get(name)
    print(f"{name:24} raw {value:10.4f}" + (f"  refined {refined:10.4f}" if refined else ""))
