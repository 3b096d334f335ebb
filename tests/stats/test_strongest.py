import pandas as pd

from lab.stats.strongest import strongest_components, strongest_states

RUN = {"task": "star", "parameters": 1, "state": "finished", "tokens": 10}


def frame_of(rows: dict[tuple[object, ...], list[float]], names: list[str], quantity: str) -> pd.DataFrame:
    """Return a frame of five seeds each of n = 1 and n = 2, in which n = 2 has twice the value, and of an earlier step."""
    return pd.DataFrame(
        {"run": f"{n}-{seed}", "n_future": n, "seed": seed, "step": step, **RUN, **dict(zip(names, coordinates, strict=True))}
        | {"quantity": quantity, "value": n * value if step == 2 else 99.0}
        for n in (1, 2)
        for seed in range(5)
        for step in (1, 2)
        for coordinates, value in ((coordinates, values[seed]) for coordinates, values in rows.items())
    )


def test_components_come_in_the_order_of_their_effects() -> None:
    same = {("mlp", f"trunk.{layer}", -1): [0.01 * layer] * 5 for layer in range(20)}
    heads = {("attention head", "trunk.0", 0): [-1.0] * 5, ("attention head", "trunk.0", 1): [0.5, 0.6, 0.7, 0.8, 0.9]}
    choice = {("attention head", "chosen", -1): [0.1] * 5, ("attention head", "others", -1): [2.0] * 5}
    frame = frame_of(same | heads | choice, ["component", "site", "attention_head"], "loss added")
    others = frame.assign(quantity="loss", value=7.0)
    largest, compared = strongest_components(pd.concat([frame, others])).values()
    assert largest["attention_head"].to_list()[:3] == ["0", "1", ""]
    assert largest["n = 1"].to_list()[0] == "-1.00 [-1.00, -1.00]"
    assert largest["n = 2"].str.partition(" ")[0].to_list()[:3] == ["-2.00", "1.40", "0.38"]
    assert len(largest) == 12
    assert compared.to_numpy().tolist() == [
        ["attention head", "chosen", "0.10 [0.10, 0.10]", "0.20 [0.20, 0.20]"],
        ["attention head", "others", "2.00 [2.00, 2.00]", "4.00 [4.00, 4.00]"],
    ]
    assert len(strongest_components(frame[~frame["site"].isin(["chosen", "others"])])) == 1


def test_seeds_that_are_still_training_are_averaged() -> None:
    frame = frame_of({("mlp", "trunk.0", -1): [1.0] * 5}, ["component", "site", "attention_head"], "loss added")
    frame = frame[(frame["step"] == 2) | (frame["seed"] == 0)].assign(state="running")
    behind = (frame["seed"] == 0) & (frame["step"] == 2)
    (table,) = strongest_components(frame[~behind].replace({"value": {99.0: 1.0}})).values()
    assert table["n = 1"].to_list() == ["1.00 [1.00, 1.00]"]


def test_states_of_the_residual_stream_are_left_out() -> None:
    states = {
        ("residual", "trunk.0", -1, "changed", "verb"): [1.0] * 5,
        ("attention", "trunk.1", -1, "answer-1", ""): [0.5] * 5,
        ("mlp", "trunk.1", -1, "answer-1", ""): [float("nan")] * 5,
    }
    frame = frame_of(states, ["component", "site", "attention_head", "position", "role"], "restored")
    (table,) = strongest_states(frame).values()
    assert table["component"].to_list() == ["attention"]
    assert table["n = 2"].to_list() == ["1.00 [1.00, 1.00]"]
