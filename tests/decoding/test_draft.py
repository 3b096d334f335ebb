"""Drafts are those of full passes without a cache."""

import pytest
import torch
from torch import Tensor

from lab.config.kinds import KINDS
from lab.decoding import Tree, speculate
from lab.decoding.draft import Draft, Drafter, Pass
from lab.model import Network
from tests.helpers.networks import VARIANTS, tiny_network
from tests.helpers.speculation import BUSH, NEW, N, prompts_of


def decode_without_cache(
    network: Network, prompt: Tensor, new_tokens: int, heads: int
) -> list[tuple[int, int, int, list[int]]]:
    """Decode blockwise by full passes without a cache; return (position, drafted, accepted, tokens) of each draft."""

    def choices(tokens: list[int], head: int) -> list[int]:
        """Return a head's best token at each position."""
        return network.logits(torch.tensor([tokens]), head)[0].argmax(-1).tolist()

    tokens, events, end = prompt.tolist(), [], len(prompt) + new_tokens
    tokens.append(choices(tokens, 1)[-1])
    while (position := len(tokens)) < end:
        drafted = list(tokens)
        for head in range(2, heads + 1):  # heads draft at the last token but one, whose next token is known
            drafted.append(choices(drafted, head)[position - 2])
        right, count, accepted = choices(drafted, 1), min(heads - 1, end - position), 0
        while accepted < count and drafted[position + accepted] == right[position + accepted - 1]:
            accepted += 1
        events.append((position, count, accepted, drafted[position:]))
        tokens = [*drafted[: position + accepted], right[position + accepted - 1]]
    return events


def network_with_large_heads(kind: str, layer: int | None) -> Network:
    """Return a network of four tokens whose heads depend strongly on their inputs and often draft the right token."""
    few = {"task__vocabulary": 4, "task__period": [2, 3], "task__test_period": [3, 3]}
    network = tiny_network(kind, N, seed=3, model__head_layer=layer, **few).double()
    for number, weight in enumerate(network.heads.parameters()):
        if weight.ndim == 2:
            torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(number))
    return network


@pytest.mark.parametrize("tree", [Tree.chain(N), BUSH], ids=["chain", "bush"])
@pytest.mark.parametrize(("kind", "layer"), VARIANTS)
@torch.no_grad()
def test_each_draft_has_the_ranks_of_full_passes(
    kind: str, layer: int | None, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each head ranks the tokens at the last written position but one, given the best tokens of the heads before it."""
    seen, draft = [], Drafter.draft

    def record(self: Drafter, done: Pass) -> Draft:
        written_BS, lengths_B = self.tokens_BS.clone(), done.cache.lengths_B + 1
        drafts = draft(self, done)
        unfinished_B = lengths_B < ends_B
        seen.append(tuple(each[unfinished_B] for each in (written_BS, lengths_B, drafts.tokens_BM)))
        return drafts

    monkeypatch.setattr(Drafter, "draft", record)
    network, prompts = network_with_large_heads(kind, layer), [prompt % 4 for prompt in prompts_of(tuple(range(1, 17)))]
    ends_B = torch.tensor([len(prompt) + NEW for prompt in prompts])
    found = speculate(network, prompts, NEW, tree)
    assert not KINDS[kind].teacher_forced or N - 1 in found.drafts.accepted, (
        "the next draft reads every token of an accepted draft"
    )
    tokens_ES, lengths_E, drafted_EM = (torch.cat(column) for column in zip(*seen, strict=True))
    number_E, ranked = torch.arange(len(tokens_ES)), []
    for head in range(2, N + 1):
        ranked.append(network.logits(tokens_ES, head)[number_E, lengths_E - 2].argsort(descending=True))
        tokens_ES[number_E, lengths_E + head - 2] = ranked[-1][:, 0]
    expected_ME = [ranked[len(path) - 1][:, path[-1]] for path in tree.paths]
    assert torch.equal(drafted_EM, torch.stack(expected_ME, dim=1))


@pytest.mark.parametrize(("kind", "layer"), VARIANTS)
@torch.no_grad()
def test_drafts_agree_with_decoding_by_full_passes(kind: str, layer: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    drafts, draft = [], Drafter.draft

    def record(self: Drafter, done: Pass) -> Draft:
        drafts.append(draft(self, done))
        return drafts[-1]

    monkeypatch.setattr(Drafter, "draft", record)
    network, prompts = tiny_network(kind, N, seed=3, model__head_layer=layer).double(), prompts_of()
    found = speculate(network, prompts, NEW, Tree.chain(N)).drafts
    for number, prompt in enumerate(prompts):
        of_sequence = found.sequence == number
        counted = zip(*(column[of_sequence].tolist() for column in found[1:]), strict=True)
        events = [(*event, each.tokens_BM[number].tolist()) for event, each in zip(counted, drafts, strict=False)]
        assert events == decode_without_cache(network, prompt, NEW, N)
