"""The Orbbec SDK, imported on first use, its messages in our log, kept off the network."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from drivers.common.sdk import import_sdk
from drivers.common.sdk_log import SdkLog
from lingbot_live.system.scratch import temporary_folder

_SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<Config>
  <ConfigStandardVersion>1.1</ConfigStandardVersion>
  <Device><EnumerateNetDevice>false</EnumerateNetDevice></Device>
</Config>
"""

_HARMLESS = (
    "Execute failure!",  # says again what the message before it said
    "libusb_init failed",  # no USB at all, as in a container; recordings need none
    "[Uu]sb pal",
    'NULL pointer passed for argument "device"',  # after a recording that it could not open
    "Wait for frame timeout",  # we wait in short steps
    "config item HardwareD2CProcessor",  # the camera does not align, we do
    "is a playback device and does not support",
    "Failed to get recorded struct data",
    "Playback Device: Invalid depth work mode",
)
SDK_LOG = SdkLog(
    "orbbec",
    ["OrbbecSDK.log.txt"],
    head=r"\[[^]]*\]\[(?P<level>\w+)\]\[\d+\](?P<text>.*)",
    harmless="|".join(_HARMLESS),
)
_lock = threading.Lock()
_context: Any = None
_is_routed = False


def sdk() -> Any:
    """Return pyorbbecsdk, its messages routed into our log.

    Raises:
        DriverUnavailableError: it cannot be imported.
    """
    global _is_routed
    with _lock:
        is_new = "pyorbbecsdk" not in sys.modules
        with _muted_stdout() if is_new else contextlib.nullcontext():
            ob = import_sdk("pyorbbecsdk", "orbbec")
        if not _is_routed:  # not later: its logger may not change while another thread logs
            level = ob.OBLogLevel.INFO if SDK_LOG.is_wordy else ob.OBLogLevel.WARNING
            ob.Context.set_logger_to_console(ob.OBLogLevel.NONE)
            ob.Context.set_logger_to_file(level, str(SDK_LOG.folder()))
            _is_routed = True
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
            with temporary_folder("lingbot-live-orbbec") as folder:
                settings = folder / "orbbec.xml"
                settings.write_text(_SETTINGS, "utf-8")
                _context = ob.Context(str(settings))
    return _context
