"""Names of metrics: the one place that builds and parses them.

`metrics.csv` and frames hold names as text, such as `far:accuracy/copy/1`. `Metric` is what such a name means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

EVERY_TARGET = "all"
"""Role of a metric over all scored targets."""
TEACHERLESS = "teacherless"
"""Variant of a metric that is measured with the answer hidden from the input."""
_FIELDS = {
    "role": r"(?P<role>.+)",
    "site": r"(?P<site>trunk|prediction|(?:trunk|prediction)\.(?:0|[1-9]\d*))",
    "head": r"(?P<head>[1-9]\d*)",
    "head or all": r"(?:all|(?P<head>[1-9]\d*))",
    "other_head": r"(?P<other_head>[1-9]\d*)",
    "attention_head": r"(?P<attention_head>0|[1-9]\d*)",
}
"""Pattern of each part of a name. A role may contain `/`, as `copy/1` of the task `spelled`."""


class Quantity(NamedTuple):
    """What a kind of metric measures.

    Attributes:
        label: In words; `{}` stands for what follows the table's key in a name, as `bayes` in `kl/bayes`.
        unit: `nats`, `fraction` (of 1), `score` (between -1 and 1), or nothing where it is not known or has none.
        lower_is_better: Its direction.
        parts: Keys of `_FIELDS` that follow the name, in order.
        describes: Whether it describes a run without being better in any direction.
    """

    label: str = "{}"
    unit: str = ""
    lower_is_better: bool = False
    parts: tuple[str, ...] = ()
    describes: bool = False


QUANTITIES: Mapping[str, Quantity] = {
    "loss": Quantity("loss", "nats", True, ("role", "head")),
    "accuracy": Quantity("accuracy", "fraction", False, ("role", "head")),
    "exact": Quantity("fraction of correct answers", "fraction"),
    "first": Quantity("fraction of answers with a correct first token", "fraction"),
    "icl": Quantity("in-context-learning score", "nats", True),
    "sampled": Quantity("fraction of {} samples", "fraction"),
    "forced": Quantity("fraction of {} samples with imposed choices", "fraction"),
    "kl": Quantity("divergence from the {} predictor", "nats", True),
    "sigma": Quantity("loss at importance {}", "nats", True),
    "prefix_matching": Quantity("prefix-matching score", "score", False, ("site", "attention_head")),
    "prefix_matching/chance": Quantity("prefix-matching score of uniform attention", "score"),
    "copying": Quantity("copying score", "score", False, ("site", "attention_head")),
    "train/loss": Quantity("training loss", "nats", True, ("head",)),
    "train/extra": Quantity("training loss of {}", "nats", True),
    "train/extra/latent": Quantity("distance of predicted states, training", "", True),
    "train/extra/kl": Quantity("divergence of predicted states' tokens, training", "nats", True),
    "train/gradient_norm": Quantity("gradient norm before clipping", describes=True),
    "gradient": Quantity("gradient norm", parts=("site", "head"), describes=True),
    "gradient/cosine": Quantity("cosine of gradients", "score", False, ("site", "head", "other_head")),
    "gradient/share": Quantity("share of the gradient at the trunk's output", "fraction", False, ("role", "head or all")),
    "effective_rank": Quantity("effective rank of the states", parts=("site",), describes=True),
    "tokens_per_forward": Quantity("tokens per forward pass"),
    "mean_acceptance_length": Quantity("mean acceptance length"),
    "acceptance": Quantity("acceptance rate", "fraction", False, ("head",)),
    "acceptance_given_reached": Quantity("acceptance rate of drafts that are reached", "fraction", False, ("role", "head")),
    "drafted": Quantity("drafted tokens", "", False, ("head",)),
    "accepted": Quantity("accepted tokens", "", False, ("head",)),
    "new_tokens": Quantity("new tokens"),
    "forwards": Quantity("forward passes", "", True),
    "differences": Quantity("sequences that differ from head 1 alone", "", True),
    "smallest_gap": Quantity("smallest gap between the two best logits"),
    "seconds": Quantity("wall time, seconds", "", True),
    "speedup": Quantity("speed-up in wall time"),
}
"""Every kind of metric that runs report. A task's own (`kl/bayes`) and a user's are found by the first words of their names."""
PER_HEAD = ("loss", "accuracy")
"""Quantities that every prediction head has on every role."""


@dataclass(frozen=True)
class Metric:
    """A metric of a run: `str()` gives its name in tables, `Metric.parse` the metric of a name.

    A name that is in no table, as of a user's own measure, is kept as it is: its unit is not known, and higher is better.

    Attributes:
        name: A key of `QUANTITIES`, or a task's or a user's own name.
        variant: The variant of the task that it is measured on; "" for the task itself.
        role: Role of the targets; "" for metrics of no role.
        head: Prediction head, counted from 1; None for metrics of no head, and for `gradient/share` of all heads.
        site: Where in the network: `trunk`, `trunk.<layer>` (from 0), `prediction`, `prediction.<head>` (from 1); "" for none.
        attention_head: Counted from 0; None for the strongest of the site, or metrics of no attention head.
        other_head: Second prediction head of `gradient/cosine`.
    """

    name: str
    variant: str = ""
    role: str = ""
    head: int | None = None
    site: str = ""
    attention_head: int | None = None
    other_head: int | None = None

    @classmethod
    def parse(cls, text: str) -> Metric:
        """Parse a name as it stands in `metrics.csv`; `str()` of the result is the same text."""
        variant, colon, rest = text.partition(":")
        if not variant or not colon or not rest or "/" in variant:
            variant, rest = "", text
        for name, pattern in _patterns():
            if match := pattern.fullmatch(rest):
                words = {key: value for key, value in match.groupdict().items() if value is not None}
                numbers = {key: int(value) for key, value in words.items() if key.endswith("head")}
                return cls(
                    name,
                    variant,
                    words.get("role", ""),
                    numbers.get("head"),
                    words.get("site", ""),
                    numbers.get("attention_head"),
                    numbers.get("other_head"),
                )
        return cls(rest, variant)

    def __str__(self) -> str:
        parts = [self.name]
        for part in QUANTITIES[self.name].parts if self.name in QUANTITIES else ():
            value = getattr(self, part.partition(" ")[0])
            if value is not None and value != "":
                parts.append(str(value))
            elif part == "head or all" and self.role:
                parts.append(EVERY_TARGET)
        return f"{self.variant}:{'/'.join(parts)}" if self.variant else "/".join(parts)

    @cached_property
    def quantity(self) -> Quantity:
        """The entry of `QUANTITIES`, by the whole name or its first words."""
        return QUANTITIES.get(self._key, Quantity())

    @property
    def _key(self) -> str:
        """The whole name or its first words, whichever is in `QUANTITIES`; "" without any."""
        words = self.name.split("/")
        keys = ("/".join(words[:count]) for count in range(len(words), 0, -1))
        return next((key for key in keys if key in QUANTITIES), "")

    @property
    def unit(self) -> str:
        """`nats`, `fraction`, `score`, or "" where it is not known."""
        return self.quantity.unit

    @property
    def lower_is_better(self) -> bool:
        """Whether lower values are better."""
        return self.quantity.lower_is_better

    @property
    def describes(self) -> bool:
        """Whether neither lower nor higher values are better."""
        return self.quantity.describes

    def label(self, role_label: Callable[[str], str] | None = None) -> str:
        """Return the metric in words, without its unit, as `accuracy on the copied segment (next token)`.

        Args:
            role_label: The label of a role, `Task.role_label`; without it a role is called by its name.
        """
        rest = self.name.removeprefix(self._key).removeprefix("/").replace("_", " ")
        words = self.quantity.label.format(rest) if self.quantity != Quantity() else self.name
        if self.role:
            words += f" on {_role_in_words(self.role, role_label)}"
        where = [self.site_label] if self.site else []
        if self.head is not None:
            heads = "next token" if self.head == 1 else f"prediction head {self.head}"
            where.append(heads if self.other_head is None else f"prediction heads {self.head} and {self.other_head}")
        if self.variant:
            where.append("answer hidden" if self.variant == TEACHERLESS else f"variant {self.variant}")
        return f"{words} ({', '.join(where)})" if where else words

    @property
    def site_label(self) -> str:
        """The site in words, with its attention head."""
        part, _, number = self.site.partition(".")
        words = {"trunk": "trunk layer" if number else "trunk", "prediction": "prediction head" + ("" if number else "s")}
        place = f"{words[part]} {number}".strip()
        return place if self.attention_head is None else f"{place}, attention head {self.attention_head}"

    def axis_label(self, role_label: Callable[[str], str] | None = None) -> str:
        """Return the label with its unit where it is `nats`; a fraction or a score shows its own by its range."""
        return self.label(role_label) + (", nats" if self.unit == "nats" else "")


def headline_metric(headline: str, head: int = 1) -> Metric:
    """Return a task's headline (`accuracy/copy`, `exact`) as the metric of a prediction head; other heads have no `exact`."""
    name, _, role = headline.partition("/")
    return Metric(name, role=role, head=head) if name in PER_HEAD else Metric.parse(headline)


def in_variant(variant: str, name: str) -> str:
    """Return the name of a metric as measured on a variant of a task; "" is the task itself."""
    return f"{variant}:{name}" if variant else name


def _role_in_words(role: str, role_label: Callable[[str], str] | None) -> str:
    if role == EVERY_TARGET:
        return "all scored tokens"
    return f"the {role_label(role)}" if role_label else f"{role.replace('_', ' ')} targets"


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Return a pattern for each quantity with parts, longer names first."""
    found = []
    for name in sorted(QUANTITIES, key=len, reverse=True):
        parts = [f"/{_FIELDS[part]}" for part in QUANTITIES[name].parts]
        if parts and QUANTITIES[name].parts[-1] == "attention_head":  # the strongest of a site has none
            parts[-1] = f"(?:{parts[-1]})?"
        found.append((name, re.compile(re.escape(name) + "".join(parts), re.ASCII)))
    return found


NEXT_TOKEN_LOSS = str(Metric("loss", role=EVERY_TARGET, head=1))
"""The loss that every run reports."""
