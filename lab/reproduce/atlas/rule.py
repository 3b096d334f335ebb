"""A rule that says where further prediction heads help, applied to every task before its runs.

The rule comes from agreement (results/agreement, results/reach). There a model learns a look-up quickly if it is asked for
the result at the position from which the look-up starts, and slowly if it is asked later, where the start of the look-up must
be fetched first. Prediction head i asks for the token at position t at position t - i, i - 1 positions before the next-token
question.

For a target, `steps(i)` counts the attention layers that a transformer needs one after the other to compute all that is known
of the target from the tokens up to position t - i: one for each look-up by content or by relative position whose result the
next look-up needs. `informed(i)` is whether the tokens up to t - i say more about the target than its distribution by role.

1. A further head helps if for some hard target (at least two steps for the next token) some head i > 1 is informed and needs
   fewer steps than the next-token question: its question is learnt first, and its result is what the next-token question
   needs.
2. It helps by how many steps it saves: the score is the largest saving over targets and heads.
3. Where every informed head needs at least as many steps, nothing is gained, and the further targets cost: the score is 0 if
   they need as many, and -1 if those of most further targets need more, so that they are learnt later than the next token and
   compete with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SEEN = ("agreement", "star", "induction", "stories", "choice")
"""Tasks whose runs had been seen when the rule was written; for the others the scores are predictions."""


@dataclass(frozen=True)
class Application:
    """The rule applied to a task at its default settings.

    Attributes:
        target: The hardest target that decides the score.
        next_token: Steps that the next-token question needs for it.
        further: Steps that the best informed further head needs for it; None if none is informed.
        compete: Whether most further targets need more steps than the next-token ones.
        why: The reason in words.
    """

    target: str
    next_token: int
    further: int | None
    compete: bool
    why: str

    @property
    def score(self) -> int:
        """Steps saved; 0 if none are, -1 if further targets compete."""
        saved = 0 if self.further is None or self.next_token < 2 else self.next_token - self.further
        return saved if saved > 0 else -int(self.compete)


RULE: Mapping[str, Application] = {
    "agreement": Application(
        "case_first",
        3,
        2,
        compete=False,
        why="At the key: match the key, read case from verb; one position later the key must be fetched first.",
    ),
    "induction": Application(
        "copy",
        2,
        2,
        compete=True,
        why="Token t + 2 is two after the last occurrence of token t: the same match, and one more position to read from.",
    ),
    "stories": Application(
        "second_again",
        2,
        None,
        compete=True,
        why="Before the first name nobody knows who is named; the second name follows from the first at once.",
    ),
    "bigram": Application(
        "copy",
        2,
        None,
        compete=True,
        why="Which token comes after the next depends on the next, which is drawn; only the statistics of two steps are known.",
    ),
    "markov": Application(
        "all",
        2,
        3,
        compete=True,
        why="Token t + 2 follows the square of the counted transition matrix, which needs a further sum over states.",
    ),
    "belief": Application(
        "all",
        2,
        3,
        compete=True,
        why="The same belief, mixed once more by the chain: never fewer steps than the next symbol.",
    ),
    "choice": Application(
        "consequence",
        1,
        None,
        compete=False,
        why="The option is drawn: before it nothing is known of its consequences, after it they are one look-up away.",
    ),
    "recall": Application(
        "answer",
        2,
        None,
        compete=False,
        why="The query is drawn: one position before it nobody knows what is asked.",
    ),
    "discovery": Application(
        "child",
        2,
        1,
        compete=False,
        why="The second child depends on the parent, which comes last: head 2 asks for it at the first child, a single look-up "
        "in the weights, while the next-token question needs the parent and then its children.",
    ),
    "star": Application(
        "turn",
        3,
        1,
        compete=False,
        why="At the goal heads 2 and 3 ask for the goal's predecessors, one or two look-ups back; the first step is the last.",
    ),
    "modular": Application(
        "answer",
        1,
        1,
        compete=False,
        why="The answer can be asked one position before, where both operands are known as well: the same single step.",
    ),
    "polynomial": Application(
        "answer",
        3,
        3,
        compete=True,
        why="A coefficient of the answer needs the whole expression, and farther ones no less than the next.",
    ),
    "addition": Application(
        "carry",
        2,
        3,
        compete=True,
        why="Digits are reversed: a farther digit needs the carries of those between, which the next digit has behind it.",
    ),
    "maze": Application(
        "forced",
        1,
        2,
        compete=True,
        why="The next step is one look-up in the list of edges, the one after it two; turns are drawn.",
    ),
    "spelled": Application(
        "copy",
        2,
        2,
        compete=True,
        why="As induction: one symbol further on is the same match, read from one more position.",
    ),
}
"""Each task at its default settings. `satisfiability` and `countdown` came later and are not part of the atlas."""
