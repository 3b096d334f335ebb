import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

import tasks
from tasks import Task, TaskError

ORDERS = [1, 2]


def probability_of(sequence: tuple[int, ...], states: int, order: int, alpha: float) -> float:
    """Compute the probability of a sequence: the Dirichlet-multinomial distribution of followers in each context."""
    counts: dict[tuple[int, ...], Counter[int]] = {}
    for t in range(order, len(sequence)):
        counts.setdefault(sequence[t - order : t], Counter())[sequence[t]] += 1
    log_chance = -order * math.log(states)
    for followers in counts.values():
        log_chance += math.lgamma(states * alpha) - math.lgamma(states * alpha + followers.total())
        log_chance += sum(math.lgamma(alpha + number) - math.lgamma(alpha) for number in followers.values())
    return math.exp(log_chance)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_the_optimum_is_the_exact_posterior(order: int, alpha: float) -> None:
    task = tasks.get("markov", states=3, order=order, alpha=alpha)
    sequences = list(itertools.product(range(3), repeat=5))
    assert sum(probability_of(sequence, 3, order, alpha) for sequence in sequences) == pytest.approx(1)
    optimum = task.optimum(np.array(sequences))
    for sequence, losses in zip(sequences, optimum, strict=True):
        for t in range(5):
            exact = (
                probability_of(sequence[: t + 1], 3, order, alpha) / probability_of(sequence[:t], 3, order, alpha)
                if t >= order
                else 1 / 3
            )
            assert losses[t] == pytest.approx(-math.log(exact), abs=1e-9), (sequence, t)


@pytest.mark.parametrize("sequence", [(0, 1, 1, 0, 1, 1, 1), (1, 1, 1, 1, 0, 0, 1)])
def test_the_optimum_is_the_integral_over_all_matrices(sequence: tuple[int, ...]) -> None:
    task = tasks.get("markov", states=2, alpha=0.7)
    before = [stats.beta(0.7, 0.7)] * 2  # priors of the probabilities that a 1 follows a 0 and a 1
    for t in range(1, len(sequence)):

        def likelihood(chance: float, state: int, end: int) -> float:
            steps = [sequence[s] for s in range(1, end) if sequence[s - 1] == state]
            return math.prod(chance if step else 1 - chance for step in steps) * float(before[state].pdf(chance))

        state = sequence[t - 1]
        above, below = (integrate.quad(likelihood, 0, 1, args=(state, end))[0] for end in (t + 1, t))
        assert task.optimum(np.array([sequence]))[0, t] == pytest.approx(-math.log(above / below), abs=1e-5)


@pytest.mark.parametrize("order", ORDERS)
def test_sequences_follow_their_likelihood(order: int) -> None:
    task = tasks.get("markov", states=2, order=order, alpha=0.5)
    tokens = task.draw(np.random.default_rng(0), 40_000, "train").tokens[:, :5]
    counts = np.bincount(tokens @ (2 ** np.arange(5)[::-1]), minlength=32)
    distribution = np.array([probability_of(sequence, 2, order, 0.5) for sequence in itertools.product(range(2), repeat=5)])
    assert stats.chisquare(counts, 40_000 * distribution).pvalue > 1e-3


def naive_chances(sequence: list[int], t: int, order: int, states: int, alpha: float) -> list[float]:
    """Compute the probability of each state from the counts after the last `order` states in sequence[:t]."""
    if t < order:
        return [1 / states] * states
    context = sequence[t - order : t]
    followers = [sequence[s] for s in range(order, t) if sequence[s - order : s] == context]
    return [(followers.count(state) + alpha) / (len(followers) + states * alpha) for state in range(states)]


@given(
    states=st.integers(3, 5),
    order=st.integers(1, 2),
    alpha=st.floats(0.1, 3),
    length=st.integers(4, 20),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_distances_agree_with_a_loop_over_sequences(states: int, order: int, alpha: float, length: int, seed: int) -> None:
    task = tasks.get("markov", states=states, order=order, alpha=alpha, length=10**4)
    rng = np.random.default_rng(seed)
    tokens = rng.integers(states, size=(3, length))
    log_probs = np.log(rng.dirichlet(np.ones(states), size=(3, length))).astype(np.float32)
    measured = task.compare(tokens, log_probs)
    assert set(measured) == {"kl/uniform", "kl/unigram", "kl/bigram", "kl/bayes"}
    for name, value in measured.items():
        distances = []
        for sequence, model in zip(tokens.tolist(), log_probs.astype(float), strict=True):
            for t in range(order, length):
                used = {"unigram": 0, "bigram": 1, "bayes": order}.get(name.removeprefix("kl/"))
                stated = [1 / states] * states if used is None else naive_chances(sequence, t, used, states, alpha)
                distances.append(sum(p * (math.log(p) - q) for p, q in zip(stated, model[t - 1], strict=True)))
        assert value == pytest.approx(np.mean(distances), abs=1e-5), name


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("runs", ["uniform", "unigram", "bigram", "bayes"])
def test_the_divergence_from_the_models_own_predictor_is_zero(order: int, runs: str) -> None:
    task = tasks.get("markov", order=order)
    tokens = task.batch(0, 0, 64).tokens
    used = {"unigram": 0, "bigram": 1, "bayes": order}.get(runs)
    chances = np.full((64, 64, 4), 1 / 4) if used is None else task.predict(tokens, used)
    log_probs = np.log(np.roll(chances, -1, axis=1)).astype(np.float32)
    distances = task.compare(tokens, log_probs)
    assert distances[f"kl/{runs}"] == pytest.approx(0, abs=1e-6)
    others = {name for name in distances if distances[name] < 0.005}
    assert others == ({"kl/bigram", "kl/bayes"} if order == 1 and runs in ("bigram", "bayes") else {f"kl/{runs}"})


def test_more_context_gives_a_lower_loss() -> None:
    task = tasks.get("markov", order=2, length=128)
    tokens = task.batch(0, 0, 500).tokens
    losses = [
        -np.log(np.take_along_axis(task.predict(tokens, order), tokens[:, :, None], axis=2))[:, 2:].mean() for order in range(3)
    ]
    assert losses[2] < losses[1] < losses[0]
    assert losses[1] < math.log(4)
    assert losses[2] == pytest.approx(task.optimum(tokens)[:, 2:].mean())


def test_roles_floors_and_chances_follow_from_the_order() -> None:
    task = tasks.get("markov", order=2)
    batch = task.batch(0, 0, 2000)
    assert (batch.roles[:, :2] == task.role("start")).all()
    assert (batch.roles[:, 2:] == task.role("state")).all()
    assert task.floor("start") == pytest.approx(math.log(4))
    assert stats.chisquare(np.bincount(batch.tokens[:, 1])).pvalue > 1e-3
    assert task.floor("state") is None
    assert task.chance("state") == task.chance("start") == 1 / 4
    assert np.bincount(batch.tokens[:, 2:].ravel()).max() / batch.tokens[:, 2:].size == pytest.approx(1 / 4, abs=0.02)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"states": 1}, "states must be between 2 and 64 for order 1"),
        ({"states": 17, "order": 2}, "between 2 and 16 for order 2"),
        ({"order": 3}, "order must be one of 1, 2"),
        ({"order": 2.0}, "order must be one of 1, 2"),
        ({"order": True}, "order must be one of 1, 2"),
        ({"alpha": 0.0}, "alpha must be between 0.001 and 1e9, not 0.0"),
        ({"alpha": 1e308}, r"alpha must be between 0.001 and 1e9, not 1e\+308"),
        ({"length": 3, "order": 2}, "length must be at least 4"),
        ({"states": 2, "alpha": 0.1}, r"length must be larger, or states or alpha, .* at most 1 / 100 \(about 1 / 1\d here"),
    ],
)
def test_bad_settings_are_rejected_by_name(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        tasks.get("markov", **wrong)


@pytest.mark.parametrize(("order", "length"), [(1, 4), (1, 6), (2, 5)])
def test_too_few_different_sequences_are_rejected(order: int, length: int) -> None:
    equal = sum(probability_of(sequence, 2, order, 0.5) ** 2 for sequence in itertools.product(range(2), repeat=length))
    with pytest.raises(TaskError, match="length must be larger") as raised:
        tasks.get("markov", states=2, order=order, alpha=0.5, length=length)
    assert int(str(raised.value).partition("about 1 / ")[2].partition(" ")[0]) == pytest.approx(1 / equal, rel=0.1)


def test_a_sequence_of_states_is_a_line_of_ids() -> None:
    task: Task = tasks.get("markov", states=3, length=5)
    assert task.format(task.parse("2 0 0 1 2")) == "2 0 0 1 2"


@pytest.mark.parametrize("order", ORDERS)
def test_the_joint_is_the_ratio_of_likelihoods(order: int) -> None:
    task = tasks.get("markov", states=3, order=order, alpha=0.6, length=7)
    batch = task.batch(0, 0, 8)
    for position in range(5):
        every = task.joint(batch, position)
        for sequence, joint_VV in zip(batch.tokens[:, : position + 1].tolist(), every, strict=True):
            whole = probability_of(tuple(sequence), 3, order, 0.6) if position + 1 >= order else 3.0 ** -(position + 1)
            for pair in itertools.product(range(3), repeat=2):
                exact = probability_of((*sequence, *pair), 3, order, 0.6) / whole
                assert joint_VV[pair] == pytest.approx(exact, abs=1e-12), (sequence, pair)


@pytest.mark.parametrize("order", ORDERS)
def test_latents_are_the_posterior_of_the_next_state(order: int) -> None:
    task = tasks.get("markov", states=3, order=order, alpha=0.6, length=12)
    batch = task.batch(0, 0, 8)
    latents = task.latents(batch)
    for sequence, vectors, modes in zip(batch.tokens.tolist(), *latents.values(), strict=True):
        for t in range(12):
            if t + 1 < order:
                assert np.isnan(vectors[t]).all()
                assert modes[t] == -1
                continue
            exact = naive_chances([*sequence[: t + 1], 0], t + 1, order, 3, 0.6)
            assert vectors[t] == pytest.approx(exact)
            likeliest = [state for state in range(3) if exact[state] == max(exact)]
            assert modes[t] == (likeliest[0] if len(likeliest) == 1 else -1)
