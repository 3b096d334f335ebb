"""Synthetic frames for every figure and instrument, of any configurations."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from tests.helpers.frames import synthetic_frame

METRIC = "accuracy/case_first/1"
ROLES = ("stem", "case_first", "verb")


def metrics_of(settings: Mapping[str, Any], seed: int, step: int) -> dict[str, float]:
    """Return every metric that the figures of training draw."""
    n, rate = int(settings["n_future"]), float(settings.get("optimiser.peak_lr", 1e-3))
    share = step / (100 + 3 * seed) / (1 + 20 * rate)
    values = {
        METRIC: share,
        "prefix_matching/trunk": share / 2,
        "prefix_matching/prediction": share,
        "prefix_matching/chance": 0.1,
    }
    values |= {f"prefix_matching/trunk.{layer}/{head}": share for layer in range(2) for head in range(4)}
    values |= {f"prefix_matching/prediction.{i}/{head}": share for i in range(1, n + 1) for head in range(4)}
    values |= {f"gradient/trunk/{i}": i + share for i in range(1, n + 1)}
    values |= {f"gradient/cosine/trunk/1/{i}": share / i for i in range(2, n + 1)}
    return values | {f"gradient/share/{role}/all": 0.2 + 0.1 * index for index, role in enumerate(ROLES)}


def decoded_of(settings: Mapping[str, Any], seed: int, step: int) -> dict[str, float]:
    """Return every metric of decoding with all prediction heads."""
    n = int(settings["n_future"])
    values = {"tokens_per_forward": 1 + 0.5 * step / 100, "speedup": 1.2} | {f"acceptance/{i}": 0.9**i for i in range(2, n + 1)}
    return values | {
        f"acceptance_given_reached/{role}/{i}": min(1, 0.1 * i + 0.01 * seed + 0.2 * index)
        for index, role in enumerate(("all", *ROLES))
        for i in range(2, n + 1)
    }


def training_frame(configurations: Sequence[Mapping[str, Any]], seeds: int = 2) -> pd.DataFrame:
    """Return a frame in the form of `lab.frame`."""
    frame = synthetic_frame(configurations, metrics_of, seeds=seeds, task="agreement")
    width = frame.get("model.width", 64)
    return frame.assign(
        parameters=12 * 4 * width**2, state="finished", flops=frame["tokens"] * 1e6, seconds=frame["step"] * 0.3
    )


def decoded_frame(configurations: Sequence[Mapping[str, Any]], seeds: int = 2) -> pd.DataFrame:
    """Return a frame in the form of `decode_runs` and `time_runs` together, for configurations with n >= 2."""
    parts = []
    for batch in (1, 4, 16):
        part = synthetic_frame(configurations, decoded_of, seeds=seeds, task="agreement", steps=(0, 50, 100))
        parts += [part.assign(heads=part["n_future"], nodes=part["n_future"] - 1, batch=batch)]
        one = part[part["metric"].isin(["tokens_per_forward", "speedup"])].assign(heads=1, nodes=0, batch=batch, value=1.0)
        parts += [one]
    return pd.concat(parts, ignore_index=True).assign(parameters=1000, state="finished")


def instrument_frame(
    name: str, configurations: Sequence[Mapping[str, Any]], seeds: int = 2, steps: Sequence[int] = (100,)
) -> pd.DataFrame:
    """Return a frame in the form of `lab.inspect(name, ...)`."""
    rows = [
        {"run": f"{number}-{seed}", "task": "agreement", "seed": seed, **settings, "parameters": 1000, "state": "finished"}
        | {"step": step, "tokens": 2048.0 * step, **where, "value": value + 0.01 * seed}
        for number, settings in enumerate(configurations)
        for seed in range(seeds)
        for step in steps
        for *where_values, value in _POINTS[name](int(settings["n_future"]))
        for where in [dict(zip(_COORDINATES[name], where_values, strict=True))]
    ]
    return pd.DataFrame(rows)


def _sites(n: int) -> list[str]:
    return ["trunk.0", "trunk.1", *(f"prediction.{i}" for i in range(1, n + 1))]


_COORDINATES = {
    "ablation": ("component", "site", "attention_head", "quantity"),
    "attention": ("sequence", "site", "attention_head", "query", "key", "query_word", "key_word", "query_role", "key_role"),
    "information": ("role", "source", "quantity"),
    "offsets": ("site", "layer", "offset", "control"),
    "patching": ("component", "site", "attention_head", "position", "role", "quantity"),
    "probe": ("site", "layer", "position", "role", "target", "score", "control"),
    "choice-points": ("role", "quantity"),
    "circuits": ("quantity", "site", "attention_head", "sender"),
    "derailing": ("quantity", "role", "position"),
    "rank": ("site", "layer"),
}
_POINTS = {
    "ablation": lambda n: [
        (component, site, head, quantity, 0.2)
        for site in _sites(n)
        for component, heads in (("attention head", range(4)), ("attention", [-1]), ("mlp", [-1]), ("layer", [-1]))
        for head in heads
        for quantity in ("loss added", "accuracy lost")
    ],
    "attention": lambda n: [
        (0, f"{site}.attention.pattern", head, query, key, f"w{query}", f"w{key}", "stem", "stem", 1 / (query + 1))
        for site in _sites(n)
        for head in range(4)
        for query in range(6)
        for key in range(query + 1)
    ],
    "information": lambda n: [
        (role, source, quantity, 0.3)
        for role in ROLES
        for source in ("model", "data")
        for quantity in ("H(X|Y)", "I(X;Y)", "H(Y|X)")
    ],
    "offsets": lambda n: [
        (f"{site}.residual", layer, offset, control, 0.9 / offset)
        for layer, site in enumerate(_sites(n))
        for offset in (1, 2, 3)
        for control in ("none", "untrained network", "shuffled labels", "majority")
    ],
    "patching": lambda n: [
        *(
            (component, site, -1, position, "stem", quantity, 0.4)
            for component in ("residual", "attention", "mlp")
            for site in _sites(n)
            for position in ("change", "change+1", "answer-1")
            for quantity in ("restored", "removed")
        ),
        *(("none", "", -1, "", "", quantity, 3.0) for quantity in ("clean", "corrupted")),
    ],
    "probe": lambda n: [
        (f"{site}.residual", layer, position, "stem", target, "accuracy", control, 0.5)
        for layer, site in enumerate(_sites(n))
        for position in range(6)
        for target in ("case", "verb")
        for control in ("none", "untrained network", "shuffled labels", "majority")
    ],
    "choice-points": lambda n: [(role, quantity, float(n)) for role in ROLES for quantity in ("loss", "gradient")],
    "circuits": lambda n: [
        (quantity, site, head, sender, 0.6)
        for site in _sites(n)
        for head in range(4)
        for quantity, senders in (
            ("previous_token", [""]),
            ("prefix_matching", [""]),
            ("k_composition", [f"trunk.0/{other}" for other in range(4)] if site != "trunk.0" else []),
        )
        for sender in senders
    ],
    "derailing": lambda n: [
        *(("first error", "all", position, 0.1) for position in range(4)),
        *((quantity, "all", -1, 0.2) for quantity in ("any error", "consistent after error", "exposure gap")),
    ],
    "rank": lambda n: [(f"{site}.residual", layer, 5.0 + layer) for layer, site in enumerate(_sites(n))],
}
