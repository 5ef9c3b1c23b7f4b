"""The generator of everyday documents that the demo model is trained on."""

import importlib.util
import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "training" / "demo" / "everyday"
SIX = {"invoice", "contract", "support-request", "minutes", "cv", "bug-report"}


@pytest.fixture(scope="module")
def everyday() -> ModuleType:
    """The package, loaded from its folder: `training` need not be installed."""
    spec = importlib.util.spec_from_file_location(
        "everyday_under_test", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def texts(everyday: ModuleType) -> list[object]:
    return list(everyday.generate(seed=7, count=3000))


def test_a_seed_gives_the_same_documents(everyday: ModuleType) -> None:
    assert list(everyday.generate(11, 50)) == list(everyday.generate(11, 50))
    assert list(everyday.generate(11, 50)) != list(everyday.generate(12, 50))


def test_every_kind_appears_and_the_six_most_often(everyday: ModuleType, texts: list[object]) -> None:
    counts = Counter(document.kind for document in texts)  # type: ignore[attr-defined]
    assert set(counts) == set(everyday.KINDS)
    assert len(counts) >= 36
    assert {kind for kind, _ in counts.most_common(6)} == SIX


def test_no_slot_is_left_unfilled_and_texts_differ(texts: list[object]) -> None:
    written = [document.text for document in texts]  # type: ignore[attr-defined]
    left = re.compile(r"\{[\w?^!]|\|\w[^\n|]*\}|\*\d-\d")
    assert not [text for text in written if left.search(text)]
    assert all(len(text) > 20 for text in written)
    assert len(set(written)) > 0.99 * len(written)


def test_names_and_descriptions_are_three_to_eight_and_belong_to_one_kind(everyday: ModuleType) -> None:
    owners = Counter()  # type: Counter[str]
    for kind in everyday.KINDS.values():
        for wordings in (kind.names, kind.descriptions):
            assert 3 <= len(set(wordings)) <= 8
            assert all(isinstance(text, str) and text.strip() for text in wordings)
        owners.update({text.lower() for text in kind.names + kind.descriptions})
    assert [text for text, count in owners.items() if count > 1] == []


def test_confusable_pairs_name_known_kinds_and_spare_the_six(everyday: ModuleType) -> None:
    for pair in everyday.CONFUSABLE:
        assert len(pair) == 2
        assert pair <= set(everyday.KINDS)
    # The six are one label set together, so none of them may exclude another.
    assert sum(pair <= SIX for pair in everyday.CONFUSABLE) == 0


def test_a_bad_grammar_names_the_rule(everyday: ModuleType) -> None:
    grammar = sys.modules[everyday.Grammar.__module__]
    with pytest.raises(grammar.GrammarError, match=r"greeting.*'nobody'"):
        grammar.Grammar([":: greeting\nHello {nobody}"], ())
