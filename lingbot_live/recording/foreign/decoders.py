"""Which decoder reads which encoding; each is imported when a file first needs it."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import cast

from lingbot_live.recording.foreign.messages import Decoder

DECODERS = {
    "cdr": "lingbot_live.recording.foreign.ros2:Ros2",
    "ros1": "lingbot_live.recording.foreign.ros1:Ros1",
    "protobuf": "lingbot_live.recording.foreign.foxglove_protobuf:FoxgloveProtobuf",
    "json": "lingbot_live.recording.foreign.foxglove:FoxgloveJson",
}


@functools.cache
def decoder(encoding: str) -> Decoder | None:
    """Return what reads an encoding; None where nothing does."""
    if encoding not in DECODERS:
        return None
    module, _, name = DECODERS[encoding].partition(":")
    return cast(Decoder, getattr(import_module(module), name)())
