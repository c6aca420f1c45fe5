"""lingbot-live: stream RGB-D cameras, refine their depth live, record and compare."""

__version__ = "0.2.0"
