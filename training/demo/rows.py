"""Training rows: a document, a set of labels, and what the teacher or the source says is right."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from corpus import Corpus
from prompts import STYLES, Prompter, draw_instructions, restyle

MAX_LABELS = 12
MAX_ANSWER = 8
LONGEST = 3072
_TEMPERATURE = 0.05
#: Share of rows by family of the document's natural label; "" is a set drawn at random, judged by the teacher.
_SHARES = {
    "everyday": 0.34, "": 0.26, "topics": 0.10, "words": 0.05, "requests": 0.08, "services": 0.05,
    "government articles": 0.03, "software pages": 0.03, "dishes": 0.02, "proposals": 0.01, "word lists": 0.02,
    "handbook pages": 0.01,
}  # fmt: skip


@dataclass(slots=True)
class Row:
    """One training example."""

    tokens: list[int]
    answer_at: int  # index of the token that predicts the answer's first
    answer: list[int]
    said: int  # the label that the answer names
    first_tokens: list[int]  # of each label
    weights: list[float]  # how right each label is; they sum to 1
    spans: list[tuple[int, int]]
    name_vectors: list[int]
    description_vectors: list[int]  # -1: none
    document_vector: int


@dataclass(slots=True)
class Vectors:
    """The teacher's unit vectors ``table[texts, size]`` and where each text's lies."""

    table: np.ndarray
    documents: np.ndarray  # row of each document
    names: list[list[int]]  # by concept
    descriptions: list[list[int]]


class RowMaker:
    """Draws rows. Documents come as token arrays (``flat[offsets[i]:offsets[i + 1]]``), line end included."""

    def __init__(
        self, corpus: Corpus, vectors: Vectors, flat: np.ndarray, offsets: np.ndarray, prompter: Prompter, seed: int
    ) -> None:
        self._concepts, self._documents = corpus.concepts, corpus.documents
        self._vectors, self._flat, self._offsets, self._prompter = vectors, flat, offsets, prompter
        self._rng = random.Random(seed)
        hidden = {name.lower() for c in corpus.concepts if c.held_back for name in c.names}
        usable = [
            not c.held_back and (c.family == "everyday" or not any(n.lower() in hidden for n in c.names))
            for c in corpus.concepts
        ]
        self._pool = [i for i, use in enumerate(usable) if use]
        self._index = {(c.family, c.names[0]): i for i, c in enumerate(corpus.concepts)}
        self._families: dict[str, list[int]] = {}
        for i in self._pool:
            self._families.setdefault(corpus.concepts[i].family, []).append(i)
        self._by_concept: dict[int, list[int]] = {}
        self._trainable = []
        for i, document in enumerate(corpus.documents):
            if document.held_back:
                continue
            self._trainable.append(i)
            if document.concept is not None and usable[document.concept]:
                self._by_concept.setdefault(document.concept, []).append(i)
        # Generated kinds come as often as the generator makes them, other concepts all alike.
        self._drawn = {
            family: [
                c
                for c in members
                if c in self._by_concept
                for _ in range(len(self._by_concept[c]) if family == "everyday" else 1)
            ]
            for family, members in self._families.items()
        }
        self._newline = prompter.encode("\n")[0]
        self._breaks = {prompter.encode(text)[-1] for text in ("\n", "\n\n", ".\n", ":\n", ",\n", ".\n\n", ":\n\n")}

    def draw(self) -> Row:
        """One row of at most ``LONGEST`` tokens."""
        rng = self._rng
        family = rng.choices(list(_SHARES), list(_SHARES.values()))[0]
        count = rng.choice((2, 3, 3, 4, 4, 5, 5, 6, 6, 6, 7, 8, 8, 9, 10, 12))
        if family:
            right = rng.choice(self._drawn[family])
            document = rng.choice(self._by_concept[right])
            others = self._others(document, right, count - 1)
            chosen = [right, *others]
        else:
            right = None
            document = rng.choice(self._trainable)
            chosen = self._near_and_far(document, count)
        rng.shuffle(chosen)
        return self._row(document, chosen, right)

    def _others(self, document: int, right: int, count: int) -> list[int]:
        """Labels that are wrong: mostly of the same family, else any that the teacher finds less fitting."""
        rng, concept = self._rng, self._concepts[right]
        family = self._families[concept.family]
        avoid = {right} | {self._index.get((concept.family, name), right) for name in concept.avoid}
        from_family = 0.85 if concept.family in ("everyday", "requests", "services") else 0.4
        chosen: list[int] = []
        for _ in range(count * 6):
            if len(chosen) == count:
                break
            inside = rng.random() < from_family
            other = rng.choice(family if inside else self._pool)
            if other in avoid or other in chosen:
                continue
            exclusive = inside and concept.family in ("everyday", "requests", "services")
            if not exclusive and self._rivals(document, right, other):
                continue
            chosen.append(other)
        return chosen

    def _rivals(self, document: int, right: int, other: int) -> bool:
        table = self._vectors.table
        name, wrong = table[self._vectors.names[right][0]], table[self._vectors.names[other][0]]
        text = table[self._vectors.documents[document]]
        return bool(name @ wrong > 0.6) or bool(text @ wrong > text @ name - 0.02)

    def _near_and_far(self, document: int, count: int) -> list[int]:
        sample = self._rng.sample(self._pool, 48)
        first = [self._vectors.names[c][0] for c in sample]
        likeness = self._vectors.table[first].astype(np.float32) @ self._vectors.table[
            self._vectors.documents[document]
        ].astype(np.float32)
        order = np.argsort(-likeness)
        near = [sample[order[0]]] if self._rng.random() < 0.85 else []
        far = [c for c in sample if c not in near]
        return near + far[: count - len(near)]

    def _row(self, document: int, chosen: list[int], right: int | None) -> Row:
        rng, prompter, vectors = self._rng, self._prompter, self._vectors
        names, descriptions = self._wording(chosen)
        labels = []
        for c, n, d in zip(chosen, names, descriptions, strict=True):
            labels.append((n[0], self._concepts[c].descriptions[d] if d >= 0 else None))
        name_vectors = [vectors.names[c][n[1]] for c, n in zip(chosen, names, strict=True)]
        description_vectors = [
            vectors.descriptions[c][d] if d >= 0 else -1 for c, d in zip(chosen, descriptions, strict=True)
        ]
        if right is None:
            weights = self._judge(document, name_vectors, description_vectors)
            answered = int(rng.choices(range(len(chosen)), weights)[0])
        else:
            answered = chosen.index(right)
            weights = [float(i == answered) for i in range(len(chosen))]
        prefix, spans = prompter.prefix(draw_instructions(rng), labels)
        answers = [prompter.answer(name) for name, _ in labels]
        answer = answers[answered][:MAX_ANSWER]
        room = LONGEST - len(prefix) - len(prompter.suffix) - MAX_ANSWER
        body = self._body(document, room)
        prompt = [*prefix, *body, *prompter.suffix]
        return Row(
            tokens=prompt + answer[:-1], answer_at=len(prompt) - 1, answer=answer, said=answered, first_tokens=[a[0] for a in answers],
            weights=weights, spans=spans, name_vectors=name_vectors, description_vectors=description_vectors,
            document_vector=int(vectors.documents[document]),
        )  # fmt: skip

    def _wording(self, chosen: list[int]) -> tuple[list[tuple[str, int]], list[int]]:
        """For each concept a name (with its number) unlike the others, and a description's number or -1."""
        rng = self._rng
        style = rng.choice(STYLES)
        mixed = rng.random() < 0.1
        described = rng.choice((0.0, 0.0, 1.0, 1.0, 1.0, 0.5))
        opaque = described == 1.0 and all(self._concepts[c].descriptions for c in chosen) and rng.random() < 0.06
        names: list[tuple[str, int]] = []
        descriptions = []
        for place, c in enumerate(chosen):
            concept = self._concepts[c]
            number = 0 if rng.random() < 0.35 else rng.randrange(len(concept.names))
            name = restyle(concept.names[number], rng.choice(STYLES) if mixed else style)
            if opaque:
                name = f"{'class' if style == 'lower' else 'type'} {'ABCDEFGHIJKL'[place]}"
            if name in (n for n, _ in names):
                name, number = concept.names[0] + f" {place + 1}", 0
            names.append((name, number))
            has = concept.descriptions and rng.random() < described
            descriptions.append(rng.randrange(len(concept.descriptions)) if has else -1)
        return names, descriptions

    def _judge(self, document: int, names: list[int], descriptions: list[int]) -> list[float]:
        table = self._vectors.table
        text = table[self._vectors.documents[document]].astype(np.float32)
        lines = table[names].astype(np.float32)
        for i, d in enumerate(descriptions):
            if d >= 0:
                lines[i] += table[d]
                lines[i] /= np.linalg.norm(lines[i])
        scores = lines @ text / _TEMPERATURE
        weights = np.exp(scores - scores.max())
        return list(weights / weights.sum())

    def _body(self, document: int, room: int) -> list[int]:
        """The document's tokens, sometimes only a stretch of them, sometimes with others of its concept added."""
        rng = self._rng
        body = self._stretch(self._tokens(document))
        concept = self._documents[document].concept
        if concept in self._by_concept and rng.random() < 0.09:
            goal = rng.choice((300, 500, 500, 700, 900, 900, 1500, 2900))
            while len(body) < goal:
                body = body + self._tokens(rng.choice(self._by_concept[concept]))
        elif len(body) > 500 and rng.random() < 0.8:
            size = rng.randrange(100, 500)
            start = 0 if rng.random() < 0.5 else rng.randrange(len(body) - size)
            body = [*body[start : start + size], self._newline]
        if len(body) > 40 and rng.random() < 0.35:  # with gaps, so that no single word decides
            gaps = rng.uniform(0.05, 0.3)
            body = [*(token for token in body if rng.random() > gaps), self._newline]
        if len(body) > room:
            body = [*body[: room - 1], self._newline]
        return body

    def _tokens(self, document: int) -> list[int]:
        return self._flat[self._offsets[document] : self._offsets[document + 1]].tolist()

    def _stretch(self, body: list[int]) -> list[int]:
        rng = self._rng
        if len(body) < 60 or rng.random() < 0.4:
            return body
        if rng.random() < 0.6:  # without its beginning, which often names the kind
            starts = [i + 1 for i, token in enumerate(body[: len(body) // 2]) if token in self._breaks]
            if starts:
                body = body[rng.choice(starts[:6]) :]
        if len(body) > 120 and rng.random() < 0.5:
            body = [*body[: rng.randrange(60, len(body))], self._newline]
        return body
