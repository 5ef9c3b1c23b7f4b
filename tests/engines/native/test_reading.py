"""Answers of the reader against brute force: every label's tokens fed to transformers, nothing shared, nothing cut."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch

from tests.engines.native.test_forward import Pair, make_pair, make_tokens
from tests.support.native_models import Twin, make_twin
from thresher.answers import Answer, AnswerTrie
from thresher.engines.native import reading as reading_module
from thresher.engines.native.pipeline import Pipeline
from thresher.engines.native.reader import Reader
from thresher.engines.native.reading import Reading
from thresher.engines.native.sizing import Sizes
from thresher.types import Prompt, QuestionPrompt, Request

SIZES = Sizes(pack_rows=10_000, pack_segments=1000, step_rows=64, step_spans=40, largest_request_tokens=8000)
END = 9
TRIES: dict[str, list[list[int]]] = {
    "flat": [[20, END], [21, END], [22, END]],
    "one label": [[20, 21, END]],
    "shared start": [[30, 31, 20, END], [30, 31, 21, END], [30, 31, 21, 22, END]],
    "tree": [[20, END], [20, 21, END], [20, 21, 22, END], [20, 23, END], [24, 25, END], [24, 26, 27, 28, END]],
    "long stretches": [
        [*range(40, 70), 20, *range(70, 100), END],
        [*range(40, 70), 20, *range(70, 99), 101, END],
        [*range(40, 70), 21, END],
        [22, END],
    ],
    "digits": [[10 + digit for digit in map(int, str(number))] + [END] for number in range(120)],
}


@pytest.fixture(scope="module")
def pair() -> Pair:
    torch.set_num_threads(1)
    return make_pair(make_twin("qwen3_5"))


def make_question(name: str, suffix: Sequence[int]) -> QuestionPrompt:
    sequences = TRIES[name]
    labels = [f"{name} {number}" for number in range(len(sequences))]
    return QuestionPrompt(name=name, suffix_tokens=tuple(suffix), trie=AnswerTrie(labels, sequences))


def read(pair: Pair, prompt: Prompt, documents: Sequence[Sequence[int]]) -> tuple[list[Reading], int]:
    """Readings when finished, and how many passes it took."""
    reader = Reader(Pipeline([pair.forward]), pair.head, SIZES)
    readings = [Reading(Request(request_id=n, prompt=prompt, document_tokens=list(d))) for n, d in enumerate(documents)]
    passes = 0
    while unfinished := [reading for reading in readings if not reading.finished]:
        reader.send(prompt, unfinished, [reading.tree() for reading in unfinished]).land()
        passes += 1
    return readings, passes


def brute_force(twin: Twin, before: Sequence[int], trie: AnswerTrie) -> Answer:
    probabilities, mass = [], 0.0
    for sequence in trie.sequences:
        rows = twin.logits([*before, *sequence])[len(before) - 1 : -1].double()
        shares = [
            rows[n][token].sub(rows[n][valid_tokens(trie, sequence[:n])].logsumexp(0)).exp().item()
            for n, token in enumerate(sequence)
        ]
        probabilities.append(math.prod(shares))
        mass = float(rows[0].softmax(0)[list(trie.first_tokens)].sum())
    return Answer(tuple(probabilities), mass)


def valid_tokens(trie: AnswerTrie, path: Sequence[int]) -> list[int]:
    return sorted({s[len(path)] for s in trie.sequences if len(s) > len(path) and list(s[: len(path)]) == list(path)})


def assert_right(pair: Pair, prompt: Prompt, readings: Sequence[Reading]) -> None:
    for reading in readings:
        assert reading.error is None
        for question, walk in zip(prompt.questions, reading.walks(), strict=True):
            before = [*prompt.prefix_tokens, *reading.request.document_tokens, *question.suffix_tokens]
            found, expected = walk.answer(), brute_force(pair.twin, before, question.trie)
            # what is left of the branches not followed is shared evenly: at most the walk's limit
            assert found.probabilities == pytest.approx(expected.probabilities, abs=1.1e-4)
            assert found.label_mass == pytest.approx(expected.label_mass, rel=1e-4)


@pytest.mark.parametrize("name", [name for name in TRIES if name != "digits"])
@pytest.mark.parametrize("allowance", [0, 4, 10_000])
def test_answers_equal_brute_force(pair: Pair, monkeypatch: pytest.MonkeyPatch, name: str, allowance: int) -> None:
    monkeypatch.setattr(reading_module, "LEAST_BRANCH_TOKENS", allowance)
    prompt = Prompt(prefix_tokens=tuple(make_tokens(5, 0)), questions=(make_question(name, [100, 101, 102]),))
    readings, passes = read(pair, prompt, [[], make_tokens(1, 1), make_tokens(3, 2)])
    assert_right(pair, prompt, readings)
    if allowance == 10_000:
        assert passes == 1
    elif allowance == 0 and len(prompt.questions[0].trie.branchings) > 1:
        assert passes > 1


def test_many_integers(pair: Pair) -> None:
    prompt = Prompt(prefix_tokens=(), questions=(make_question("digits", [100, 101, 102]),))
    readings, passes = read(pair, prompt, [make_tokens(40, 1)])
    assert passes == 1
    assert_right(pair, prompt, readings)


@pytest.mark.parametrize("allowance", [0, 10_000])
def test_several_questions_over_one_reading(pair: Pair, monkeypatch: pytest.MonkeyPatch, allowance: int) -> None:
    monkeypatch.setattr(reading_module, "LEAST_BRANCH_TOKENS", allowance)
    questions = (
        make_question("tree", [100, 101, 102]),
        make_question("flat", [100, 101]),  # the beginning of the others' suffixes
        make_question("shared start", [100, 101, 103, 104]),
        make_question("long stretches", [100, 101]),
        make_question("one label", [100, 101, 102]),
    )
    prompt = Prompt(prefix_tokens=tuple(make_tokens(70, 0)), questions=questions)
    readings, _ = read(pair, prompt, [make_tokens(80, 1), [], make_tokens(1, 2)])
    assert_right(pair, prompt, readings)
    if allowance:
        branches = sum(len(sequence) for name in TRIES for sequence in TRIES[name] if name != "digits")
        assert readings[0].computed_tokens < 80 + branches


def test_no_suffix_at_all(pair: Pair) -> None:
    prompt = Prompt(prefix_tokens=(1, 2), questions=(make_question("tree", []), make_question("flat", [])))
    readings, _ = read(pair, prompt, [make_tokens(30, 1)])
    assert_right(pair, prompt, readings)


def test_logits_that_are_not_numbers_fail_their_own_document(pair: Pair) -> None:
    twin = make_twin("qwen3_5")
    twin.source._tensors["embed_tokens.weight"][77] = float("nan")
    prompt = Prompt(prefix_tokens=(1, 2), questions=(make_question("flat", [100]),))
    readings, _ = read(make_pair(twin), prompt, [[5, 6], [5, 77, 6], [5, 7]])
    assert [reading.error is None for reading in readings] == [True, False, True]
    assert "not numbers" in str(readings[1].error) or "not a number" in str(readings[1].error)
    (alone,), _ = read(make_pair(make_twin("qwen3_5")), prompt, [[5, 6]])
    expected = alone.walks()[0].answer().probabilities
    assert readings[0].walks()[0].answer().probabilities == pytest.approx(expected, abs=1e-6)
