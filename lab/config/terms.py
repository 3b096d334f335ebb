"""The settings of the loss's terms: which prediction head predicts which token, and at which positions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, WrapSerializer, model_serializer

from lab.config.settings import Settings
from lab.errors import LabError, check_head
from tasks import Task
from tasks.core.base import PADDING

ALL: Any = "all"
"""Every prediction head i predicts token t + i at every position: the text in a file for None."""


def _to_roles(value: Any) -> Any:
    """Accept the name of a role, or a list of names."""
    names = (value,) if isinstance(value, str) else value
    if value is not None and (not isinstance(names, (list, tuple)) or not names or not all(isinstance(n, str) for n in names)):
        raise ValueError(f"objective.terms: roles must be a name or a list of names, not {value!r}")
    return None if value is None else tuple(names)


Roles = Annotated[tuple[str, ...] | None, BeforeValidator(_to_roles)]


class Term(Settings):
    """A target of one prediction head: the token some positions ahead, where both have these roles."""

    head: int = Field(ge=1)
    """Prediction head, counted from 1."""
    ahead: int | None = Field(None, ge=1)
    """Positions from t to the target; null for i of head i."""
    target: Roles = None
    """Roles of the target; null for all."""
    except_target: Roles = None
    """Roles that the target must not have."""
    position: Roles = None
    """Roles of the token at position t, where the head predicts the target; null for all."""
    except_position: Roles = None
    """Roles that the token at position t must not have."""

    @property
    def distance(self) -> int:
        """Positions from t to the target."""
        return self.head if self.ahead is None else self.ahead

    def targets(self, roles: Sequence[str]) -> list[bool]:
        """Return for each role whether its tokens are targets."""
        return _chosen(roles, self.target, self.except_target)

    def positions(self, roles: Sequence[str]) -> list[bool]:
        """Return for each role whether the head has targets at its tokens."""
        return _chosen(roles, self.position, self.except_position)

    def describe(self) -> str:
        """Describe the target of the head at position t."""
        words = [f"token t+{self.distance}"]
        for names, word in ((self.target, "where it is"), (self.except_target, "unless it is")):
            words += [f"{word} {' or '.join(names)}"] if names else []
        for names, word in ((self.position, "where token t is"), (self.except_position, "unless token t is")):
            words += [f"{word} {' or '.join(names)}"] if names else []
        return " ".join(words)

    def check(self, n: int, task: Task, *, teacher_forced: bool) -> None:
        """Raise a ValueError if the term does not fit the prediction heads or the task."""
        try:
            check_head(self.head, n, "objective.terms: head")
        except LabError as error:
            raise ValueError(str(error)) from error
        if self.distance >= task.length:
            raise ValueError(f"objective.terms: ahead must be below {task.length}, the sequence length, not {self.distance}")
        if teacher_forced and self.distance < self.head:
            raise ValueError(
                f"objective.terms: ahead of head {self.head} must be at least {self.head}, not {self.distance}: with these "
                "model.heads it reads the tokens before"
            )
        known = [role for role in task.roles if role != PADDING]
        for setting in ("target", "except_target", "position", "except_position"):
            for name in getattr(self, setting) or ():
                if name not in known:
                    raise ValueError(
                        f"objective.terms: {setting} must be roles of {task.name} ({', '.join(known)}), not {name!r}"
                    )
        for one, other in (("target", "except_target"), ("position", "except_position")):
            if getattr(self, one) and getattr(self, other):
                raise ValueError(f"objective.terms: {one} and {other} exclude each other")

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


def _read_terms(value: Any) -> Any:
    """Accept `all`, or a list of terms."""
    if value == ALL:
        return None
    if isinstance(value, (list, tuple)) and value:
        return tuple(value)
    raise ValueError(f"objective.terms must be all or a list of terms, as [{{head: 1}}], not {value!r}")


def _write_terms(value: Any, handler: SerializerFunctionWrapHandler) -> Any:
    return ALL if value is None else handler(value)


Terms = Annotated[tuple[Term, ...] | None, BeforeValidator(_read_terms), WrapSerializer(_write_terms)]
"""Terms of a loss; None for all, which a file states as `all`."""


def _chosen(roles: Sequence[str], names: Collection[str] | None, but: Collection[str] | None) -> list[bool]:
    return [(names is None or role in names) and role not in (but or ()) for role in roles]
