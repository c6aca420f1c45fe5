"""Poses that agree with all motions measured between them, by Open3D's pose graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lingbot_live.frame import Matrix

_PRUNE = 0.25  # a loop that agrees less with the others than this is dropped
_MOST_M = 0.5  # about the largest gap that a loop may close; beyond it counts as mistaken


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """A motion between two poses."""

    a: int
    b: int
    T_a_b: Matrix  # (4, 4)
    information: Matrix  # (6, 6) of a small turn and move in b's axes
    is_loop: bool = False  # a place recognised: may be wrong


def optimised(poses: Sequence[Matrix], edges: Sequence[Edge]) -> list[Matrix]:
    """Return the poses (4, 4) moved so that they fit the edges best; the first one stays.

    Levenberg-Marquardt with line processes that switch wrong loops off (Choi, Zhou, Koltun,
    CVPR 2015).
    """
    import open3d as o3d

    steps = o3d.pipelines.registration
    graph = steps.PoseGraph()
    for pose in poses:
        graph.nodes.append(steps.PoseGraphNode(pose))
    for edge in edges:
        graph.edges.append(
            steps.PoseGraphEdge(
                edge.b, edge.a, edge.T_a_b, edge.information, uncertain=edge.is_loop
            )
        )
    steps.global_optimization(
        graph,
        steps.GlobalOptimizationLevenbergMarquardt(),
        steps.GlobalOptimizationConvergenceCriteria(),
        steps.GlobalOptimizationOption(_MOST_M, _PRUNE, reference_node=0),
    )
    first = np.linalg.inv(np.asarray(graph.nodes[0].pose))
    return [first @ np.asarray(node.pose) for node in graph.nodes]
