"""The division of star graphs into splits."""

from typing import Any

import numpy as np
import pytest

import tasks
from tasks.core.division import split_of
from tests.helpers.stars import FORMS, VARIED


def test_the_order_of_edges_does_not_change_an_instance() -> None:
    task = tasks.get("star", degree=2, arm=3, nodes=8, form="public")
    one, other = (task.parse(f"{edges}/7,1=7,3,1") for edges in ("3,1|7,2|2,5|7,3", "7,3|2,5|7,2|3,1"))
    np.testing.assert_array_equal(task.instances(one.tokens), task.instances(other.tokens))
    short = tasks.get("star", degree=2, arm=3, nodes=8)
    same = short.parse("7,3|2,5|7,2|3,1/7,1=7,3,1")
    np.testing.assert_array_equal(short.instances(same.tokens), task.instances(one.tokens))


@pytest.mark.parametrize(("degree", "arm", "nodes", "form"), [(2, 2, 3, "public"), (2, 3, 6, "short"), (3, 2, 5, "public")])
def test_few_graphs_are_divided_exactly(degree: int, arm: int, nodes: int, form: str) -> None:
    task = tasks.get("star", degree=degree, arm=arm, nodes=nodes, form=form)
    found = {}
    for split in tasks.SPLITS:
        rows = np.concatenate([task.instances(task.batch(0, index, 500, split).tokens) for index in range(16)])
        found[split] = {tuple(row) for row in rows.tolist()}
    every = set.union(*found.values())
    count, kind = task.instance_count()
    assert (sum(map(len, found.values())), len(every), kind) == (count, count, "exact")
    assert len(found["validation"]) == len(found["test"]) == max(1, round(count / 16))
    assert {tuple(row) for row in task.every_instance().tolist()} == every


def test_both_forms_and_spelling_keep_the_split_of_a_graph() -> None:
    short, public = (tasks.get("star", degree=2, arm=3, nodes=6, form=form) for form in ("short", "public"))
    spelled = tasks.get("spelled", task=public)
    found = [
        {tuple(row) for row in task.instances(task.batch(0, 0, 3000, "test").tokens).tolist()}
        for task in (short, public, spelled)
    ]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("varied", VARIED, ids=str)
@pytest.mark.parametrize("nodes", [7, 12])
def test_both_forms_keep_the_split_of_a_varied_graph(varied: dict[str, Any], nodes: int) -> None:
    """With 12 nodes there are too many of the largest graphs to be ranked."""
    short, public, backwards = (
        tasks.get("star", arm=4, nodes=nodes, form=form, direction=direction, **varied)
        for form, direction in (FORMS[0], FORMS[2], FORMS[3])
    )
    spelled = tasks.get("spelled", task=public)
    batch = short.draw(np.random.default_rng(0), 200, "train")
    lines = [short.format(batch.row(number)) for number in range(200)]
    same = np.concatenate([public.parse(line).tokens for line in lines])
    back = np.concatenate([backwards.parse(reverse_path(line)).tokens for line in lines])
    of_short = short.instances(batch.tokens), split_of(short, batch.tokens)
    for task, tokens in ((public, same), (backwards, back), (spelled, spelled.code[same].reshape(200, -1))):
        np.testing.assert_array_equal(task.instances(tokens), of_short[0])
        np.testing.assert_array_equal(split_of(task, tokens), of_short[1])


def reverse_path(line: str) -> str:
    edges, _, path = line.partition("=")
    return f"{edges}={','.join(path.split(',')[::-1])}"


def test_many_graphs_are_divided_by_a_hash() -> None:
    assert tasks.get("star").every_instance() is None
