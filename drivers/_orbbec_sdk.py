"""The Orbbec SDK, imported on first use, kept silent and off the network."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drivers._sdk import import_sdk

_SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<Config>
  <ConfigStandardVersion>1.1</ConfigStandardVersion>
  <Log><FileLogLevel>5</FileLogLevel><ConsoleLogLevel>5</ConsoleLogLevel></Log>
  <Device><EnumerateNetDevice>false</EnumerateNetDevice></Device>
</Config>
"""

_lock = threading.Lock()
_context: Any = None
_is_silent = False


def sdk() -> Any:
    """Return pyorbbecsdk, silenced.

    Raises:
        DriverUnavailableError: it cannot be imported.
    """
    global _is_silent
    with _lock:
        is_new = "pyorbbecsdk" not in sys.modules
        with _muted_stdout() if is_new else contextlib.nullcontext():
            ob = import_sdk("pyorbbecsdk", "orbbec")
        if not _is_silent:
            _silence(ob)
            _is_silent = True
    return ob


@contextlib.contextmanager
def _muted_stdout() -> Iterator[None]:
    """The SDK writes a line to the process's standard output when it is imported."""
    if sys.stdout is not None:
        sys.stdout.flush()
    kept = os.dup(1)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def context() -> Any:
    """Return the SDK's one context; it does not search the network."""
    global _context
    ob = sdk()
    with _lock:
        if _context is None:
            with tempfile.TemporaryDirectory(prefix="lingbot-live-") as folder:
                settings = Path(folder, "orbbec.xml")
                settings.write_text(_SETTINGS, "utf-8")
                _context = ob.Context(str(settings))
    return _context


def _silence(ob: Any) -> None:
    """Keep the SDK's messages out of the terminal and its log folder out of the working one.

    A Python callback, its other way out, aborts the process at exit. With
    ``LINGBOT_LIVE_ORBBEC_LOG=FOLDER`` it writes its log there.
    """
    folder = os.environ.get("LINGBOT_LIVE_ORBBEC_LOG", "")
    level = ob.OBLogLevel.INFO if folder else ob.OBLogLevel.NONE
    ob.Context.set_logger_to_console(ob.OBLogLevel.NONE)
    ob.Context.set_logger_to_file(level, folder)
