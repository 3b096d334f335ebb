"""The pages state the seeds, lengths, rates and expectations of the runs that they are about."""

import re
from functools import partial
from importlib import import_module

import pytest

from benchmarks import sizes as steps_by_size
from lab.reproduce import rates, reach
from lab.reproduce.comparison.configuration import Comparison
from lab.reproduce.fig7.plan import RATE
from lab.reproduce.objectives.conditions import BENCHES, TUNING_SEEDS
from tests.helpers.published import LOG, end_of, frame_of, require, shown, text_of

COMPARED = ("alphabet", "epochs", "fig9", "finetune", "s14", "s4", "sizes")
SEEDED = {name: name for name in ("reach", "rates", "objectives", "atlas", *COMPARED)} | {"agreement": "agreement/terms"}
SETTINGS = {
    "sizes": "{steps} steps ({tokens:.1f} M tokens), the rate of [reach](../reach/README.md) ({rate}, tuned",
    "s4": "the rate of results/reach ({rate}, chosen there",
    "finetune": "width {width}), the rate of results/reach ({rate}) in each stage",
    "epochs": "width {width}), the rate of results/reach ({rate}, chosen there",
    "alphabet": "width {width}; {sequences:,} sequences, the rate of reach ({rate}, chosen there",
    "s14": "The rate of fig7 ({rate}, chosen there with fixed names, the largest that was tried), {steps} steps,",
    "fig9": "Width {width}, five layers on the next-token path at every n, {steps} steps at the task's default rate ({rate},",
}


def comparison(name: str) -> Comparison:
    found: Comparison = import_module(f"lab.reproduce.{name}").COMPARISON
    return found


@pytest.mark.parametrize("page", SEEDED)
def test_a_page_states_the_seeds_of_its_runs(page: str) -> None:
    seeds = frame_of(SEEDED[page])["seed"].drop_duplicates().sort_values()
    parts = [seeds[:8], seeds[8:]] if page == "finetune" else [seeds]  # of the first stage, and of those after it
    require(text_of(page), *(f"({part.min()} to {part.max()})" for part in parts))
    assert {len(part) for part in parts} == {8}


@pytest.mark.parametrize("page", SETTINGS)
def test_a_page_states_the_settings_of_its_runs(page: str) -> None:
    settings, frame = next(iter(comparison(page).families.values())).settings, frame_of(page)
    known = {"width": settings.get("model.width"), "steps": frame["step"].max(), "tokens": end_of(frame)}
    sequences = frame["step"].max() * settings.get("batch_size", 0)
    require(text_of(page), SETTINGS[page].format(**known, rate=shown(settings[RATE]), sequences=sequences))


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e-\d+)?", text)]


EXPECTED = {name: comparison(name).expectation for name in COMPARED if name != "finetune"} | {
    "reach": reach.EXPECTATION,
    "rates": rates.EXPECTATION,
    "s5": str(steps_by_size.__doc__).split("Expectation, written before the first run:")[1],
    "objectives": BENCHES["agreement"].expectation,
}


@pytest.mark.parametrize("page", EXPECTED)
def test_a_page_repeats_the_numbers_of_its_expectation(page: str) -> None:
    """Those of the page stand in the same order in what was written before the runs."""
    lead = r"The expectation was committed \([^)]*\) before the first[^:.]*[:.]\s"
    (stated,) = re.findall(rf"{lead}(.+\n{'.+' if page == 's5' else ''})", text_of(page))
    written = iter(numbers(EXPECTED[page]))
    assert [number for number in numbers(stated) if number not in written] == []


@pytest.mark.parametrize("study", ["s14", "alphabet", "fig9", "s4", "sizes", "epochs"])
def test_the_log_repeats_the_numbers_of_the_expectations(study: str) -> None:
    rows = [line.split(" | ")[1] for line in LOG.splitlines() if line.endswith(f"| [{study}]({study}/README.md) |")]
    assert rows != []
    for row in rows:
        written = iter(numbers(EXPECTED[study]))
        stated = re.split(r"(?:was|were) to |: ", row, maxsplit=1)[1]
        assert [number for number in numbers(stated) if number not in written] == [], row


def test_pages_state_how_their_rates_were_chosen() -> None:
    seeds = "({} and {})".format(*reach.TUNING_SEEDS)
    require(text_of("reach"), f"The rate, {shown(2e-3)}, was tuned before, on two seeds of their own {seeds}, with one head at")
    agreement, stories, star = (list(map(shown, BENCHES[name].rates)) for name in ("agreement", "stories", "star"))
    listed = partial("{}, {} and {}".format)
    require(
        text_of("objectives"),
        f"chosen among {listed(*agreement)} by the tokens",
        "two seeds of its own ({} and {},".format(*TUNING_SEEDS),
        f"Rates are {listed(*stories)}, chosen by the accuracy",
        f"Rates are {listed(*star)}, chosen by the tokens",
    )
