"""A participant of ROS 2 that is not ours: Cyclone DDS with its own CDR, messages as rosbags knows
them, names by ROS 2's mapping. ``python ros2_participant.py OUT TOPIC=TYPE...`` keeps what it hears
until it has three of each, or ten seconds.
"""

from __future__ import annotations

import functools
import pickle
import sys
import time
from typing import Any

from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.idl import make_idl_struct, types
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_HUMBLE)
ENOUGH = 3
LOCAL = """<CycloneDDS><Domain><General><Interfaces><NetworkInterface address="127.0.0.1"/>
</Interfaces><AllowMulticast>false</AllowMulticast></General><Discovery>
<ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>32</MaxAutoParticipantIndex>
<Peers><Peer address="127.0.0.1"/></Peers></Discovery></Domain></CycloneDDS>"""
BEST_EFFORT = Qos(Policy.Reliability.BestEffort, Policy.History.KeepLast(5))
LATCHED = Qos(
    Policy.Reliability.Reliable(0), Policy.History.KeepLast(9), Policy.Durability.TransientLocal
)


@functools.cache
def idl(name: str) -> Any:
    package, middle, word = name.split("/")
    fields = {field: kind(of) for field, of in STORE.fielddefs[name][1]}
    return make_idl_struct(f"{word}_", f"{package}::{middle}::dds_::{word}_", fields)


def kind(of: Any) -> Any:
    node, inner = int(of[0]), of[1]
    if node == 1:  # base
        word = inner[0]
        return {"string": str, "bool": bool, "octet": types.byte}.get(word) or getattr(types, word)
    if node == 2:  # name
        return idl(inner)
    each, count = inner
    return types.array[kind(each), count] if node == 3 else types.sequence[kind(each)]


def plain(value: Any) -> Any:
    """Return what can be pickled."""
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, (list, tuple)) and value and hasattr(value[0], "__dataclass_fields__"):
        return [plain(each) for each in value]
    return bytes(value) if isinstance(value, (bytes, bytearray)) else value


def main(domain: int, out: str, *wanted: str) -> None:
    _domain, participant = Domain(domain, LOCAL), None
    participant = DomainParticipant(domain)
    readers = {}
    for text in wanted:
        name, _, of = text.partition("=")
        topic = Topic(participant, f"rt{name}", idl(of))
        quality = LATCHED if name == "/tf_static" else BEST_EFFORT
        readers[name] = DataReader(participant, topic, quality)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    heard: dict[str, list[Any]] = {name: [] for name in readers}
    until = time.monotonic() + 10
    while time.monotonic() < until and any(
        len(found) < (1 if name == "/tf_static" else ENOUGH) for name, found in heard.items()
    ):
        for name, reader in readers.items():
            heard[name] += [plain(sample) for sample in reader.take(5)]
        time.sleep(0.01)
    with open(out, "wb") as file:
        pickle.dump(heard, file)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
