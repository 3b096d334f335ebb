"""Positions at which two decoders differ, and the gap between the two best logits."""

from dataclasses import replace

import pytest

from lab.decoding import complete
from lab.decoding.differences import find_differences, smallest_gap
from tests.helpers.tables import table_network

NETWORK = table_network([[0.0, 3.0, 1.0], [2.0, 0.5, 0.0], [0.0, 0.0, 0.25]])
"""Best next tokens and their gaps: 0 -> 1 by 2, 1 -> 0 by 1.5, 2 -> 2 by 0.25."""


def test_equal_completions_have_no_difference() -> None:
    done = complete(NETWORK, [[0], [2, 1]], 4)
    assert find_differences(NETWORK, done, done) == []


def test_the_first_difference_has_the_gap_of_its_position() -> None:
    done = complete(NETWORK, [[0], [2, 1], [2]], 4)
    other = done.tokens_BT.clone()
    other[1, 3:5] = 2
    found = find_differences(NETWORK, done, replace(done, tokens_BT=other))
    assert [(each.sequence, each.position) for each in found] == [(1, 3)]
    assert found[0].gap == pytest.approx(2, abs=1e-4), "after token 0"


def test_another_length_is_a_difference() -> None:
    done = complete(NETWORK, [[0]], 4)
    shorter = replace(done, tokens_BT=done.tokens_BT[:, :3], lengths=(3,))
    (found,) = find_differences(NETWORK, done, shorter)
    assert found.position == 3


def test_the_smallest_gap_is_over_new_tokens_alone() -> None:
    assert smallest_gap(NETWORK, complete(NETWORK, [[0]], 4)) == pytest.approx(1.5, abs=1e-4)
    assert smallest_gap(NETWORK, complete(NETWORK, [[0]], 1)) == pytest.approx(2, abs=1e-4), "not after the last token"
    assert smallest_gap(NETWORK, complete(NETWORK, [[2, 2, 1]], 1)) == pytest.approx(1.5, abs=1e-4)
    assert smallest_gap(NETWORK, complete(NETWORK, [[2, 2, 1], [2]], 2)) == pytest.approx(0.25, abs=1e-4)
