"""One slot: newest wins, drops are counted, nobody hangs."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, astuple

import numpy as np
import pytest

from lingbot_live.pipeline.latest import Latest
from lingbot_live.pipeline.stats import FeedStats, Rate, Samples, Summary
from lingbot_live.system.worker import Worker


def test_newest_wins_and_the_replaced_are_counted():
    slot: Latest[int] = Latest()
    assert not slot.put(1)
    assert slot.put(2)
    assert slot.put(3)
    assert slot.take() == 3
    assert slot.take() is None


def test_take_waits_for_a_put_of_another_thread():
    slot: Latest[int] = Latest()
    worker = Worker("producer", lambda stop: time.sleep(0.05) or slot.put(7))  # type: ignore[func-returns-value,arg-type]
    worker.start()
    assert slot.take(timeout_s=5) == 7
    assert worker.join(5)


def test_under_load_every_item_is_taken_or_counted():
    slot: Latest[int] = Latest()
    taken: list[int] = []

    def consume(stop: threading.Event) -> None:
        while not stop.is_set() or slot.is_full:
            item = slot.take(0.01)
            if item is not None:
                taken.append(item)

    worker = Worker("consumer", consume)
    worker.start()
    replaced = sum(slot.put(number) for number in range(20_000))
    worker.request_stop()
    assert worker.join(5)
    assert len(taken) + replaced == 20_000
    assert taken == sorted(taken)
    assert taken[-1] == 19_999


def test_a_worker_delivers_its_death():
    deaths: list[BaseException] = []
    error = RuntimeError("out of luck")

    def body(stop: threading.Event) -> None:
        raise error

    worker = Worker("mortal", body, deaths.append)
    worker.start()
    assert worker.join(5)
    assert deaths == [error]
    assert worker.error is error


def test_a_worker_that_does_not_end_is_reported(caplog):
    release = threading.Event()
    worker = Worker("stubborn", lambda stop: release.wait(5))  # type: ignore[arg-type,return-value]
    worker.start()
    worker.request_stop()
    assert not worker.join(0.05)
    assert "stubborn did not end" in caplog.text
    release.set()
    assert worker.join(5)


def test_a_rate_is_events_over_time():
    rate = Rate()
    for n in range(31):
        rate.tick(n * 33_333_333)
    assert abs(rate.mean_hz - 30) < 0.01
    assert rate.count == 31
    assert Rate().mean_hz == 0.0
    assert rate.recent_hz < 1.0, "long ago, so it has fallen"


@pytest.mark.parametrize("count", [1, 2, 3, 20, 601])
def test_percentiles_are_numpy_s(count):
    samples, values = Samples(1000), np.random.default_rng(count).gamma(2.0, 10.0, count)
    for value in values:
        samples.add(float(value))
    p50, p95 = np.percentile(values, [50, 95])
    assert astuple(samples.summary()) == pytest.approx((p50, p95, values.max()), 1e-3)


def test_percentiles_of_known_values():
    samples = Samples(1000)
    assert samples.summary() is None
    for value in range(101):
        samples.add(float(value))
    assert samples.summary() == Summary(50.0, 95.0, 100.0)


def test_stats_are_plain_data():
    import json

    stats = FeedStats()
    stats.count_captured()
    stats.count_drop("replaced")
    stats.add_stage("refine", 5_000_000)
    loaded = json.loads(json.dumps(asdict(stats.figures())))
    assert loaded["drops"] == {"replaced": 1}
    assert loaded["latency_ms"]["refine"]["p50"] == 5.0
