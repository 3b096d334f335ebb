"""Kinds of prediction heads: one table with everything that is known of a kind without building a network.

A new kind is one class in lab/model/heads.py and one entry in `KINDS`; a kind of your own is a `HeadKind` in any importable
module, which `model.heads: "module:name"` names. Depth, parameters and FLOPs, help texts, tests and docs follow from the entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from lab.errors import LabError
from lab.registry import load_entry


@dataclass(frozen=True)
class ParameterCounts:
    """Parts of a network, counted; d is the width.

    Attributes:
        attentions: Attention blocks of 4 d^2 parameters.
        mlps: Feed-forward blocks, whose parameters `model.mlp` determines.
        square_matrices: Other d x d matrices, each multiplied once with every position. A fraction counts a smaller one: a
            product of (d, d / 4) and (d / 4, d) is 1/2.
        norms: Norms of d weights.
    """

    attentions: int = 0
    mlps: int = 0
    square_matrices: int | Fraction = 0
    norms: int = 0

    def __add__(self, other: ParameterCounts) -> ParameterCounts:
        return ParameterCounts(
            self.attentions + other.attentions,
            self.mlps + other.mlps,
            self.square_matrices + other.square_matrices,
            self.norms + other.norms,
        )

    def __mul__(self, count: int) -> ParameterCounts:
        return ParameterCounts(self.attentions * count, self.mlps * count, self.square_matrices * count, self.norms * count)

    @property
    def layers(self) -> int:
        """Whole transformer layers: an attention and a feed-forward block each. Anything smaller adds no depth."""
        return min(self.attentions, self.mlps)


LAYER = ParameterCounts(attentions=1, mlps=1, norms=2)
MATRIX = ParameterCounts(square_matrices=1)
NOTHING = ParameterCounts()


@dataclass(frozen=True)
class HeadKind:
    """A kind of prediction heads.

    Attributes:
        module: The class, as "module:Class"; lab/model/heads.py says what it has to provide.
        first: Parts of head 1.
        further: Parts of each of the heads 2..N.
        shared: Parts that heads 2..N share, if N > 1. At each position they read a sequence of N entries of its own: parameters
            count once, products N times, and attention is over N entries.
        on_path: Whether heads 2..N lie on the next-token path as well, and not head 1 alone.
        teacher_forced: Whether head i reads the tokens up to t + i - 1, in training and evaluation, and not only up to t.
        independent: Whether each head reads the trunk alone, through `context.head_input`, and no state of another head: heads
            2..N can read an earlier layer (`model.head_layer`), and those without attention be computed at one position alone.
        stackable: Whether head i is `layers[i - 1]` of the class, a `lab.model.layers.Layer`, on the trunk's output, so that
            decoding can compute several heads as one.
        replicated: Whether each head has an unembedding of its own.
        continues_trunk: Whether the first heads of a network can serve as the last trunk layers of one with fewer heads, so
            that an ensemble can train both.
        formula: The hidden state h_i of head i from the trunk's output z, for the docs.
        use: When to use it, for the docs.
        source: Where it comes from, for the docs.
    """

    module: str
    first: ParameterCounts = LAYER
    further: ParameterCounts = LAYER
    shared: ParameterCounts = NOTHING
    on_path: bool = False
    teacher_forced: bool = False
    independent: bool = False
    stackable: bool = False
    replicated: bool = False
    continues_trunk: bool = False
    formula: str = ""
    use: str = ""
    source: str = ""

    def counts(self, n_future: int) -> ParameterCounts:
        """Count the parts of all prediction heads together."""
        return self.first + self.further * (n_future - 1) + self.shared_by(n_future)

    def shared_by(self, n_future: int) -> ParameterCounts:
        """Count the parts that heads 2..N share."""
        return self.shared if n_future > 1 else NOTHING

    def path_layers(self, n_future: int) -> int:
        """Count the transformer layers of the prediction heads that the next-token path goes through."""
        return self.counts(n_future).layers if self.on_path else self.first.layers

    def attends(self, head: int) -> bool:
        """Return whether a prediction head, counted from 1, has attention of its own."""
        return bool((self.first if head == 1 else self.further).attentions)

    def describe_inputs(self, head: int) -> str:
        """Describe which tokens a prediction head, counted from 1, reads when it predicts token t + head."""
        ahead = f"+{head - 1}, teacher-forced" if self.teacher_forced and head > 1 else ""
        return f"tokens up to t{ahead}"


KINDS: dict[str, HeadKind] = {
    "parallel": HeadKind(
        "lab.model.heads:ParallelHeads",
        independent=True,
        stackable=True,
        continues_trunk=True,
        formula="Layer_i(z)",
        use="the default, and the paper's most consistent",
        source="paper, section 2",
    ),
    "linear": HeadKind(
        "lab.model.heads:LinearHeads",
        independent=True,
        first=MATRIX,
        further=MATRIX,
        formula="W_i z",
        use="to measure how much of the effect needs no computation in the head",
        source="paper, appendix B, Tab S4",
    ),
    "replicated": HeadKind(
        "lab.model.heads:ParallelHeads",
        independent=True,
        stackable=True,
        replicated=True,
        formula="Layer_i(z), with U_i of its own",
        use="to test whether sharing the unembedding matters",
        source="Tab S4; the paper's byte models",
    ),
    "causal": HeadKind(
        "lab.model.heads:CausalHeads",
        continues_trunk=True,
        formula="Layer_i(h_(i-1)), h_0 = z",
        use="nearer predictions as stepping stones to farther ones",
        source="appendix B",
    ),
    "anticausal": HeadKind(
        "lab.model.heads:AnticausalHeads",
        on_path=True,
        formula="Layer_i(h_(i+1)), h_(n+1) = z",
        use="the farthest token first, on the way to the next",
        source="appendix B",
    ),
    "sequential": HeadKind(
        "lab.model.heads:SequentialHeads",
        further=LAYER + ParameterCounts(square_matrices=2, norms=2),
        teacher_forced=True,
        formula="Layer_i(M_i [norm(h_(i-1)); norm(E x_(t+i-1))]), h_1 = Layer_1(z)",
        use="the objective of DeepSeek-V3: no guessing across unknown tokens",
        source="arXiv 2412.19437, section 2.2",
    ),
    "residual": HeadKind(
        "lab.model.heads:ResidualHeads",
        independent=True,
        first=NOTHING,
        further=MATRIX,
        formula="h_1 = z, then z + SiLU(W_i z)",
        use="heads that cost almost nothing, as drafts",
        source="Medusa, arXiv 2401.10774, section 2.1.1",
    ),
    "bare": HeadKind(
        "lab.model.heads:BareHeads",
        independent=True,
        first=NOTHING,
        further=NOTHING,
        formula="z, or h^l for heads 2..n with `model.head_layer` l",
        use="to test whether far losses help by training lower layers",
        source="arXiv 2604.11912 (second-hand)",
    ),
    "joint": HeadKind(
        "lab.model.heads:JointHeads",
        first=NOTHING,
        further=NOTHING,
        shared=ParameterCounts(attentions=1, norms=1),
        teacher_forced=True,
        formula="h_1 = z, then z + the last output of A(s + E x_t, ..., s + E x_(t+i-1)), s = norm(z) / 2",
        use="as `sequential`, but all that a head knows of the past goes through one state",
        source="joint prediction, JTP, arXiv 2503.21801 (second-hand)",
    ),
}


def find_kind(name: str) -> HeadKind:
    """Return the kind that `model.heads` names: one of `KINDS`, or a user's own by "module:name".

    Raises:
        LabError: If there is none of this name.
    """
    if name in KINDS:
        return KINDS[name]
    if ":" not in name:
        raise LabError(f"model.heads must be one of {', '.join(KINDS)}, or module:name of your own, not {name!r}")
    return load_entry(name, HeadKind, "model.heads")
