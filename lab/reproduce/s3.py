"""How many symbols does a forward pass give in a finer alphabet? The paper's Table S3 (bytes), on spelled stories.

The stories of `s2`, each token spelled by two symbols of an alphabet of 24. Models have 8 prediction heads, as the paper's
byte-level model. A first series (seeds 400 to 407, 600 steps) did not know the stories, and its expectation failed. So this one
trains 2000 steps, on fresh seeds, with the same expectation. Rate and steps were chosen from two tries with seed 900 by loss
and accuracy alone: after 2000 of 3000 steps head 1 predicted the first symbols of repeated second names in 0.77 at a rate of
8e-3, in 0.65 at 4e-3.

    lab reproduce s3      8 runs, about 70 minutes on one core
"""

from __future__ import annotations

from lab.reproduce.s2 import MODEL, STORIES
from lab.reproduce.speculation import speculation_study
from lab.reproduce.speculation.configuration import Speculation

SPECULATION = Speculation(
    name="s3",
    title="Self-speculative decoding of spelled stories at {scale} scale (Table S3)",
    expectation="""\
Tokens here are symbols, two for each token of the stories.
With 2 heads we expect 1.85 to 1.95 symbols per forward, with 4 heads 3.2 to 3.7, and with 8 heads 5 to 6.5: below the paper's \
7.04, since its 8 bytes are about two tokens and our 8 symbols are four.
With 2k heads a forward should give about twice the symbols, that is the same number of the stories' tokens, that k heads give \
in `s2`.
Drafts fail at first symbols, which decide a token, and rarely at second symbols, which complete its spelling.""",
    scales={
        "laptop": {
            "task.name": "spelled",
            "task.task.name": "stories",
            **{f"task.task.{name}": value for name, value in STORIES.items()},
            "task.base": 24,
            "task.symbols": 2,
            **MODEL,
            "optimiser.peak_lr": 8e-3,
            "batch_size": 8,
            "steps": 2000,
        }
    },
    n_futures=(8,),
    seeds=range(410, 418),
    prompt=32,
    new_tokens=144,
    paper={
        1: {"tokens_per_forward": {"bytes": 1.00}, "speedup": {"bytes": 1.00}},
        2: {"speedup": {"bytes": 1.94}},
        4: {"speedup": {"bytes": 3.67}},
        8: {"tokens_per_forward": {"bytes": 7.04}, "speedup": {"bytes": 6.39}},
    },
)

STUDY = speculation_study(SPECULATION)
