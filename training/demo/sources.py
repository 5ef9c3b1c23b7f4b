"""Where the corpus comes from: collected chunks, labelled sets, WordNet and the generator of everyday texts."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from corpus import HELD_BACK, Corpus
from everyday import CONFUSABLE, generate

#: Source of a chunk -> family of its label, and what its kind of publication is called in evaluation.
_FAMILIES: dict[str, tuple[str, str | None]] = {
    "LukeSmithxyz/based.cooking": ("dishes", "cooking recipe"),
    "GSA/digitalgov.gov": ("government articles", "article on digital government"),
    "MicrosoftDocs/dynamics365smb-docs": ("software pages", "help page of accounting software"),
    "18F/handbook": ("handbook pages", "staff handbook"),
    "ethereum/EIPs and ERCs (titles as labels)": ("proposals", "blockchain standard"),
    "ethereum/EIPs and ERCs": ("proposal kinds", None),
    "kubernetes/enhancements": ("interest groups", "design of container infrastructure"),
    "rustsec/advisory-db": ("advisories", None),
    "clinc/oos-eval": ("requests", None),
    "public-apis/public-apis": ("services", None),
    "dariusk/corpora": ("word lists", None),
    "WordNet 3 glosses, as small topical texts": ("topics", None),
}
_PUBLICATIONS_EACH = 20
_LONG_CHARACTERS = 12_000


def gather(data: Path, wordnet: Path, *, glosses: int, everyday: int, seed: int) -> Corpus:
    """The whole corpus. ``data``: the collected texts; ``wordnet``: folder with ``data.noun``; counts of texts made."""
    corpus = Corpus()
    nouns = dict(_read_nouns(wordnet / "data.noun"))
    _add_chunks(corpus, data / "text" / "chunks.jsonl", nouns)
    _add_requests(corpus, data / "labelled" / "clinc150_test_ccby3.jsonl")
    for name in ("kep_sig_apache2.jsonl", "eip_category_cc0.jsonl"):
        for row in _rows(data / "labelled" / name):
            corpus.add(row["text"][:_LONG_CHARACTERS], None)
    _add_glosses(corpus, nouns, glosses, random.Random(seed))
    _add_everyday(corpus, seed, everyday)
    return corpus


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _add_chunks(corpus: Corpus, path: Path, nouns: dict[str, str]) -> None:
    published: Counter[str] = Counter()
    for row in _rows(path):
        family, publication = _FAMILIES[row["source"]]
        if family == "requests":
            continue  # taken singly from the labelled set
        if publication and published[publication] < _PUBLICATIONS_EACH and len(row["text"]) > 300:
            published[publication] += 1
            corpus.add(row["text"], corpus.concept("publications", [publication], []))
            continue
        label = _clean(row["label"])
        gloss = nouns.get(label) if family == "topics" else None
        concept = corpus.concept(family, [label], [gloss] if gloss else []) if label else None
        corpus.add(row["text"], concept)


def _add_requests(corpus: Corpus, path: Path) -> None:
    for row in _rows(path):
        if row["label"] != "oos":
            corpus.add(row["text"], corpus.concept("requests", [row["label"].replace("_", " ")], []))


def _read_nouns(path: Path) -> Iterator[tuple[str, str]]:
    """First sense met of each noun with its gloss, examples cut off."""
    seen = set()
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):
            continue
        fields, gloss = line.split(" | ", 1)
        word = fields.split(" ")[4].replace("_", " ")
        if word not in seen:
            seen.add(word)
            yield word, gloss.split('; "')[0].strip()


def _add_glosses(corpus: Corpus, nouns: dict[str, str], count: int, rng: random.Random) -> None:
    """Definitions as documents, with the word defined as their label."""
    common = [word for word, gloss in nouns.items() if len(gloss) > 40 and word.islower() and word.lower() not in gloss]
    for word in rng.sample(common, count):
        corpus.add(nouns[word], corpus.concept("words", [word], []))


def _add_everyday(corpus: Corpus, seed: int, count: int) -> None:
    avoid: dict[str, list[str]] = {}
    for pair in CONFUSABLE:
        for name in pair:
            avoid.setdefault(name, []).extend(pair - {name})
    for item in generate(seed, count):
        names = list(dict.fromkeys([item.kind, *item.names]))
        corpus.add(item.text, corpus.concept("everyday", names, list(item.descriptions), avoid.get(item.kind)))


def _clean(label: str | None) -> str:
    """A label as a person would write it, or nothing where it makes no label."""
    text = (label or "").replace("&#8217;", "'").replace("&amp;", "&").split("|")[0].strip()
    return text if 2 <= len(text) <= 60 and not set(text) & set("<>{}[]\n") else ""


def held_back_names() -> frozenset[str]:
    """Names, lower case, that no training row may offer as a label."""
    return frozenset(name.lower() for names in HELD_BACK.values() for name in names or ())
