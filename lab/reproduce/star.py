"""Does a second prediction head help to leave a plateau that next-token training may never leave, and why?

Path-star graphs (Bachmann and Nagarajan 2024): the first step of the path can only be known by reading a whole arm backwards,
while every later step can be read off the edges. Next-token models may sit at chance on that step for ever. All settings were
fixed before any of these runs; the seeds are fresh.

    lab reproduce star --scale laptop      40 runs, about 90 minutes on two cores and with a C++ compiler
"""

from __future__ import annotations

from lab.reproduce.plateau import Plateau

STUDY = Plateau(
    name="star",
    title="Star graphs at {scale} scale: who leaves the plateau?",
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
    # The second arm has the next-token path of n = 2, one layer shorter; the fourth learns the second token by a probe that
    # sends nothing to the trunk; the fifth has the same work and gradient to the trunk without information.
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
    # At the goal head 2 must find the goal's predecessor, one look-up away, where head 1 must go all the way back to the first
    # step. (A table of it was added after the runs had been seen.)
    stepping_stone="accuracy/follow/2",
    stepping_stone_label="the goal's predecessor",
    metric_pattern=r"(accuracy|loss)/(turn|follow)/\d|exact",
)
