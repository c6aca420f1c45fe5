"""From a camera's frame to a refined one: capture, inference, and the session that owns both."""
