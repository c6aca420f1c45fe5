"""To Rerun, by rerun-sdk: a viewer that runs, viewers that come, or a file."""

from __future__ import annotations

import inspect
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from lingbot_live.errors import PublishError
from lingbot_live.frame import DepthMap, Frame, RefinedFrame
from lingbot_live.publish.place import LOOPBACK, Place, free_port
from lingbot_live.publish.sink import Level
from lingbot_live.quality.measures import fill_share
from lingbot_live.recording.clock import Moment
from lingbot_live.recording.rerun_log import RerunLog, imported
from lingbot_live.system.children import Child

_QUALITY = 90  # of JPEG
_READY_S = 0.5  # for what was sent to be taken
_PEER_S = 3.0  # for a viewer to answer
_SERVER_S = 20.0  # for a server to begin to listen
_LETS_GO_S = 3.0


class RerunSink:
    """Logs all cameras to one Rerun recording, laid out as in our own window.

    Nothing is logged while what was logged before is not taken, so that a viewer that hangs costs
    one frame of memory. Timelines: ``time``, the device's clock moved to 1970, and ``frame``.
    """

    viewers: int | None = None  # the SDK does not tell

    def __init__(self, place: Place) -> None:
        self._sdk = imported(f"publish {place.text}", PublishError)
        self._sdk.unregister_shutdown()  # it waits for a viewer that hangs, and the process with it
        self._stream: Any = self._sdk.RecordingStream("lingbot-live")
        self._logs: dict[str, RerunLog] = {}
        self._server: Child | None = None
        self.where = self._open(place)
        self._stream.log("/", self._sdk.ViewCoordinates.RDF, static=True)

    def is_ready(self) -> bool:
        """Whether all that was logged has been taken; waits for it a moment."""
        return _flushed(self._stream, _READY_S)

    def frame(self, name: str, frame: Frame, moment: Moment) -> None:
        """Log a frame."""
        self._set_time(frame, moment)
        self._log_of(name).frame(frame)
        self._fill(name, "raw", frame.depth_m)

    def refined(self, name: str, refined: RefinedFrame, moment: Moment) -> None:
        """Log a result at the time of the frame it was made of."""
        self._set_time(refined.frame, moment)
        self._log_of(name).refined(refined.depth_m)
        self._fill(name, "refined", refined.depth_m)

    def say(self, level: Level, text: str, time_ns: int) -> None:
        """Log a word; it belongs to no frame."""
        self._stream.reset_time()
        self._stream.set_time("time", timestamp=np.datetime64(time_ns, "ns"))
        self._stream.log("log", self._sdk.TextLog(text, level=level.value))

    def close(self) -> None:
        """Let go of file, viewer or server."""
        try:
            self._stream.disconnect()
        finally:
            if self._server is not None:
                _end(self._server)

    # ---- private -----------------------------------------------------------------------------

    def _open(self, place: Place) -> str:
        if place.how == "save":
            self._stream.save(str(place.path))
            return str(place.path)
        url = place.url
        if place.how == "serve":
            port = free_port(place)
            url = f"rerun+http://{_reached(place)}:{port}/proxy"
            self._server = _serving(place, port)
        _check_peer(place, url)
        self._stream.connect_grpc(url)
        return url

    def _log_of(self, name: str) -> RerunLog:
        if name not in self._logs:
            self._logs[name] = RerunLog(self._sdk, self._stream, name, _QUALITY)
            self._stream.send_blueprint(_layout(list(self._logs)))
        return self._logs[name]

    def _set_time(self, frame: Frame, moment: Moment) -> None:
        self._stream.set_time("time", timestamp=np.datetime64(moment.stamp_ns, "ns"))
        self._stream.set_time("frame", sequence=frame.index)

    def _fill(self, name: str, which: str, depth_m: DepthMap) -> None:
        scalar = self._sdk.Scalars(fill_share(depth_m))
        self._stream.log(f"metrics/{name}/fill_{which}", scalar)


def _layout(names: list[str]) -> Any:
    """Pictures of each camera in a row, the cloud and the metrics below, as in our window."""
    import rerun.blueprint as rrb

    rows = [
        rrb.Horizontal(
            *(
                rrb.Spatial2DView(origin=f"{name}/{what}", name=f"{name} {what}")
                for what in ("color", "depth", "refined")
            )
        )
        for name in names
    ]
    cloud = rrb.Spatial3DView(origin="/", name="cloud")
    metrics = rrb.TimeSeriesView(origin="/metrics", name="metrics")
    words = rrb.TextLogView(origin="/log", name="log")
    below = rrb.Horizontal(cloud, rrb.Vertical(metrics, words), column_shares=[2, 1])
    return rrb.Blueprint(rrb.Vertical(*rows, below), collapse_panels=True)


def _flushed(stream: Any, timeout_s: float) -> bool:
    """Whether all is sent; releases before 0.25 cannot be given a time."""
    try:
        if "timeout_sec" in inspect.signature(stream.flush).parameters:
            stream.flush(timeout_sec=timeout_s)
        else:
            stream.flush()
    except RuntimeError:  # too slow, or nobody there any more
        return False
    return True


def _reached(place: Place) -> str:
    """The address at which we ourselves reach a server."""
    everywhere = {"0.0.0.0": LOOPBACK, "::": "[::1]"}
    return everywhere.get(place.bind, place.host)


def _check_peer(place: Place, url: str) -> None:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 443), _PEER_S).close()
    except OSError as error:
        raise PublishError(
            f"publish {place.text}: no Rerun viewer listens at {parts.netloc} "
            f"({error.strerror or error}); start one first by `rerun`, or use rerun:serve"
        ) from error


def _serving(place: Place, port: int) -> Child:
    """Start Rerun's server; the SDK's own listens at all addresses, whatever one says."""
    child = Child("lingbot_live.publish.rerun_server", place.bind, str(port))
    deadline = time.monotonic() + _SERVER_S
    while time.monotonic() < deadline and child.process.poll() is None:
        try:
            socket.create_connection((_reached(place).strip("[]"), port), 1.0).close()
            return child
        except OSError:
            time.sleep(0.1)
    words = child.last_words() if child.process.poll() is not None else "it does not listen"
    _end(child)
    raise PublishError(f"publish {place.text}: Rerun's server {words}; choose another port")


def _end(child: Child) -> None:
    """Ask our process to end Rerun's, then end ours."""
    child.stdin.close()
    deadline = time.monotonic() + _LETS_GO_S
    while child.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    child.end()
