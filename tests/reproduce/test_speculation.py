"""The studies of self-speculative decoding: their plans, and pages that follow from the runs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lab
from lab.registry import load_object
from lab.reports.section import section_markdown
from lab.reproduce.speculation import Speculation, speculation_study
from lab.reproduce.speculation.page import difference_table, sections_of
from lab.sweeping.spec.configurations import grid_experiments
from tests.helpers.published import frame_of, require_sections
from tests.helpers.runs import make_run
from tests.helpers.tiny import tiny_settings

PUBLISHED = ("s2", "s3")


@pytest.mark.parametrize("name", PUBLISHED)
def test_runs_differ_in_heads_and_seed_alone(name: str) -> None:
    study: Speculation = load_object(f"lab.reproduce.{name}:SPECULATION", "study")
    (stage,) = speculation_study(study).stages("laptop")
    planned = grid_experiments(stage.largest)
    assert len(planned) == 8 * len(study.n_futures)
    assert {each.evaluation.split for each in planned.values()} == {"test"}
    assert len({each.model_copy(update={"n_future": 1, "seed": 0}).fingerprint for each in planned.values()}) == 1
    task = next(iter(planned.values())).task
    assert study.prompt + study.new_tokens <= (task.batch(0, 0, 500, "test").roles > 0).sum(axis=1).min(), (
        "no story is shorter than the completion"
    )
    assert set(study.paper) <= set(range(1, max(study.n_futures) + 1))


def test_a_page_follows_from_the_runs_and_from_its_frame(tmp_path: Path) -> None:
    study = Speculation(
        name="tiny",
        title="Tiny at {scale} scale",
        expectation="Nothing.",
        scales={"laptop": {"task": "stories", **tiny_settings("stories"), "model.layers": 5}},
        n_futures=(2, 3),
        seeds=range(2),
        prompt=8,
        new_tokens=6,
        paper={1: {"tokens_per_forward": {"wiki": 1.0}}, 2: {"tokens_per_forward": {"wiki": 1.88}}},
        prompts=2,
        batches=(1, 2),
    )
    (stage,) = speculation_study(study).stages("laptop")
    curve = {6: {"loss/word/1": 2.0, "accuracy/all/1": 0.25}, 12: {"loss/word/1": 1.0, "accuracy/all/1": 0.5}}
    runs = [make_run(tmp_path / name, each, curve, weights=True) for name, each in grid_experiments(stage.largest).items()]
    written = speculation_study(study).report("laptop", [runs], tmp_path)
    assert {path.name for path in written} == {
        "acceptance.png", "acceptance.csv", "speedup.png", "speedup.csv", "frame.csv.gz", "report.md"
    }  # fmt: skip
    page, measured = (tmp_path / "report.md").read_text(), pd.read_csv(tmp_path / "frame.csv.gz")
    assert "| 1 | 1.000, 1.000 (2 seeds) | 1.00 1.00 | 1.000, 1.000 (2 seeds) | 1.00 1.00 | 1.00 |" in page
    assert "| 3 | - | - |" in page, "n = 2 has no third head"
    assert "| 2 | 0 of 4 |" in page
    assert "| loss/word/1 | 1.000, 1.000 (2 seeds) | 1.000, 1.000 (2 seeds) |" in page, (
        "the loss is that at the end of training"
    )
    assert set(measured.loc[measured["quantity"] == "time", "seed"]) == {0}, "only the first seed is timed"
    prompts = runs[-1].experiment.task.batch(0, 0, 2, "test").tokens[:, :8].tolist()
    expected = lab.decode(runs[-1], draft=2, prompts=prompts, new_tokens=6).frame
    drafts = measured[(measured["quantity"] == "drafts") & (measured["n_future"] == 3) & (measured["seed"] == 1)]
    found = drafts[drafts["heads"] == 2]
    assert found["metric"].tolist() == expected["metric"].tolist()
    np.testing.assert_allclose(found["value"], expected["value"])
    for section in sections_of(study, measured):
        assert section_markdown(section) in page


def test_differences_are_of_all_seeds_and_numbers_of_heads() -> None:
    values = {(0, 2): (1, 0.5), (1, 2): (2, 0.25), (0, 3): (0, 2.0), (1, 3): (4, 1.0)}
    rows = [
        {"quantity": "drafts", "n_future": 3, "seed": seed, "heads": heads, "batch": 8, "metric": metric, "value": value}
        for (seed, heads), pair in values.items()
        for metric, value in zip(("differences", "smallest_gap"), pair, strict=True)
    ]
    assert difference_table(pd.DataFrame(rows)).to_numpy().tolist() == [[3, "7 of 32", "0.2"]]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_table_follows_from_its_frame(name: str) -> None:
    study: Speculation = load_object(f"lab.reproduce.{name}:SPECULATION", "study")
    require_sections(name, sections_of(study, frame_of(name)))
