"""Intel RealSense, live and recorded."""
