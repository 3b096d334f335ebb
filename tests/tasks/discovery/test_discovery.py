import itertools
import math

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import tasks
from tasks import SPLITS, Task, TaskError

SIBLING = tasks.get("discovery", parents=8, children=24)
TRIANGLE = tasks.get("discovery", kind="triangle")
BOTH = pytest.mark.parametrize("task", [SIBLING, TRIANGLE], ids=["sibling", "triangle"])


def graph_of(task: Task) -> nx.Graph:
    """Build the graph from the valid sequences: edges of parent and child, or of any two of three nodes."""
    graph = nx.Graph()
    for first, second, third in task.valid.tolist():
        if task.kind == "triangle":
            graph.add_edge(first, second)
        graph.add_edges_from([(first, third), (second, third)])
    return graph


def canonical(task: Task, sequence: tuple[int, ...]) -> tuple[int, ...]:
    return (*sorted(sequence[:2]), sequence[2]) if task.kind == "sibling" else tuple(sorted(sequence))


def judge_by_networkx(task: Task, tokens: np.ndarray, known: set[tuple[int, ...]]) -> dict[str, float]:
    """Judge samples one by one, with networkx and sets."""
    graph = graph_of(task)
    valid = []
    for begin, first, second, third in tokens.tolist():
        if begin != 0 or first == second or not {first, second, third} <= set(graph.nodes):
            continue
        if task.kind == "sibling":
            right = third <= task.parents and first > task.parents and {first, second} <= set(graph[third])
        else:
            right = graph.subgraph({first, second, third}).number_of_edges() == 3
        if right:
            valid.append(canonical(task, (first, second, third)))
    novel = [each for each in valid if each not in known]
    different = len(set(novel))
    return {
        "valid": len(valid) / len(tokens),
        "novel": len(novel) / len(valid) if valid else 0.0,
        "unique": different / len(novel) if novel else 0.0,
        "creative": different / len(tokens),
    }


def training_instances(task: Task) -> set[tuple[int, ...]]:
    sequences = np.concatenate([task.batch(seed, 0, 20_000).tokens[:, 1:] for seed in range(2)])
    return {canonical(task, tuple(sequence)) for sequence in sequences.tolist()}


def test_families_have_their_children_and_are_disjoint() -> None:
    graph = graph_of(SIBLING)
    assert sorted(map(len, nx.connected_components(graph))) == [25] * 8
    assert all(graph.degree[parent] == 24 for parent in range(1, 9))
    assert all(graph.degree[child] == 1 for child in range(9, 201))
    assert len(SIBLING.valid) == 8 * math.comb(24, 2)


@given(st.integers(4, 30), st.integers(3, 29))
@settings(max_examples=25, deadline=None)
def test_the_valid_triangles_agree_with_networkx(nodes: int, degree: int) -> None:
    degree = min(degree, nodes - 1)
    try:
        task = tasks.get("discovery", kind="triangle", nodes=nodes, degree=degree)
    except TaskError:
        return  # a graph with too few triangles is rejected, as tested below
    graph = graph_of(task)
    found = {
        (*edge, other) for edge in map(sorted, graph.edges) for other in nx.common_neighbors(graph, *edge) if other > edge[1]
    }
    assert found == set(map(tuple, task.valid.tolist()))
    assert len(found) == len(task.valid) == sum(nx.triangles(graph).values()) // 3


def test_the_graph_depends_on_settings_alone() -> None:
    np.testing.assert_array_equal(TRIANGLE.valid, tasks.get("discovery", kind="triangle", train_share=0.25).valid)
    assert not np.array_equal(tasks.get("discovery", kind="triangle", nodes=49).valid[:50], TRIANGLE.valid[:50])
    family = np.flatnonzero(SIBLING.valid[:, 2] == 1)
    assert set(SIBLING.valid[family, :2].ravel().tolist()) != set(range(9, 33)), "ids must not reveal parents"


@BOTH
def test_the_splits_divide_all_valid_sequences_exactly(task: Task) -> None:
    seen = {}
    for split in SPLITS:
        sequences = np.concatenate([task.batch(0, index, 8000, split).tokens[:, 1:] for index in range(3)])
        seen[split] = {canonical(task, tuple(sequence)) for sequence in sequences.tolist()}
    every = set(map(tuple, task.valid.tolist()))
    assert set.union(*seen.values()) == every
    assert sum(map(len, seen.values())) == len(every)
    assert len(seen["train"]) == round(len(every) / 2)
    assert abs(len(seen["validation"]) - len(seen["test"])) <= 1


@BOTH
def test_training_sequences_are_uniform_in_any_order(task: Task) -> None:
    tokens = task.batch(0, 0, 40_000).tokens
    assert (tokens[:, 0] == 0).all()
    _, counts = np.unique(task.instances(tokens), axis=0, return_counts=True)
    assert stats.chisquare(counts).pvalue > 1e-3
    free = 2 if task.kind == "sibling" else 3
    orders = np.unique(tokens[:, 1 : 1 + free].argsort(axis=1), axis=0, return_counts=True)[1]
    assert len(orders) == math.factorial(free)
    assert stats.chisquare(orders).pvalue > 1e-3


@BOTH
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_judging_samples_agrees_with_networkx(task: Task, noise: float) -> None:
    rng = np.random.default_rng(1)
    sequences = np.concatenate([task.batch(0, index, 60, split).tokens for index, split in enumerate(SPLITS)])
    sequences = np.concatenate([sequences, sequences[:90]])  # some samples are repeated
    random = rng.integers(task.vocab_size, size=sequences.shape)
    changed = rng.random(sequences.shape) < noise
    changed[:, 0] = False
    samples = np.where(changed, random, sequences)
    measured, expected = task.judge(samples), judge_by_networkx(task, samples, training_instances(task))
    assert measured == pytest.approx(expected)
    assert measured["creative"] == pytest.approx(measured["valid"] * measured["novel"] * measured["unique"])
    if noise == 0:
        assert measured["valid"] == 1
        assert 0 < measured["unique"] < 1


@BOTH
def test_training_sequences_are_valid_but_not_novel(task: Task) -> None:
    assert task.judge(task.batch(0, 0, 200).tokens) == {"valid": 1.0, "novel": 0.0, "unique": 0.0, "creative": 0.0}
    assert set(task.judge(np.zeros((5, 4), dtype=np.int64)).values()) == {0.0}
    swapped = task.batch(0, 0, 200).tokens[:, [0, 2, 1, 3]]
    assert task.judge(swapped)["novel"] == 0


def exact_losses(sequences: list[tuple[int, ...]]) -> np.ndarray:
    """Compute -ln of the probability of each token given those before it, for equally likely sequences."""
    prefixes: dict[tuple[int, ...], int] = {}
    for sequence, end in itertools.product(sequences, range(4)):
        prefixes[sequence[:end]] = prefixes.get(sequence[:end], 0) + 1
    return np.array(
        [[math.log(prefixes[sequence[:t]] / prefixes[sequence[: t + 1]]) for t in range(3)] for sequence in sequences]
    )


@BOTH
def test_the_optimum_is_exact_by_enumeration(task: Task) -> None:
    free = 2 if task.kind == "sibling" else 3
    sequences = [
        (*order, *sequence[free:]) for sequence in task.valid.tolist() for order in itertools.permutations(sequence[:free])
    ]
    optimum = task.optimum(np.array([(0, *sequence) for sequence in sequences]))
    np.testing.assert_allclose(optimum[:, 1:], exact_losses(sequences), atol=1e-9)
    assert (optimum[:, 0] == 0).all()


def test_siblings_have_floors_and_triangles_none() -> None:
    optimum = SIBLING.optimum(SIBLING.batch(0, 0, 500, "validation").tokens)
    for index, role in enumerate(SIBLING.roles[1:]):
        np.testing.assert_allclose(optimum[:, index], SIBLING.floor(role), atol=1e-12)
    assert SIBLING.floor("child_first") == pytest.approx(math.log(192))
    assert SIBLING.floor("child_second") == pytest.approx(math.log(23))
    assert SIBLING.floor("parent") == 0
    assert all(TRIANGLE.floor(role) is None for role in TRIANGLE.roles if role != "begin")


@BOTH
def test_chances_are_the_shares_of_the_commonest_node(task: Task) -> None:
    free = 2 if task.kind == "sibling" else 3
    for index, role in enumerate(task.roles[2:]):
        column = task.valid[:, :free].ravel() if index < free else task.valid[:, index]
        assert task.chance(role) == pytest.approx(np.bincount(column).max() / len(column))
    assert task.chance("begin") is None


@pytest.mark.parametrize(
    ("kind", "line", "message"),
    [
        ("sibling", "0 9 9 1", "c9 c9 p1 is not two children of one parent and then that parent$"),
        ("sibling", "0 1 9 1", "p1 c9 p1 is not two children"),
        ("triangle", "0 1 1 2", "n1 n1 n2 is not a triangle"),
        ("triangle", "1 1 1 2", "token 0 must be 0, with which every sequence begins, not 1"),
    ],
)
def test_sequences_that_the_graph_does_not_allow_are_rejected(kind: str, line: str, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("discovery", kind=kind).parse(line)


def test_the_right_parent_of_siblings_is_named() -> None:
    first, second, parent = SIBLING.valid[100].tolist()
    with pytest.raises(TaskError, match=f"then that parent, which is {parent} .p{parent}.$"):
        SIBLING.parse(f"0 {second} {first} {parent % 8 + 1}")
    assert SIBLING.parse(f"0 {second} {first} {parent}").tokens.tolist() == [[0, second, first, parent]]
    assert SIBLING.instance_count() == (8 * math.comb(24, 2), "exact")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "cousin"}, "kind must be one of sibling, triangle"),
        ({"parents": 1}, "parents must be at least 2"),
        ({"children": 2}, "children must be at least 3, with a pair for each split"),
        ({"children": 1300}, "children must be so small that with parents = 5 there are at most 4,000,000 valid sequences"),
        (
            {"parents": 2, "children": 3},
            r"train_share must be a share that gives each split at least one of the pairs of children of a parent, here 3, not",
        ),
        ({"nodes": 3}, "nodes must be between 4 and 1024"),
        ({"nodes": 12}, "degree must be between 1 and nodes - 1 = 11, not 12"),
        ({"kind": "triangle", "nodes": 1024, "degree": 400}, "degree must be so small that there are at most"),
        ({"kind": "triangle", "degree": 1}, "degree must be large enough that 48 nodes with random links have 3 tri"),
        ({"kind": "triangle", "nodes": 4, "degree": 2}, r"degree must be large enough that 4 nodes .* one for each split"),
        ({"kind": "triangle", "nodes": 4, "degree": 3, "train_share": 0.9}, r"one of the triangles, here 4, not 0\.9"),
        ({"train_share": 0.0}, "train_share must be between 0 and 1"),
        ({"train_share": 1.0}, "train_share"),
    ],
)
def test_bad_settings_and_impossible_graphs_are_rejected_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("discovery", **wrong)


def test_the_parent_is_known_from_the_first_child_on() -> None:
    task = tasks.get("discovery", parents=3, children=4)
    batch = task.batch(0, 0, 64)
    parent = task.latents(batch)["parent"]
    assert (parent[:, 0] == -1).all()
    assert (parent[:, 1:] == batch.tokens[:, 3:] - 1).all()
    assert tasks.get("discovery", kind="triangle", nodes=12, degree=8).latents(batch) == {}
