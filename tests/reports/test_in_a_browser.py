"""Pages in a browser have no errors, no horizontal scrolling, all pictures, and a readable dark scheme."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

import lab
from lab.sweeping.report import write_page
from lab.sweeping.sources import find
from tests.helpers.browser import Browser, running_browser
from tests.helpers.runs import make_run

pytestmark = pytest.mark.process

CONTRAST = 4.5
"""Least contrast of text against its background (WCAG 2.2, AA)."""
LUMINANCES = """
(() => {
  const luminance = text => {
    const linear = text.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255).map(
      x => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4
    );
    return .2126 * linear[0] + .7152 * linear[1] + .0722 * linear[2];
  };
  const behind = each => {
    const own = getComputedStyle(each).backgroundColor;
    return own !== 'rgba(0, 0, 0, 0)' || !each.parentElement ? own : behind(each.parentElement);
  };
  return [...document.querySelectorAll('h1, h2, p, a, td, th, code, figcaption, summary')].map(each => {
    const pair = [luminance(getComputedStyle(each).color), luminance(behind(each))].sort((a, b) => b - a);
    return (pair[0] + .05) / (pair[1] + .05);
  });
})()
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running_browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page of two tasks, with long names and a run that failed."""
    folder = tmp_path_factory.mktemp("page")
    for task, width, seed in itertools.product(("induction", "addition"), (32, 64), range(5)):
        experiment = lab.experiment(task, {"model.width": width, "seed": seed})
        metric = {"induction": "accuracy/copy/1", "addition": "exact"}[task]
        curve = {step: {metric: min(1.0, 0.01 * step * (1 + width / 64))} for step in range(0, 101, 20)}
        make_run(folder / "runs" / f"a_long_name_of_a_run_{task}_{width}" / f"seed{seed}", experiment, curve)
    make_run(folder / "runs/failed", lab.experiment("induction", seed=9), {}, state="failed")
    found = find(folder / "runs")
    write_page(found, found.read(), folder / "page.html", "lab report runs -o " + 30 * "long")
    return folder / "page.html"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_a_page_fits_and_can_be_read(width: int, dark: bool, page: Path, browser: Browser) -> None:
    browser.open(page, width=width, dark=dark)
    assert browser.problems == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    pictures = browser.evaluate("[...document.images].map(each => each.complete && each.naturalWidth)")
    assert len(pictures) >= 4
    assert all(pictures)
    assert min(browser.evaluate(LUMINANCES)) >= CONTRAST
    paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(28, 28, 28)" if dark else "rgb(253, 253, 251)")
    assert browser.evaluate("getComputedStyle(document.images[0]).filter").startswith("invert" if dark else "none")


def test_a_page_opens_folded_parts_and_has_numbers(page: Path, browser: Browser) -> None:
    browser.open(page)
    browser.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") <= 1280
    links = browser.evaluate("[...document.links].map(each => each.protocol)")
    assert links.count("data:") >= 6
    assert links.count("file:") == 42
    first = browser.evaluate("fetch(document.querySelector('a[download]').href).then(answer => answer.text())", wait=True)
    assert first.startswith("condition,metric,step,tokens,mean,low,high")


def test_a_page_of_unfinished_runs_reloads_itself(tmp_path: Path, browser: Browser) -> None:
    run = make_run(tmp_path / "runs/a", lab.experiment("induction"), {}, state="running")
    found = find(run)
    write_page(found, found.read(), tmp_path / "a.html", "x", refresh=1)
    browser.open(tmp_path / "a.html")
    assert browser.evaluate("document.body.innerText.includes('1 killed')")
    run.path.joinpath("run.json").write_text(run.path.joinpath("run.json").read_text().replace("running", "failed"))
    write_page(found, found.read(), tmp_path / "a.html", "x")
    browser.wait_for_load()
    assert browser.evaluate("document.body.innerText.includes('1 failed')")
