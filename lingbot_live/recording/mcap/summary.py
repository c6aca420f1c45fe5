"""First and last bytes of an MCAP file: what it is, and where everything lies."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from mcap.records import ChunkIndex, DataEnd, Footer, Header, Metadata, Statistics

from lingbot_live import __version__
from lingbot_live.recording.mcap.chunks import record_bytes
from lingbot_live.recording.mcap.places import FileIndex
from lingbot_live.recording.mcap.records import FOOTER, MAGIC


def front(index: FileIndex) -> bytes:
    """Return the bytes before the first chunk, with the definitions known by then."""
    return MAGIC + record_bytes(
        Header(index.profile, f"lingbot-live {__version__}"),
        *(Metadata(name, values) for name, values in index.metadata),
        *index.schemas.values(),
        *index.channels.values(),
    )


def summary(
    index: FileIndex, chunks: list[ChunkIndex], counts: Mapping[int, int], position: int
) -> bytes:
    """Return data end, summary and footer, to be written at ``position``."""
    data_end = record_bytes(DataEnd(0))
    statistics = Statistics(
        attachment_count=0,
        channel_count=len(index.channels),
        channel_message_counts=dict(counts),
        chunk_count=len(chunks),
        message_count=sum(counts.values()),
        message_end_time=max((chunk.message_end_time for chunk in chunks), default=0),
        message_start_time=min((chunk.message_start_time for chunk in chunks), default=0),
        metadata_count=len(index.metadata),
        schema_count=len(index.schemas),
    )
    body = record_bytes(*index.schemas.values(), *index.channels.values(), statistics, *chunks)
    start = position + len(data_end)
    # The checksum covers the footer up to itself (mcap.dev/spec, footer).
    crc = zlib.crc32(struct.pack("<BQQQ", FOOTER, 20, start, 0), zlib.crc32(body))
    return b"".join((data_end, body, record_bytes(Footer(start, 0, crc)), MAGIC))
