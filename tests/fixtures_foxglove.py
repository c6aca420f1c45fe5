"""A Foxglove server with a camera: a session of ours that publishes, and what is between."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from lingbot_live.cameras import registry
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.pipeline.session import Session
from lingbot_live.publish.publisher import Publisher
from lingbot_live.publish.sink import PublishState
from lingbot_live.publish.table import parse_place

SMALL = CameraConfig(width=160, height=120, fps=15, loop=True)


@contextlib.contextmanager
def published(target: str, cameras=("synthetic:stereo",)) -> Iterator[tuple[Session, Publisher]]:
    """Publish simulated cameras meanwhile."""
    session = Session.of(list(cameras), RefinerConfig("none"), SMALL)
    publisher = Publisher(parse_place(target))
    publisher.start(session)
    session.start()
    try:
        deadline = time.monotonic() + 30
        # A frame too: what draws the cameras is begun then, and no thread of a test.
        while publisher.state is not PublishState.PUBLISHING or not all(
            feed.stats.figures().captured for feed in session.feeds
        ):
            assert time.monotonic() < deadline, publisher.error
            time.sleep(0.01)
        yield session, publisher
    finally:
        publisher.stop()
        session.stop()


@contextlib.contextmanager
def contract_cameras(folder):
    with published("foxglove:0") as (_, publisher):
        url = publisher.stats().where
        yield {"published": lambda config: registry.create_camera(f"foxglove:{url}", config)}
