"""The report of the atlas: one figure, predictions beside measurements, their rank correlation, two tables for each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import pandas as pd

from lab import plots
from lab.metrics import Metric
from lab.plots.save import save
from lab.reports.markdown import write_joined_page, write_page
from lab.reports.section import Section
from lab.reproduce import PAGE, read_parts, write_frame
from lab.reproduce.atlas import rule
from lab.reproduce.atlas.effects import Correlation, correlations, effects_of, learnt_range, tasks_of
from lab.reproduce.atlas.figure import draw
from lab.reproduce.atlas.plan import COMPARED, CONDITION, ONE, SCALES, SHARED, STEPS, WITHOUT_FOUR, named_frame
from lab.reproduce.atlas.rule import RULE, SEEN
from lab.runs import Run
from lab.stats.bootstrap import mean_beside_share
from lab.stats.configurations import run_values
from lab.stats.emergence import THRESHOLDS, emergence_table
from lab.stats.times import time_table

TITLE = "Atlas: where do further prediction heads help?"
LAYERS = SHARED["model.layers"]
DECIDING = COMPARED[0]
"""The comparison that decides on the rule."""
EXPECTATION = f"""\
The rule decides by `{DECIDING}`, which every task has, on the tasks whose runs had not been seen: \
Somers' D is above 0, and so is the lower end of its interval.
A score above 0 predicts that a further head helps, 0 that nothing is found, -1 that it hurts.
With eight seeds an effect that is not found can still be there: a prediction of nothing can be contradicted, not confirmed."""
EFFECT = f"""\
The effect of n heads on a task is a difference of areas under the learning curve of its headline metric, of head 1: the mean \
over training tokens of (value - start) / (best - start).
The start is the mean at step 0 over all runs of the task, the best the best mean of a condition at the end: 0.1 means a tenth \
of all that is learnt, over the whole run.
Runs are paired with those of `{ONE}` by seed.
P-values are corrected over the comparisons of one task, not of the page: eight pairs give at least p = 2/256, and over all 56 \
comparisons none could be found.
So one task in ten may show a difference by chance."""
LIMITS = f"""\
- One peak rate for every n, the task's default, which was chosen for other depths: nothing was tuned, and none of the \
differences is one between each n at its best.
- At equal depth the next-token path has {LAYERS} layers for every n; each further head is one more, so that more heads have \
more parameters.
- At equal parameters all layers together are {LAYERS}: the next-token path of n heads is n - 1 layers shorter.
- Fewer steps than by default, because the task is learnt long before: \
{", ".join(f"{task} ({steps})" for task, steps in STEPS.items())}.
- Equal tokens, not equal FLOPs; the tables have the cost of a step.
- n = 8 is left out: at equal parameters {LAYERS} layers leave no trunk below it.
- Without n = 4: {"; ".join(f"{task} ({why})" for task, why in WITHOUT_FOUR.items())}.
- Seen before the rule was written: {", ".join(SEEN)}.
- Not seen means that no seeds had been compared: docs/tasks.md had one run with n = 1 and one with n = 2 of each such task, \
at equal parameters and other depths (those of `maze` at different settings).
- Three of the tasks not seen have another score than -1: their rank correlation rests on these, and its interval is wide.
- Onset and completion are accuracies of {THRESHOLDS["onset"]:g} and {THRESHOLDS["completion"]:g}, twice in a row; where \
chance is 0.5, as on the turns of star and maze, an onset says little."""


def report(scale: str, finished: Sequence[Sequence[Run]], out: Path) -> list[Path]:
    """Write figure, frame and page from the finished runs of each task, and return their paths."""
    frames = [named_frame(task, runs) for task, runs in zip(SCALES[scale], finished, strict=True)]
    frame = pd.concat(frames, ignore_index=True)
    page = write_page(out / PAGE, TITLE, sections_of(frame), [*chain(*finished)])
    return [*_draw(frame, out), write_frame(frame, out), page]


def join(parts: Sequence[Path], out: Path) -> list[Path]:
    """Write figure, frame and page of the tasks whose reports are in folders, and return their paths."""
    frame = read_parts(parts, "task", RULE)
    out.mkdir(parents=True, exist_ok=True)
    page = write_joined_page(out / PAGE, TITLE, sections_of(frame), [part / PAGE for part in parts])
    return [*_draw(frame, out), write_frame(frame, out), page]


def _draw(frame: pd.DataFrame, out: Path) -> list[Path]:
    with plots.style():
        return save(*draw(effects_of(frame), correlations(frame)), out / "atlas.png")


def sections_of(frame: pd.DataFrame) -> list[Section]:
    """Return the sections of the page, which follow from the frame."""
    effects, found = effects_of(frame), correlations(frame)
    sections = [
        Section("The rule, written before the runs", (rule.__doc__ or "").strip()),
        Section("What was expected", EXPECTATION),
        Section("What is measured", EFFECT),
        Section(
            "Scores and effects (90 % intervals; `helps` and `hurts` where the test finds a difference)",
            table=overview(effects),
        ),
        *([Section("Rank correlation of scores and effects", table=correlation_table(found))] if found else []),
        *([Section("Tasks by prediction and finding", table=verdicts)] if len(verdicts := verdict_table(effects)) else []),
        Section("What was not tuned, and what is left out", LIMITS),
    ]
    for task in tasks_of(frame):
        own, score = frame[frame["task"] == task], RULE[task].score
        compared = effects[effects["task"] == task].drop(columns=["task", "score", "seen"])
        heading = (
            f"{task}: `{own['metric'].iloc[0]}`, score {score:+d}" if score else f"{task}: `{own['metric'].iloc[0]}`, score 0"
        )
        sections += [
            Section(heading, f"{RULE[task].why}\n\n{_range_line(own)}", table=condition_table(own)),
            Section(text=f"Areas under the learning curve, against `{ONE}`:", table=compared),
        ]
    return sections


def overview(effects: pd.DataFrame) -> pd.DataFrame:
    """Return for each task what the rule counts, its score, and the effect of each condition."""
    rows = []
    for task in tasks_of(effects):
        own, applied = effects[effects["task"] == task], RULE[task]
        shown = {row[CONDITION]: _effect(row) for _, row in own.iterrows()}
        row = {
            "task": task,
            "target": applied.target,
            "steps, next token": applied.next_token,
            "steps, best further head": "-" if applied.further is None else applied.further,
            "score": applied.score,
            "seen": "yes" if task in SEEN else "no",
        }
        rows.append(row | {name: shown.get(name, "-") for name in COMPARED})
    return pd.DataFrame(rows)


def correlation_table(found: Mapping[tuple[str, str], Correlation]) -> pd.DataFrame:
    """Return the rank correlation of scores and effects for each comparison, over all tasks and those not seen."""
    return pd.DataFrame(
        {
            CONDITION: name,
            "tasks": f"{each.tasks} ({group})",
            "pairs in the order of the scores": f"{each.ordered} of {each.pairs}",
            "Somers' D": f"{each.somers_d:+.2f}",
            "90 % interval, over tasks and seeds": f"{each.low:+.2f} to {each.high:+.2f}",
            "tau-b": f"{each.tau_b:+.2f}",
        }
        for (name, group), each in found.items()
    )


def verdict_table(effects: pd.DataFrame) -> pd.DataFrame:
    """Count tasks by what the rule predicts and what the test finds, for each comparison; those that were learnt."""
    effects = effects[effects["difference"].notna()]
    predicted = effects["score"].map(lambda score: "helps" if score > 0 else "hurts" if score < 0 else "nothing")
    verdicts = effects.assign(predicted=predicted, verdict=[_verdict(row) or "nothing" for _, row in effects.iterrows()])
    rows = []
    for name in COMPARED:
        for prediction in ("helps", "nothing", "hurts"):
            part = verdicts[(verdicts[CONDITION] == name) & (verdicts["predicted"] == prediction)]
            if len(part):
                seen = part["verdict"].value_counts()
                counts = {f"found: {verdict}": int(seen.get(verdict, 0)) for verdict in ("helps", "nothing", "hurts")}
                rows.append({CONDITION: name, "predicted": prediction, "tasks": len(part), **counts})
    return pd.DataFrame(rows)


def condition_table(own: pd.DataFrame) -> pd.DataFrame:
    """Return for each condition of a task its cost, when its accuracy emerged, and the metric at the end."""
    metric = str(own["metric"].iloc[0])
    ends, times = run_values(own, metric), None
    if not Metric.parse(metric).lower_is_better:
        times = emergence_table(own, metric, by=[CONDITION])
    rows = []
    for name in [each for each in (ONE, *COMPARED) if each in set(own[CONDITION])]:
        part, values = own[own[CONDITION] == name], ends[ends[CONDITION] == name]["value"].tolist()
        row = {CONDITION: name, "FLOPs of a step": f"{part['cost'].iloc[0]:.2f}"}
        escaped = [True] * len(values)
        if times is not None:
            runs = times[times[CONDITION] == name]
            row |= {which: _time(runs, which) for which in THRESHOLDS}
            escaped = runs["onset_observed"].astype(bool).tolist()
        rows.append(
            {**row, "at the end": mean_beside_share(values, escaped), "each seed": " ".join(f"{each:.3g}" for each in values)}
        )
    return pd.DataFrame(rows)


def _time(runs: pd.DataFrame, which: str) -> str:
    """Return the median time of one condition in words, and how many runs passed."""
    (row,) = time_table(runs, which, [CONDITION]).to_dict("records")
    median = "-" if pd.isna(row["median"]) else f"{row['median'] / 1e6:.2f} M tokens"
    return f"{median} ({row['escaped']} of {row['runs']})"


def _range_line(own: pd.DataFrame) -> str:
    scale = learnt_range(own)
    if scale is None:
        return "No condition ends better than the start: the task has no effect and is counted nowhere."
    return f"Start {scale.start:.3g}, best mean at the end {scale.best:.3g}."


def _effect(row: pd.Series) -> str:
    if pd.isna(row["difference"]):
        return "-"
    return f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] {_verdict(row)}".rstrip()


def _verdict(row: pd.Series) -> str:
    """Return whether the test finds that a condition helps or hurts; "" for neither."""
    return ("helps" if row["difference"] > 0 else "hurts") if row["found"] else ""
