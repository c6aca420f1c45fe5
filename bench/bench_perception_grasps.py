"""Grasps on 50 tables of 10 things, refined beside raw, checked against the true surfaces."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from bench.grasp_truth import TrueScene
from drivers.synthetic.driver import SyntheticDriver
from drivers.synthetic.render import look
from drivers.synthetic.tabletop import Tabletop
from lingbot_live.cameras.readings import OFFLINE
from lingbot_live.config import CameraConfig, RefinerConfig
from lingbot_live.frame import DepthMap, Frame, Intrinsics
from lingbot_live.perception.grasps import GraspScene, Gripper, find_grasps
from lingbot_live.perception.seen_through import Sight
from lingbot_live.refiners.guided import create_guided

SCENES = 50
TOP = 3  # a thing counts as held when one of so many grasps holds it
Row = tuple[str, float, str, float]


@dataclass(slots=True)
class Tally:
    """How many things there were, were found, and were held."""

    there: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    ms: list[float] = field(default_factory=list)

    def percent(self, of: Counter[str], kinds: set[str]) -> float:
        return 100 * sum(of[kind] for kind in kinds) / sum(self.there[kind] for kind in kinds)


def table_frame(seed: int) -> Frame:
    """The first frame of `synthetic:table` with this seed."""
    driver = SyntheticDriver()
    config = CameraConfig(loop=OFFLINE.loop, realtime=False, seed=seed)
    with driver.create(driver.find("table"), config) as camera:
        return camera.read(60.0)


def true_labels(tabletop: Tabletop, intrinsics: Intrinsics) -> np.ndarray:
    """Which body each pixel shows, (H, W): 0 = none, then the place in ``bodies`` and 1."""
    view = look(tabletop.stage(), intrinsics)
    assert view is not None
    labels = np.zeros(view.depth_m.shape, int)
    for number, body in enumerate(tabletop.bodies, 1):
        labels[view.shows(body.mesh)] = number
    return labels


def judge(tally: Tally, seed: int, frame: Frame, depth_m: DepthMap) -> GraspScene:
    """Find grasps and count what they are worth."""
    tabletop = Tabletop(seed)
    started_s = time.process_time()
    scene = find_grasps(depth_m, frame.intrinsics, sight=Sight(frame.color, frame.depth_m))
    tally.ms.append(1000 * (time.process_time() - started_s))
    truth, labels = TrueScene(tabletop), true_labels(tabletop, frame.intrinsics)
    for number, body in enumerate(tabletop.bodies):
        own = labels == number + 1
        count = np.bincount(scene.labels[own], minlength=len(scene.things) + 1)
        count[0] = 0
        best = int(count.argmax())
        tally.there[body.kind] += 1
        # Most of what is seen of it, and most of what is taken for it.
        if count[best] <= 0.5 * max(own.sum(), (scene.labels == best).sum()):
            continue
        tally.found[body.kind] += 1
        top = scene.of(best - 1)[:TOP]
        tally.held[body.kind] += any(truth.holds(grasp, Gripper()) == number for grasp in top)
    return scene


def run(scenes: int = SCENES) -> list[Row]:
    refiner = create_guided(RefinerConfig("guided"))
    raw, refined = Tally(), Tally()
    for seed in range(scenes):
        frame = table_frame(seed)
        judge(raw, seed, frame, frame.depth_m)
        judge(refined, seed, frame, refiner.refine(frame).depth_m)
    return rows(raw, refined)


def rows(raw: Tally, refined: Tally) -> list[Row]:
    hard = {body.kind for body in Tabletop(0).bodies if not body.is_opaque}
    opaque = set(refined.there) - hard
    kinds = [("opaque things", opaque), ("glass and steel", hard)]
    kinds += [(kind, {kind}) for kind in sorted(refined.there)]
    out: list[Row] = []
    for what, of in kinds:
        for word in ("found", "held"):
            ours, peer = (tally.percent(getattr(tally, word), of) for tally in (refined, raw))
            out.append(
                (f"{what}: {word}, % of {sum(refined.there[k] for k in of)}", ours, "raw", peer)
            )
    return [*out, ("grasps of a frame, processor ms", float(np.median(refined.ms)), "bar", 150.0)]
