"""How many tokens does a forward pass give when further prediction heads draft them? The paper's Table S2, on stories.

Models of 4 and of 8 prediction heads tell stories; heads 2..k draft and head 1 verifies (Stern et al. 2018), so that the output
is that of head 1 alone. Width, steps, learning rate and the number of names were chosen on seed 900, by losses and accuracies
alone and before anything was decoded.

    lab reproduce s2      16 runs, about an hour on one core
"""

from __future__ import annotations

from typing import Any

from lab.reproduce.speculation import speculation_study
from lab.reproduce.speculation.configuration import Speculation

STORIES: dict[str, Any] = {
    "fresh": 0.5,
    "unseen": 0.0,
    "first_names": 16,
    "second_names": 16,
    "names": 86,
}
"""Stories with few name tokens in many pairs, so that small models learn within minutes to copy names."""

MODEL: dict[str, Any] = {
    "model.width": 64,
    "model.layers": 4,
    "model.matched": "layers",
    "evaluation.every": 200,
    "evaluation.examples": 256,
    "evaluation.measures.induction": 0,
}
"""A trunk of three layers, and prediction heads of one."""

SPECULATION = Speculation(
    name="s2",
    title="Self-speculative decoding of stories at {scale} scale (Table S2)",
    expectation="""\
Tokens per forward grow with the number of heads used, each further head adding less than the one before, as in the paper.
With the same number of heads used, we expect 1.8 to 1.9 for 2 heads, 2.4 to 2.7 for 3, 2.9 to 3.3 for 4, close to the \
paper's, and 4 to 5 for 8: a story has a choice point about every four tokens (a telling, a word, a character), and a draft \
rarely survives two of them.
The model of 8 heads drafts no better with 4 of them than the model of 4 heads does.
Drafts fail where entropy is high: at first tokens of names and at words, and not at second tokens of repeated names nor at \
the end.
Wall time gains less than tokens per forward do: a pass of 4 heads computes 7 layers where head 1 alone needs 4.""",
    scales={
        "laptop": {
            "task": "stories",
            **{f"task.{name}": value for name, value in STORIES.items()},
            **MODEL,
            "optimiser.peak_lr": 1.2e-2,
            "batch_size": 16,
            "steps": 400,
        }
    },
    n_futures=(4, 8),
    seeds=range(400, 408),
    prompt=16,
    new_tokens=72,
    paper={
        1: {
            "tokens_per_forward": {"wiki": 1.00, "books": 1.00, "code": 1.00},
            "speedup": {"wiki": 1.00, "books": 1.00, "code": 1.00},
        },
        2: {
            "tokens_per_forward": {"wiki": 1.88, "books": 1.87, "code": 1.94},
            "speedup": {"wiki": 1.79, "books": 1.77, "code": 1.85},
        },
        3: {
            "tokens_per_forward": {"wiki": 2.57, "books": 2.56, "code": 2.78},
            "speedup": {"wiki": 2.35, "books": 2.32, "code": 2.54},
        },
        4: {
            "tokens_per_forward": {"wiki": 3.12, "books": 3.09, "code": 3.50},
            "speedup": {"wiki": 2.74, "books": 2.67, "code": 3.05},
        },
    },
)

STUDY = speculation_study(SPECULATION)
