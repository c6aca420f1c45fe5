"""MCAP on the level of bytes: records, chunks, indexes, messages."""
