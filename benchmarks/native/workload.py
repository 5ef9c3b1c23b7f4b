"""Requests of a workload's lengths, with random tokens."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from thresher.answers import AnswerTrie
from thresher.types import Prompt, QuestionPrompt, Request

_PROJECT = Path(__file__).parents[2]
#: By their paths, because the package's own rooms import more than a GPU machine may have.
_PLACES = (_PROJECT / "src" / "thresher" / "bench" / "workloads", _PROJECT / "benchmarks" / "workloads")
_LABELS = 8
SUFFIX_TOKENS = 8


def read_lengths(name: str) -> tuple[int, list[int]]:
    """Tokens of the prefix, and prompt tokens of each document with it."""
    file = next(file for place in _PLACES if (file := place / f"{name}.json").exists())
    loaded = json.loads(file.read_text(encoding="utf-8"))
    return loaded["prefix_tokens"], loaded["prompt_tokens"]


def spread(lengths: list[int], count: int) -> list[int]:
    """``count`` of ``lengths``, evenly through them from short to long, in an order that mixes both."""
    ranked = sorted(lengths)
    chosen = [ranked[int((index + 0.5) * len(ranked) / count)] for index in range(count)]
    return [chosen[index] for index in np.random.default_rng(0).permutation(count)]


def make_requests(prefix_tokens: int, prompt_tokens: list[int], vocabulary: int, seed: int = 0) -> list[Request]:
    """One request per length: prefix, document, suffix; one question with labels of one token each."""
    random = np.random.default_rng(seed)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(random.integers(0, vocabulary, count).tolist())

    answers = random.permutation(vocabulary)[:_LABELS].tolist()
    trie = AnswerTrie([f"label {index}" for index in range(_LABELS)], [(token,) for token in answers])
    question = QuestionPrompt(name="label", suffix_tokens=tokens(SUFFIX_TOKENS), trie=trie)
    prompt = Prompt(prefix_tokens=tokens(prefix_tokens), questions=(question,))
    return [
        Request(request_id=index, prompt=prompt, document_tokens=tokens(max(1, count - prefix_tokens - SUFFIX_TOKENS)))
        for index, count in enumerate(prompt_tokens)
    ]
