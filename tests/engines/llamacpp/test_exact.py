"""The answers against brute force: every label's tokens fed one by one through plain decoding, nothing shared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tests.support import engine_models
from tests.support.prompts import make_hierarchical_question, make_prompt, make_question, make_requests, make_text
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
QUESTIONS = ("kind", "long kind of a document, by what it is for,", "sort", "вид")
MODELS = {"hybrid": engine_models.float32, "attention only": engine_models.plain}


class BruteForce:
    """Logits after any tokens, from a context that is emptied before each."""

    def __init__(self, model: Model) -> None:
        binding = open_binding(want_gpu=False)
        self._model = LoadedModel(binding, model.files.path, on_gpu=False)
        shape = Shape(cells=1024, sequences=8, micro_batch=1024, threads=2, kv_type=F32)
        self._context = Context(binding, self._model.handle, self._model.vocabulary_size, shape)

    def rows(self, tokens: Sequence[int], offsets: Sequence[int]) -> npt.NDArray[np.float64]:
        """The logits after ``tokens[offset]`` for each offset, [offsets, vocabulary]."""
        self._context.clear()
        piece = Piece(0, 0, np.array(tokens, dtype=np.int32), tuple(offsets))
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


def expected(
    brute_force: BruteForce, prompt: Prompt, document: Sequence[int], question: int = 0, step: int = 1
) -> tuple[list[float], float]:
    """Every label's probability under decoding constrained to the labels, and the mass of their first tokens.

    Of every ``step``-th label only, where there are many.
    """
    asked = prompt.questions[question]
    reading = [*prompt.prefix_tokens, *document, *asked.suffix_tokens]
    probabilities = []
    mass = 0.0
    for sequence in asked.trie.sequences[::step]:
        valid = [valid_tokens(asked.trie, sequence[:n]) for n in range(len(sequence))]
        looked = [n for n in range(len(sequence)) if n == 0 or len(valid[n]) > 1]
        rows = brute_force.rows([*reading, *sequence[:-1]], [len(reading) - 1 + n for n in looked])
        shares = [share(row, [sequence[n]], valid[n]) for row, n in zip(rows, looked, strict=True)]
        probabilities.append(math.prod(shares))
        mass = share(rows[0], asked.trie.first_tokens, range(rows.shape[1]))
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


def test_several_questions_equal_brute_force(pair: tuple[Engine, BruteForce]) -> None:
    """Suffixes of unequal lengths, one of them empty, over answers that are flat, trees, and begin alike."""
    engine, brute_force = pair
    questions = [make_question(engine.tokenizer, labels, name) for labels, name in zip(LABELS, QUESTIONS, strict=True)]
    questions.append(replace(questions[0], suffix_tokens=()))
    for asked in (questions[:2], questions):
        prompt = Prompt(prefix_tokens=make_prompt(engine.tokenizer, LABELS[0]).prefix_tokens, questions=tuple(asked))
        documents = [engine.tokenizer.encode(make_text(n, n)) for n in (1, 9)]
        scores = sorted(engine.score(make_requests(prompt, documents)), key=lambda s: s.request_id)
        for document, found in zip(documents, scores, strict=True):
            for index, answer in enumerate(found.answers):
                probabilities, mass = expected(brute_force, prompt, document, index)
                assert answer.probabilities == pytest.approx(probabilities, abs=1e-4)
                assert answer.label_mass == pytest.approx(mass, rel=1e-3)


@pytest.mark.parametrize(("parents", "children", "forced_tokens"), [(2, 3, 20), (10, 10, 200)])
def test_hierarchical_labels_equal_brute_force(
    pair: tuple[Engine, BruteForce], parents: int, children: int, forced_tokens: int
) -> None:
    """Up to 100 labels whose answers hold a forced turn of 200 tokens; each such turn is decoded once."""
    engine, brute_force = pair
    tree = {f"group {n}": [f"kind {n} {m}" for m in range(children)] for n in range(parents)}
    question = make_hierarchical_question(engine.tokenizer, tree, forced_tokens)
    prompt = Prompt(prefix_tokens=make_prompt(engine.tokenizer, LABELS[0]).prefix_tokens, questions=(question,))
    document = engine.tokenizer.encode(make_text(9, 3))
    (found,) = engine.score(make_requests(prompt, [document]))
    step = max(1, parents * children // 9)
    probabilities, mass = expected(brute_force, prompt, document, step=step)
    assert math.fsum(found.answers[0].probabilities) == pytest.approx(1)
    assert found.answers[0].probabilities[::step] == pytest.approx(probabilities, abs=1e-4)
    assert found.answers[0].label_mass == pytest.approx(mass, rel=1e-3)
    read_once = prompt.overhead_tokens() + len(document)
    branches = parents * (forced_tokens + 20) + parents * children * 8
    assert found.computed_tokens < read_once + branches


def test_on_a_cpu_the_answers_are_bit_for_bit_the_same_in_any_batch() -> None:
    """With quantized weights, whose kernels round by batch shape; with questions of every kind."""
    with open_engine("llamacpp", engine_models.shipped()) as engine:
        questions = [make_question(engine.tokenizer, labels, "kind") for labels in LABELS]
        tree = {f"group {n}": [f"kind {n} {m}" for m in range(3)] for n in range(3)}
        questions.append(make_hierarchical_question(engine.tokenizer, tree, 60))
        prefix = make_prompt(engine.tokenizer, LABELS[0]).prefix_tokens
        documents = [engine.tokenizer.encode(make_text(n, n)) for n in (40, 3, 4, 0)]
        for asked in (questions[:1], questions[4:], questions):
            prompt = Prompt(prefix_tokens=prefix, questions=tuple(asked))
            requests = make_requests(prompt, documents)
            batch = {scores.request_id: scores.answers for scores in engine.score(requests)}
            for request in reversed(requests):
                (alone,) = engine.score([request])
                assert alone.answers == batch[request.request_id]
