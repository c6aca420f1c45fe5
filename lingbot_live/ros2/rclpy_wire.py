"""The same through rclpy, where a ROS 2 installation is sourced: its middleware and settings."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from lingbot_live.ros2.wire import LOOPBACK, Outlet

_SPIN_S = 0.1


class RclpyNetwork:
    """A node by rclpy. What leaves the machine is up to ROS's own settings, but for loopback."""

    name = "rclpy"

    def __init__(self, domain: int, bind: str) -> None:
        import os
        import threading

        if bind == LOOPBACK:
            os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
            os.environ.setdefault("ROS_LOCALHOST_ONLY", "1")  # its name before Iron
        import rclpy
        from rclpy import qos

        from lingbot_live.system.worker import Worker

        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = rclpy.create_node("lingbot_live", context=self._context)
        self._heard: dict[str, Any] = {}
        self._sensor = qos.qos_profile_sensor_data
        self._latched = qos.QoSProfile(
            depth=64, durability=qos.DurabilityPolicy.TRANSIENT_LOCAL,
            reliability=qos.ReliabilityPolicy.RELIABLE,
        )  # fmt: skip
        executor = rclpy.executors.SingleThreadedExecutor(context=self._context)
        executor.add_node(self._node)

        def spin(stop: threading.Event) -> None:
            while not stop.is_set():
                executor.spin_once(timeout_sec=_SPIN_S)

        self._worker = Worker("ros2", spin)
        self._worker.start()

    def outlet(self, topic: str, kind: str, *, is_latched: bool = False) -> Outlet:
        """Announce a topic."""
        quality = self._latched if is_latched else self._sensor
        return _RclpyOutlet(self._node.create_publisher(_message(kind), topic, quality))

    def listen(self, topic: str, kind: str, hear: Callable[[bytes], None]) -> None:
        """Hear a topic, as bytes."""
        quality = self._latched if topic.endswith("tf_static") else self._sensor
        made = self._node.create_subscription(_message(kind), topic, hear, quality, raw=True)
        self._heard[topic] = made

    def forget(self, topics: set[str]) -> None:
        """Hear these no more."""
        for topic in topics & set(self._heard):
            self._node.destroy_subscription(self._heard.pop(topic))

    def topics(self) -> dict[str, str]:
        """Return what there is, our own as well."""
        return {name: kinds[0] for name, kinds in self._node.get_topic_names_and_types()}

    def close(self) -> None:
        """Leave the network."""
        self._worker.request_stop()
        self._worker.join(2.0)
        self._node.destroy_node()
        self._context.shutdown()


class _RclpyOutlet:
    def __init__(self, publisher: Any) -> None:
        self._publisher = publisher

    @property
    def readers(self) -> int:
        count: int = self._publisher.get_subscription_count()
        return count

    def write(self, data: bytes) -> None:
        self._publisher.publish(data)


def _message(kind: str) -> Any:
    package, middle, word = kind.split("/")
    return getattr(importlib.import_module(f"{package}.{middle}"), word)
