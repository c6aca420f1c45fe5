"""Files of other programs: their topics matched to cameras, whatever the container."""

from __future__ import annotations

from lingbot_live.recording.foreign.file import ForeignFile, TopicUse, table
from lingbot_live.recording.foreign.mcap_source import McapSource
from lingbot_live.recording.foreign.topics import Topics
from lingbot_live.recording.foreign.track import ForeignTrack

__all__ = ["ForeignFile", "ForeignTrack", "McapSource", "TopicUse", "Topics", "table"]
