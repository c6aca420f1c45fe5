"""What a camera is, which ones there are, and how recordings keep time."""
