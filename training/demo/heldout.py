"""Label sets that the demo model never trained on, and its accuracy on them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from corpus import Corpus
from network import Network
from prompts import DEFAULT_INSTRUCTIONS, Prompter

_EACH = 20
_LONGEST = 3000


@dataclass(frozen=True, slots=True)
class Question:
    """A text, the labels in the order asked, and the right one's place."""

    text: str
    labels: tuple[tuple[str, str | None], ...]
    right: int


def held_back_sets(corpus: Corpus, seed: int = 7) -> dict[str, list[Question]]:
    """Questions by family; every family's concepts are dealt into sets of at most eight."""
    rng = random.Random(seed)
    texts: dict[int, list[str]] = {}
    for document in corpus.documents:
        if document.held_back and document.concept is not None:
            texts.setdefault(document.concept, []).append(document.text)
    families: dict[str, list[int]] = {}
    for i in texts:
        if len(texts[i]) >= 8:
            families.setdefault(corpus.concepts[i].family, []).append(i)
    sets = {}
    for family, members in sorted(families.items()):
        rng.shuffle(members)
        size = 5 if len(members) > 8 else len(members)
        groups = [members[i : i + size] for i in range(0, len(members), size)]
        sets[family] = [q for group in groups if len(group) > 2 for q in _ask(corpus, group, texts, rng)]
    return {family: questions for family, questions in sets.items() if questions}


def _ask(corpus: Corpus, group: Sequence[int], texts: dict[int, list[str]], rng: random.Random) -> Iterator[Question]:
    for right in group:
        for text in rng.sample(texts[right], min(_EACH, len(texts[right]))):
            order = list(group)
            rng.shuffle(order)
            labels = tuple((corpus.concepts[c].names[0], None) for c in order)
            yield Question(text, labels, order.index(right))


@torch.inference_mode()
def accuracy(
    network: Network, prompter: Prompter, questions: Iterable[Question], tokens_a_batch: int = 60_000
) -> float:
    """Share of questions whose right label has the highest probability as an answer, end of turn included."""
    rows, right = [], []
    for number, question in enumerate(questions):
        right.append(question.right)
        prefix, _ = prompter.prefix(DEFAULT_INSTRUCTIONS, question.labels)
        prompt = [*prefix, *prompter.document(question.text)[:_LONGEST], *prompter.suffix]
        rows += [(number, label, prompt, prompter.answer(name)) for label, (name, _) in enumerate(question.labels)]
    rows.sort(key=lambda row: len(row[2]))
    scores = [[-torch.inf] * 64 for _ in right]
    start = 0
    while start < len(rows):
        length = -(-(len(rows[start][2]) + 16) // 256) * 256
        stop = start
        while stop < len(rows) and len(rows[stop][2]) + 16 <= length and (stop - start) * length < tokens_a_batch:
            stop += 1
        for (number, label, _, _), score in zip(
            rows[start:stop], _score(network, rows[start:stop], length), strict=True
        ):
            scores[number][label] = score
        start = stop
    hits = [max(range(64), key=row.__getitem__) == r for row, r in zip(scores, right, strict=True)]
    return sum(hits) / len(hits)


def _score(network: Network, rows: list[tuple[int, int, list[int], list[int]]], length: int) -> list[float]:
    device = network.embed_tokens.weight.device
    tokens = torch.zeros(len(rows), length, dtype=torch.int64)
    for i, (_, _, prompt, answer) in enumerate(rows):
        ids = prompt + answer[:-1]
        tokens[i, : len(ids)] = torch.tensor(ids)
    final = network(tokens.to(device)).final
    scores = []
    for i, (_, _, prompt, answer) in enumerate(rows):
        log = network.logits(final[i, len(prompt) - 1 : len(prompt) - 1 + len(answer)]).log_softmax(-1)
        scores.append(float(log[range(len(answer)), answer].sum()))
    return scores
