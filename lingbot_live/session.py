"""The name by which programs import `lingbot_live.pipeline.session`."""

from lingbot_live.pipeline.session import (
    Feed,
    Session,
)

__all__ = [
    "Feed",
    "Session",
]
