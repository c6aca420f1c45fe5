"""Frames to files that other programs open."""
