"""Cameras of Foxglove servers."""
