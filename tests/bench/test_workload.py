from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresher.bench import WORKLOADS, Workload, open_workload
from thresher.bench.documents import made_up_document, made_up_task
from thresher.engines import open_engine
from thresher.errors import UsageError
from thresher.models import resolve
from thresher.pipeline.opening import find_model, open_chosen
from thresher.pipeline.options import ClassifyOptions
from thresher.pipeline.setup import put_into_tokens


def test_the_seed_is_the_job_that_started_this() -> None:
    seed = open_workload("seed-320")
    assert seed.documents == 320
    # a few of its prompts are shorter than the prefix that is common to them here
    assert 0 <= sum(seed.document_tokens) + 320 * seed.prefix_tokens - 1_214_072 < 1_000


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_named_workload_opens(name: str) -> None:
    assert open_workload(name).documents


@given(lengths=st.lists(st.integers(1, 10_000), min_size=1, max_size=60), count=st.integers(1, 80))
@settings(max_examples=60)
def test_a_part_has_short_and_long_ones_in_the_old_order(lengths: list[int], count: int) -> None:
    part = Workload(name="w", document_tokens=tuple(lengths)).first(count)
    assert part.documents == min(count, len(lengths))
    remaining = iter(lengths)
    assert all(any(length == other for other in remaining) for length in part.document_tokens)  # a subsequence
    if count >= 3 and len(lengths) >= 2 * count:
        middle = sorted(lengths)[len(lengths) // 2]
        assert min(part.document_tokens) <= middle <= max(part.document_tokens)


def test_documents_of_ones_own_are_read_as_classify_reads_them(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("an invoice", encoding="utf-8")
    (tmp_path / "copy.txt").write_text("an invoice", encoding="utf-8")
    (tmp_path / "b.html").write_text("<p>a letter</p>", encoding="utf-8")
    assert set(open_workload(str(tmp_path)).texts) == {"an invoice", "a letter"}


def test_what_is_no_workload_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"did you mean 'seed-320'"):
        open_workload("sed-320")
    (tmp_path / "empty.txt").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="no document in it could be read"):
        open_workload(str(tmp_path))


def test_made_up_documents_have_the_length_asked_and_prefixes_about(model: str) -> None:
    options = ClassifyOptions(engine="fake")
    opened = open_chosen(find_model(model, options), options)
    tokenizer = opened.engine.tokenizer
    for tokens in (1, 2, 77, 5_000):
        assert len(made_up_document(tokenizer, tokens, seed=1)) == tokens
    assert made_up_document(tokenizer, 50, seed=1) != made_up_document(tokenizer, 50, seed=2)
    for wished in (300, 500, 2_000):
        prompt, _ = put_into_tokens(made_up_task(tokenizer, wished), opened, "head-tail")
        assert abs(len(prompt.prompt.prefix_tokens) - wished) < 120
    opened.engine.close()
    open_engine("fake", resolve(model)).close()
