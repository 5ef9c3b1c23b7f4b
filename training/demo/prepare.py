"""Prepare everything the training machine needs, on a CPU.

    python prepare.py --data FOLDER --wordnet FOLDER --teacher FOLDER --out FOLDER

Writes the corpus, the tokenizer and the packed teacher.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
from pathlib import Path

import teacher
import vocabulary
from architecture import Architecture
from everyday import generate
from sources import gather

_SEED = 20251
_VOCABULARY_SEED = 99
_QUESTIONS_SEED = 4242
#: The label set of the examples that come with Thresher, asked of generated texts that are not trained on.
_EXAMPLE_KINDS = ("invoice", "contract", "support-request", "minutes", "cv", "bug-report")


def questions(count: int) -> dict[str, list[tuple[str, list[tuple[str, str | None]], int]]]:
    """Texts of the examples' kinds, with and without descriptions of the labels."""
    rng = random.Random(_QUESTIONS_SEED)
    items = [i for i in generate(_QUESTIONS_SEED, count) if i.kind.replace(" ", "-") in _EXAMPLE_KINDS]
    described = {i.kind.replace(" ", "-"): i.descriptions[0] for i in items}
    result = {}
    for name, with_descriptions in (("kinds", True), ("kinds, names only", False)):
        rows = []
        for item in items:
            labels = [(k, described[k] if with_descriptions else None) for k in described]
            rng.shuffle(labels)
            rows.append((item.text, labels, [k for k, _ in labels].index(item.kind.replace(" ", "-"))))
        result[name] = rows
    return result


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "wordnet", "teacher", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--everyday", type=int, default=30000, help="generated texts")
    parser.add_argument("--glosses", type=int, default=16000, help="WordNet definitions")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options.out.mkdir(parents=True, exist_ok=True)
    corpus = gather(options.data, options.wordnet, glosses=options.glosses, everyday=options.everyday, seed=_SEED)
    corpus.save(options.out / "corpus.jsonl.xz")
    logging.info("%d documents, %d concepts", len(corpus.documents), len(corpus.concepts))
    texts = [d.text for d in corpus.documents if d.concept is None or corpus.concepts[d.concept].family != "everyday"]
    # Generated texts repeat their phrases: a share of them is enough, or the vocabulary learns the generator.
    texts += [item.text for item in generate(_VOCABULARY_SEED, 2000)]
    texts += [text for c in corpus.concepts for text in c.names + c.descriptions]
    vocabulary.train(texts, Architecture().vocabulary).save(str(options.out / "tokenizer.json"))
    (options.out / "questions.json").write_text(json.dumps(questions(550)))
    teacher.pack(options.teacher, options.out / "teacher")


if __name__ == "__main__":
    main()
