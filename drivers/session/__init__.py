"""Recorded sessions, played like cameras."""
