"""The page of attention patterns has every weight to one byte, and is safe with any word."""

import base64
import json
import re

import numpy as np
import pandas as pd
import pytest

from lab.errors import LabError
from lab.reports import attention
from lab.reports.attention import attention_page

WORDS = ['<script>alert("x")</script>', "</script>", "a&b", "\u2028'é"]


def frame(runs: int = 1) -> pd.DataFrame:
    """Return random patterns of two attention heads on a sequence of hostile words."""
    rng, rows = np.random.default_rng(0), []
    for run in range(runs):
        for head in (0, 1):
            for query in range(4):
                weights = rng.dirichlet(np.ones(query + 1))
                for key in range(query + 1):
                    where = {"run": f"<b>{run}", "task": "<i>", "step": 3, "tokens": 36.0, "sequence": 0}
                    coordinates = {"site": "prediction.2.attention.pattern", "attention_head": head, "query": query, "key": key}
                    words = {"query_word": WORDS[query], "key_word": WORDS[key], "query_role": "r", "key_role": "r"}
                    rows.append({**where, **coordinates, **words, "value": weights[key]})
    return pd.DataFrame(rows)


def data_of(page: str) -> dict[str, list[dict[str, list[dict[str, list[dict[str, list[str]]]]]]]]:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return dict(json.loads(text))


def test_the_page_holds_every_weight_in_order() -> None:
    table = frame(2)
    networks = data_of(attention_page(table.sample(frac=1, random_state=0).sort_values("run", kind="stable")))["networks"]
    assert len(networks) == 2
    for number, network in enumerate(networks):
        (sequence,) = network["sequences"]
        (layer,) = sequence["layers"]
        assert layer["name"] == "prediction head 2"
        for head, code in enumerate(layer["heads"]):
            rows = table[(table["run"] == f"<b>{number}") & (table["attention_head"] == head)]
            found = np.frombuffer(base64.b64decode(code), dtype=np.uint8) / 255
            assert found == pytest.approx(rows["value"].to_numpy(), abs=1 / 510 + 1e-9)


def test_the_page_is_self_contained_and_escapes_words() -> None:
    page = attention_page(frame())
    assert page.startswith("<!doctype html>")
    assert not re.search(r"""(src|href)=|https?://|@import|url\(""", page)
    assert page.count("<script") == 2, "no word opens an element"
    assert "<b>" not in page.replace("<b>the", "")
    assert "Attention on &lt;i&gt;" in page
    assert data_of(page)["networks"][0]["sequences"][0]["words"] == WORDS
    assert "innerHTML" not in page


def test_a_page_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "LARGEST", 10)
    with pytest.raises(LabError, match="a page holds 10 attention weights, not 20: inspect fewer runs"):
        attention_page(frame())
