"""Lists of whole numbers on a command line: ranges, single numbers, and text that is neither."""

import pytest

from lab.config.numbers import numbers_from
from lab.errors import LabError


@pytest.mark.parametrize(
    ("text", "numbers"), [("0:3", [0, 1, 2]), ("4:5", [4]), ("0,3,7", [0, 3, 7]), ("5", [5]), ("1, 1,2", [1, 2]), ("007", [7])]
)
def test_a_list_of_numbers_is_a_range_or_its_numbers(text: str, numbers: list[int]) -> None:
    assert numbers_from("--seeds", text) == numbers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3:3", "A < B"),
        ("0:99999999999", "at most 10000 numbers, not 99999999999"),
        ("0:" + "9" * 5000, "must be A:B or a list"),
        ("", "must be A:B or a list"),
        ("1:5:2", "must be A:B or a list"),
        ("1;2", "must be A:B or a list"),
        (",".join(["1"] * 10_001), "at most 10000 numbers"),
    ],
    ids=lambda text: text[:12],
)
def test_text_that_is_no_list_of_numbers_is_rejected(text: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        numbers_from("--seeds", text)
