"""The forward pass over packs against transformers, one sequence at a time, on tiny random models in float32."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.native_models import FAMILIES, VOCABULARY, Twin, make_twin
from thresher.engines.native.config import Family
from thresher.engines.native.forward import ForwardPass, HeldPrefix
from thresher.engines.native.head import Head
from thresher.engines.native.pack import HELD, Place, Tree, lay_out
from thresher.engines.native.streaming import LayerStore
from thresher.engines.native.tables import EMBEDDING, Table, head_name

CPU = torch.device("cpu")
PREFIX_TOKENS = (0, 1, 2, 3, 64, 101, 700)
#: Relative error of the logits of one position, by norm.
TOLERANCE = 1e-5
_RESIDENT = frozenset(range(4))


@dataclass
class Pair:
    """A model in transformers and in the native engine; what transformers says about a sequence is kept."""

    twin: Twin
    forward: ForwardPass
    head: Head
    known: dict[tuple[int, ...], torch.Tensor] = field(default_factory=dict)

    def expected(self, tokens: Sequence[int]) -> torch.Tensor:
        key = tuple(tokens)
        if key not in self.known:
            self.known[key] = self.twin.logits(tokens)[-1]
        return self.known[key]

    def logits(
        self, prefix: Sequence[int], trees: Sequence[Tree], step_rows: int, step_spans: int
    ) -> list[dict[Place, torch.Tensor]]:
        held = None
        if prefix:
            tree = Tree(0)
            tree.keep(tree.append(HELD, prefix))
            held = HeldPrefix()
            self.forward.hold(lay_out([tree], step_rows, step_spans)[0], held)
        pack, ranks = lay_out(trees, step_rows, step_spans)
        answers = self.head.answer_rows(range(VOCABULARY))
        found = self.head.logits(self.head.norm(self.forward.run(pack, held)), answers)
        return [{place: found[rank] for place, rank in own.items()} for own in ranks]


def make_pair(twin: Twin, resident: frozenset[int] = _RESIDENT) -> Pair:
    store = LayerStore(twin.source, "fp32", resident, CPU, keep_on_host=False)
    embedding = Table(twin.source, EMBEDDING, torch.float32, CPU)
    head = Head(twin.source, Table(twin.source, head_name(twin.config), torch.float32, CPU), CPU)
    return Pair(twin, ForwardPass(twin.config, store, embedding, torch.float32, CPU, CPU), head)


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request: pytest.FixtureRequest) -> Pair:
    torch.set_num_threads(1)
    family: Family = request.param
    return make_pair(make_twin(family))


def make_tokens(count: int, seed: int) -> list[int]:
    """The same seed gives the same first tokens at any length, so that transformers' answers can be kept."""
    return [random.Random(f"{seed} {n}").randrange(VOCABULARY) for n in range(count)]


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    error = float((found - expected).norm() / expected.norm())
    assert error <= TOLERANCE, f"relative error {error:.1e}"


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    prefix_tokens=st.sampled_from(PREFIX_TOKENS),
    lengths=st.lists(st.sampled_from([1, 2, 3, 4, 63, 64, 65, 130, 257]), min_size=1, max_size=6),
    forks=st.lists(st.sampled_from([1, 2, 5, 33]), max_size=3),
    step_rows=st.sampled_from([16, 100, 1000]),
    step_spans=st.sampled_from([1, 3, 50]),
)
def test_packs_equal_sequences_alone(
    pair: Pair, prefix_tokens: int, lengths: list[int], forks: list[int], step_rows: int, step_spans: int
) -> None:
    """Documents behind a prefix, forks behind documents and forks behind forks, cut into steps of any size."""
    prefix = make_tokens(prefix_tokens, 0)
    trees: list[Tree] = []
    expected: list[tuple[int, Place, list[int]]] = []
    for number, length in enumerate(lengths):
        tree, document = Tree(len(prefix)), make_tokens(length, 1)
        end = tree.append(HELD, document)
        expected.append((number, tree.want(end), prefix + document))
        for fork in forks:
            suffix, branch = make_tokens(fork, 2), make_tokens(2, 3)
            question = tree.append(end, suffix)
            expected.append((number, tree.want(question), prefix + document + suffix))
            deeper = tree.append(question, branch)
            expected.append((number, tree.want(deeper), prefix + document + suffix + branch))
            expected.append((number, tree.want(deeper, 2), prefix + document + suffix))
        trees.append(tree)
    found = pair.logits(prefix, trees, step_rows, step_spans)
    for number, place, tokens in expected:
        assert_close(found[number][place], pair.expected(tokens))


def test_a_long_document_in_steps(pair: Pair) -> None:
    prefix, document = make_tokens(3, 0), make_tokens(3000, 1)
    tree = Tree(len(prefix))
    place = tree.want(tree.append(HELD, document))
    (found,) = pair.logits(prefix, [tree], 512, 8)
    assert_close(found[place], pair.expected(prefix + document))


def test_the_sum_over_the_vocabulary(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thresher.engines.native.head._CHUNK_ROWS", 50)
    normed = pair.head.norm(torch.randn(5, pair.twin.config.hidden_size))
    logits = pair.head.logits(normed, pair.head.answer_rows(range(VOCABULARY)))
    np.testing.assert_allclose(pair.head.logsumexp(normed), logits.double().logsumexp(-1), atol=1e-5)


def test_streamed_layers_compute_the_same() -> None:
    twin = make_twin("qwen3_5", layers=6)
    document = make_tokens(200, 1)
    found: list[torch.Tensor] = []
    for resident in (frozenset(range(6)), frozenset({2}), frozenset[int]()):
        streamed = make_pair(twin, resident)
        for _ in range(3):  # slots go round over several passes
            tree = Tree(0)
            place = tree.want(tree.append(HELD, document))
            found.append(streamed.logits([], [tree], 64, 8)[0][place])
    assert all(torch.equal(found[0], other) for other in found)


def test_a_pass_after_one_that_broke_off() -> None:
    twin = make_twin("qwen3", layers=5)
    streamed = make_pair(twin, frozenset())
    store = streamed.forward._store
    for number, _ in enumerate(store.visit()):
        if number == 2:
            break
    tree = Tree(0)
    place = tree.want(tree.append(HELD, make_tokens(20, 1)))
    assert_close(streamed.logits([], [tree], 64, 8)[0][place], twin.logits(make_tokens(20, 1))[-1])


def test_tied_embeddings() -> None:
    tied = make_pair(make_twin("qwen3_5", tie_word_embeddings=True))
    assert tied.twin.config.tied_embeddings
    tree = Tree(0)
    place = tree.want(tree.append(HELD, make_tokens(20, 1)))
    assert_close(tied.logits([], [tree], 64, 8)[0][place], tied.twin.logits(make_tokens(20, 1))[-1])
