"""A participant in ROS 2's network: rclpy where a ROS installation is sourced, else Cyclone DDS."""

from __future__ import annotations

import importlib.util
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from lingbot_live.errors import ConfigError, LingbotLiveError
from lingbot_live.ros2.types import raw
from lingbot_live.system.worker import IMPORTS, Worker

INSTALL = 'pip install "lingbot-live[ros2]"'
LOOPBACK, ANYWHERE = "127.0.0.1", ("0.0.0.0", "::")
_MOST_DOMAIN = 232
_LATCHED = 64  # transforms kept for those who come later
_WAIT_NS = 100_000_000
_DEPTH = 5  # of ROS 2's sensor data profile
# Without multicast, which the loopback has none of, participants of this machine find each other by
# their numbers. A stock participant does the same under ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST.
_LOCAL = """<General><Interfaces><NetworkInterface address="127.0.0.1"/></Interfaces>
<AllowMulticast>false</AllowMulticast></General><Discovery><ParticipantIndex>auto</ParticipantIndex>
<MaxAutoParticipantIndex>32</MaxAutoParticipantIndex>
<Peers><Peer address="127.0.0.1"/></Peers></Discovery>"""
_AT = "<General><Interfaces><NetworkInterface {}/></Interfaces></General>"


class Outlet(Protocol):
    """One topic that is written to."""

    @property
    def readers(self) -> int:
        """Participants that read it."""

    def write(self, data: bytes) -> None:
        """Send a message of CDR; never waits for readers."""


class Network(Protocol):
    """One participant."""

    name: str  # of the engine, for people

    def outlet(self, topic: str, kind: str, *, is_latched: bool = False) -> Outlet:
        """Announce a topic: sensor data, or ``is_latched``, reliable and kept for latecomers."""

    def listen(self, topic: str, kind: str, hear: Callable[[bytes], None]) -> None:
        """Have ``hear`` called with each message of a topic, on one thread of ours."""

    def forget(self, topics: set[str]) -> None:
        """Hear these no more."""

    def topics(self) -> dict[str, str]:
        """Return what others publish: topics and their messages' names."""

    def close(self) -> None:
        """Leave the network."""


def domain_id() -> int:
    """Return ``ROS_DOMAIN_ID``, 0 without.

    Raises:
        ConfigError: it is no number from 0 to 232.
    """
    text = os.environ.get("ROS_DOMAIN_ID", "").strip() or "0"
    if not (text.isascii() and text.isdigit() and int(text) <= _MOST_DOMAIN):
        raise ConfigError(f"ROS_DOMAIN_ID={text}: write a number from 0 to {_MOST_DOMAIN}")
    return int(text)


def join(bind: str = LOOPBACK) -> Network:
    """Take part in the domain of ``ROS_DOMAIN_ID``, within this machine unless ``bind`` says more.

    Raises:
        ConfigError: neither rclpy nor cyclonedds is there, or the domain is none.
        LingbotLiveError: the network cannot be joined.
    """
    if importlib.util.find_spec("rclpy") is not None:
        from lingbot_live.ros2.rclpy_wire import RclpyNetwork

        return RclpyNetwork(domain_id(), bind)
    if importlib.util.find_spec("cyclonedds") is None:
        raise ConfigError(f"ROS 2 needs cyclonedds or a sourced ROS installation. Run: {INSTALL}")
    return CycloneNetwork(domain_id(), bind)


class CycloneNetwork:
    """A participant by cyclonedds."""

    name = "Cyclone DDS"

    def __init__(self, domain: int, bind: str) -> None:
        with IMPORTS:
            from cyclonedds import builtin, core, pub, qos, sub, topic
            from cyclonedds import domain as domains
        self._core, self._pub, self._sub, self._topic = core, pub, sub, topic
        self._builtin = builtin
        policy = qos.Policy
        sensor = (policy.Reliability.BestEffort, policy.History.KeepLast(_DEPTH))
        latched = (
            policy.Reliability.Reliable(0), policy.History.KeepLast(_LATCHED),
            policy.Durability.TransientLocal,
        )  # fmt: skip
        xcdr1 = policy.DataRepresentation(use_cdrv0_representation=True)
        self._sensor, self._latched = qos.Qos(*sensor, xcdr1), qos.Qos(*latched, xcdr1)
        try:
            self._domain = _domain(domains, domain, bind)
            self._participant = domains.DomainParticipant(domain)
        except core.DDSException as error:
            raise LingbotLiveError(f"ROS 2, domain {domain}: {error.msg or error}") from error
        self._waiting: Any = core.WaitSet(self._participant)
        self._open: list[Any] = []
        self._lock = threading.Lock()
        self._heard: dict[str, tuple[Any, Any, Callable[[bytes], None]]] = {}
        self._worker = Worker("ros2", self._hear_all)

    def outlet(self, topic: str, kind: str, *, is_latched: bool = False) -> Outlet:
        """Announce a topic."""
        quality = self._latched if is_latched else self._sensor
        writer = self._pub.DataWriter(self._participant, self._made(topic, kind), quality)
        return _CycloneOutlet(writer, raw(kind))

    def listen(self, topic: str, kind: str, hear: Callable[[bytes], None]) -> None:
        """Hear a topic."""
        quality = self._latched if topic.endswith("tf_static") else self._sensor
        reader = self._sub.DataReader(self._participant, self._made(topic, kind), quality)
        state = self._core
        condition = state.ReadCondition(
            reader, state.ViewState.Any | state.InstanceState.Any | state.SampleState.NotRead
        )
        with self._lock:
            self._heard[topic] = reader, condition, hear
            self._waiting.attach(condition)
        if not self._worker.is_alive:
            self._worker.start()

    def forget(self, topics: set[str]) -> None:
        """Hear these no more."""
        with self._lock:
            for topic in topics & set(self._heard):
                self._waiting.detach(self._heard.pop(topic)[1])

    def topics(self) -> dict[str, str]:
        """Return what others publish."""
        reader = self._builtin.BuiltinDataReader(
            self._participant, self._builtin.BuiltinTopicDcpsPublication
        )
        own = self._participant.guid
        found = {}
        for sample in reader.read(1000):
            name = getattr(sample, "topic_name", "")
            if name.startswith("rt/") and sample.participant_key != own:
                found[name[2:]] = _ros_name(sample.type_name)
        return found

    def close(self) -> None:
        """Leave the network."""
        self._worker.request_stop()
        self._worker.join(2.0)
        self._heard.clear()
        self._open.clear()
        self._waiting = self._participant = self._domain = None

    def _hear_all(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._waiting.wait(_WAIT_NS)
            with self._lock:
                heard = list(self._heard.values())
            for reader, condition, hear in heard:
                for sample in reader.take(_DEPTH, condition):
                    octets = getattr(sample, "octets", None)  # none of a participant that left
                    if octets is not None:
                        hear(octets)

    def _made(self, topic: str, kind: str) -> Any:
        made = self._topic.Topic(self._participant, f"rt{topic}", raw(kind))
        self._open.append(made)
        return made


class _CycloneOutlet:
    def __init__(self, writer: Any, kind: Any) -> None:
        self._writer, self._kind = writer, kind

    @property
    def readers(self) -> int:
        return len(self._writer.get_matched_subscriptions())

    def write(self, data: bytes) -> None:
        self._writer.write(self._kind.deserialize(data))


_domains: weakref.WeakValueDictionary[tuple[int, str], Any] = weakref.WeakValueDictionary()


def _domain(domains: Any, number: int, bind: str) -> Any:
    """Return the domain with our settings; a process has each but once."""
    found = _domains.get((number, bind))
    if found is None:
        found = _domains[number, bind] = _new_domain(domains, number, bind)
    return found


def _new_domain(domains: Any, number: int, bind: str) -> Any:
    at = 'autodetermine="true"' if bind in ANYWHERE else f'address="{bind}"'
    settings = _LOCAL if bind == LOOPBACK else _AT.format(at)
    return domains.Domain(number, f"<CycloneDDS><Domain>{settings}</Domain></CycloneDDS>")


def _ros_name(type_name: str) -> str:
    return type_name.replace("::dds_::", "::").replace("::", "/").rstrip("_")
