"""Tries -> requests: the descent, and the routes that need several requests, against arithmetic over the whole trie."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.answers import UNEXPLORED_MASS_LIMIT, AnswerTrie
from thresher.engines.servers.fault import BadAnswerError, TooLongError
from thresher.engines.servers.next_token import Reading, check_length, checked_logprobs, mass_of, score_by
from thresher.engines.servers.vllm.completions import Completions, NextToken
from thresher.engines.servers.vllm.routes import AllowedTokens
from thresher.types import Prompt, QuestionPrompt, Request

VOCABULARY = 24
END = 0
labels = st.lists(
    st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=4).map(tuple), min_size=2, max_size=12, unique=True
)


def logprobs_after(tokens: Sequence[int], sharpness: float = 6.0) -> list[float]:
    """A model: made up, normalised, the same for the same tokens."""
    bits = hashlib.shake_128(repr(tuple(tokens)).encode()).digest(2 * VOCABULARY)
    logits = [sharpness * int.from_bytes(bits[2 * n : 2 * n + 2]) / 65536 for n in range(VOCABULARY)]
    total = math.log(math.fsum(map(math.exp, logits)))
    return [logit - total for logit in logits]


def probabilities_of(trie: AnswerTrie, prompt: Sequence[int]) -> list[float]:
    """Of each label, by its definition: the product over its branchings of the softmax over what is valid there."""
    found = []
    for sequence in trie.sequences:
        probability = 1.0
        for length in range(len(sequence)):
            path = sequence[:length]
            if path in trie.branchings:
                logprobs = logprobs_after([*prompt, *path])
                valid = trie.branchings[path].tokens
                probability *= math.exp(logprobs[sequence[length]]) / mass_of([logprobs[token] for token in valid])
        found.append(probability)
    return found


class Direct:
    """A route that knows everything, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    async def read(self, prompt: Sequence[int], tokens: Sequence[int]) -> Reading:
        self.asked.append((tuple(prompt), tuple(tokens)))
        logprobs = logprobs_after(prompt)
        chosen = tuple(logprobs[token] for token in tokens)
        return Reading(logprobs=chosen, mass=mass_of(chosen), prompt_tokens=len(prompt), cached_tokens=1)


def request_for(*tries: AnswerTrie) -> Request:
    questions = tuple(
        QuestionPrompt(name=f"q{n}", suffix_tokens=(VOCABULARY + n,), trie=trie) for n, trie in enumerate(tries)
    )
    return Request(request_id=7, prompt=Prompt(prefix_tokens=(1, 2), questions=questions), document_tokens=[3, 4])


def make_trie(sequences: Sequence[tuple[int, ...]]) -> AnswerTrie:
    return AnswerTrie([str(n) for n in range(len(sequences))], [(*sequence, END) for sequence in sequences])


@given(labels, labels)
def test_the_descent_gives_what_the_trie_defines(first: list[tuple[int, ...]], second: list[tuple[int, ...]]) -> None:
    tries, route = [make_trie(first), make_trie(second)], Direct()
    scores = asyncio.run(score_by(route, request_for(*tries)))
    for number, (trie, answer) in enumerate(zip(tries, scores.answers, strict=True)):
        prompt = [1, 2, 3, 4, VOCABULARY + number]
        expected = probabilities_of(trie, prompt)
        assert answer.probabilities == pytest.approx(expected, abs=2 * UNEXPLORED_MASS_LIMIT)
        if trie.root_path == ():
            mass = mass_of([logprobs_after(prompt)[token] for token in trie.branchings[()].tokens])
            assert answer.label_mass == pytest.approx(mass)
        else:
            assert answer.label_mass is None
    assert len(set(route.asked)) == len(route.asked)
    assert all(len(tokens) > 1 for _, tokens in route.asked)  # what is forced costs nothing
    assert scores.cached_tokens == len(route.asked)
    assert scores.computed_tokens == sum(len(prompt) - 1 for prompt, _ in route.asked)


def test_a_single_label_asks_nothing() -> None:
    route = Direct()
    scores = asyncio.run(score_by(route, request_for(make_trie([(5, 6)]))))
    assert scores.answers[0].probabilities == (1.0,)
    assert not route.asked


class OneToken(Completions):
    """Completions of the made-up model, by a server that lists ``top`` tokens, narrowed or not."""

    def __init__(self, top: int, *, raw: bool) -> None:
        self.top, self.raw, self.requests = top, raw, 0

    async def next_token(self, prompt: Sequence[int], **fields: Any) -> NextToken:
        self.requests += 1
        allowed: Sequence[int] = fields["allowed_token_ids"]
        assert fields["logprobs"] == self.top
        logprobs: Mapping[int, float] = dict(enumerate(logprobs_after(prompt, 12.0)))
        sampled = max(allowed, key=logprobs.__getitem__)
        if not self.raw:
            total = math.log(mass_of([logprobs[token] for token in allowed]))
            logprobs = {token: logprobs[token] - total for token in allowed}
        listed = sorted(logprobs, key=lambda token: -logprobs[token])[: self.top]
        shown = {token: logprobs[token] for token in {sampled, *listed}}
        return NextToken(sampled=sampled, logprobs=shown, prompt_tokens=len(prompt), cached_tokens=0)


@settings(max_examples=60)
@given(st.lists(st.integers(0, VOCABULARY - 1), min_size=2, unique=True), st.integers(1, 5), st.booleans())
def test_allowed_tokens_settle_all_that_matters(tokens: list[int], top: int, raw: bool) -> None:
    if not raw:
        top += 1  # beside the known token that others are compared with
    completions = OneToken(top, raw=raw)
    route = AllowedTokens(completions, top=top, raw=raw, normalised=True)
    reading = asyncio.run(route.read([9], tokens))
    exact = [math.exp(logprobs_after([9], 12.0)[token]) for token in tokens]
    shares = [math.exp(value) for value in reading.logprobs]
    assert [share / sum(shares) for share in shares] == pytest.approx([p / sum(exact) for p in exact], abs=1e-4)
    assert (reading.mass is None) is not raw
    assert reading.mass is None or reading.mass == pytest.approx(sum(exact), abs=1e-4)
    assert completions.requests <= len(tokens)


def test_what_a_server_writes_for_a_log_probability() -> None:
    assert checked_logprobs([-1.5, -math.inf, 0]) == (-1.5, -1e4, 0.0)
    for wrong in (None, "x", math.nan, math.inf):
        with pytest.raises(BadAnswerError):
            checked_logprobs([wrong])


def test_a_prompt_that_was_cut_is_no_answer() -> None:
    check_length(10, 10)
    check_length(10, None)
    with pytest.raises(TooLongError, match="read 9 of 10 tokens"):
        check_length(10, 9)
