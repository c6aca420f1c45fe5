"""The process itself: its threads, memory, children and files."""
