"""The answers against brute force: every label's tokens fed one by one through plain decoding, nothing shared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from tests.support import engine_models
from tests.support.prompts import make_prompt, make_requests, make_text
from thresher.answers import AnswerTrie
from thresher.engines import Engine, open_engine
from thresher.engines.llamacpp.binding import open_binding
from thresher.engines.llamacpp.context import F32, Context, Piece, Shape
from thresher.engines.llamacpp.loaded_model import LoadedModel
from thresher.models import Model
from thresher.types import Prompt

LABELS = (
    ("invoice", "contract", "minutes"),
    ("invoice", "invoice from abroad", "invoice from home", "contract", "contract of sale"),
    ("the first kind", "the second kind", "the second sort"),
    ("договор", "дом", "契約書", "契約"),
)
MODELS = {"hybrid": engine_models.float32, "attention only": engine_models.plain}


class BruteForce:
    """Logits after any tokens, from a context that is emptied before each."""

    def __init__(self, model: Model) -> None:
        binding = open_binding(want_gpu=False)
        self._model = LoadedModel(binding, model.files.path, on_gpu=False)
        shape = Shape(cells=1024, sequences=8, micro_batch=1024, threads=2, kv_type=F32)
        self._context = Context(binding, self._model.handle, self._model.vocabulary_size, shape)

    def rows(self, tokens: Sequence[int], count: int) -> npt.NDArray[np.float64]:
        """The logits of the last ``count`` positions, [count, vocabulary]."""
        self._context.clear()
        outputs = tuple(range(len(tokens) - count, len(tokens)))
        piece = Piece(0, 0, np.array(tokens, dtype=np.int32), outputs)
        return self._context.decode([piece]).astype(np.float64)

    def close(self) -> None:
        self._context.close()
        self._model.close()


@pytest.fixture(scope="module", params=MODELS)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Engine, BruteForce]]:
    model = MODELS[request.param]()
    brute_force = BruteForce(model)
    with open_engine("llamacpp", model) as engine:
        yield engine, brute_force
    brute_force.close()


def expected(brute_force: BruteForce, prompt: Prompt, document: Sequence[int]) -> tuple[list[float], float]:
    """Every label's probability under decoding constrained to the labels, and the mass of their first tokens."""
    (question,) = prompt.questions
    reading = [*prompt.prefix_tokens, *document, *question.suffix_tokens]
    probabilities = []
    mass = 0.0
    for sequence in question.trie.sequences:
        rows = brute_force.rows([*reading, *sequence[:-1]], len(sequence))
        valid = [valid_tokens(question.trie, sequence[:n]) for n in range(len(sequence))]
        probabilities.append(math.prod(share(row, [t], v) for row, t, v in zip(rows, sequence, valid, strict=True)))
        mass = share(rows[0], question.trie.first_tokens, range(rows.shape[1]))
    return probabilities, mass


def valid_tokens(trie: AnswerTrie, path: Sequence[int]) -> list[int]:
    return sorted({s[len(path)] for s in trie.sequences if len(s) > len(path) and list(s[: len(path)]) == list(path)})


def share(row: npt.NDArray[np.float64], tokens: Sequence[int], among: Sequence[int]) -> float:
    weights = np.exp(row - row.max())
    return float(weights[list(tokens)].sum() / weights[list(among)].sum())


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: labels[1])
def test_probabilities_equal_brute_force(pair: tuple[Engine, BruteForce], labels: Sequence[str]) -> None:
    engine, brute_force = pair
    prompt = make_prompt(engine.tokenizer, labels)
    documents = [engine.tokenizer.encode(make_text(n, n)) for n in (0, 2, 9)]
    scores = sorted(engine.score(make_requests(prompt, documents)), key=lambda s: s.request_id)
    for document, found in zip(documents, scores, strict=True):
        probabilities, mass = expected(brute_force, prompt, document)
        assert math.fsum(probabilities) == pytest.approx(1)
        assert found.answers[0].probabilities == pytest.approx(probabilities, abs=1e-4)
        assert found.answers[0].label_mass == pytest.approx(mass, rel=1e-3)
