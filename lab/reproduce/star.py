"""Does a second prediction head help to escape a plateau that next-token training may never escape, and why?

Path-star graphs (Bachmann and Nagarajan 2024): the first step of the path depends on a whole arm, read backwards, while
every later step follows from one edge. Next-token models may stay at chance on that step. All settings were fixed before any of
these runs, and no earlier run had these seeds.

    lab reproduce star --scale laptop      40 runs, about 90 minutes on two cores and with a C++ compiler
"""

from __future__ import annotations

from lab.reproduce.plateau import plateau_study
from lab.reproduce.plateau.configuration import Plateau

PLATEAU = Plateau(
    name="star",
    title="Star graphs at {scale} scale: which conditions escape the plateau?",
    scales={
        "laptop": {
            "task.degree": 2,
            "task.arm": 4,
            "task.nodes": 12,
            "model.width": 64,
            "model.layers": 5,
            "optimiser.peak_lr": 2e-3,
            "steps": 12_000,
            "batch_size": 32,
            "evaluation.every": 250,
            "evaluation.examples": 256,
            "evaluation.measures.induction": 0,
            "compile": "default",
        },
    },
    seeds=range(100, 108),
    # The second condition has the next-token path of n = 2, one layer shorter. The fourth learns the second token by a probe
    # that sends no gradient to the trunk. The fifth has the same work and a gradient to the trunk without information.
    families={
        "": {
            "n = 1": {"n_future": 1},
            "n = 1, depth of n = 2": {"n_future": 1, "model.layers": 4},
            "n = 2": {"n_future": 2},
            "n = 2, detached": {"n_future": 2, "objective.detached": True},
            "n = 2, shuffled": {"n_future": 2, "objective.name": "shuffled"},
        }
    },
    metric="accuracy/turn/1",
    label="accuracy on the first step",
    levels={"chance": 0.5},
    # At the goal head 2 must predict the predecessor, one look-up away; head 1 must follow the whole arm back to the first
    # step. (The table of the stepping stone was added after the runs.)
    stepping_stone="accuracy/follow/2",
    stepping_stone_label="the goal's predecessor",
    metric_pattern=r"(accuracy|loss)/(turn|follow)/\d|exact",
)

STUDY = plateau_study(PLATEAU)
