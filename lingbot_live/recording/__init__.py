"""Session files: recorded, read at random, paced back, repaired. See docs/session-format.md."""
