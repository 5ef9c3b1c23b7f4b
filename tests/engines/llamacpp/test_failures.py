"""What can go wrong while reading, and that only what is at fault fails."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support import engine_models
from tests.support.gguf_models import write_plain_attention_model, write_with_architecture
from tests.support.prompts import make_prompt, make_requests, make_text
from thresher.engines import Engine, EngineOptions, open_engine
from thresher.engines.llamacpp import engine as engine_module
from thresher.engines.llamacpp import sizing
from thresher.engines.llamacpp.binding import open_binding
from thresher.engines.llamacpp.context import F16, Context, Shape
from thresher.engines.llamacpp.layout import Layout
from thresher.engines.llamacpp.loaded_model import LoadedModel
from thresher.engines.llamacpp.planner import Forks, pack_cells
from thresher.errors import EngineCapacityError, EngineUnavailableError, ModelFormatError, UsageError
from thresher.models import open_model, resolve
from thresher.types import Prompt, Request, Scores

LABELS = ("invoice", "contract", "minutes")
PACKS = EngineOptions(settings={"documents": 16})


@pytest.fixture
def engine() -> Iterator[Engine]:
    with open_engine("llamacpp", engine_models.plain(), PACKS) as engine:
        yield engine


def documents(engine: Engine, count: int) -> list[list[int]]:
    return [engine.tokenizer.encode(make_text(6, n)) for n in range(count)]


def score(engine: Engine, requests: Sequence[Request]) -> dict[int, Scores]:
    return {scores.request_id: scores for scores in engine.score(requests)}


def probabilities(scores: dict[int, Scores]) -> Any:
    return {key: pytest.approx(one.answers[0].probabilities, abs=1e-3) for key, one in scores.items()}


def test_an_interrupt_in_the_middle_of_a_pack_leaves_the_engine_usable(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = make_prompt(engine.tokenizer, LABELS, LABELS)
    requests = make_requests(prompt, documents(engine, 4))
    before = score(engine, requests)
    decode, calls = Context.decode, 0

    def interrupted(context: Context, pieces: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return decode(context, pieces)

    monkeypatch.setattr(Context, "decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        score(engine, requests)
    monkeypatch.undo()
    assert {n: s.answers[0].probabilities for n, s in score(engine, requests).items()} == probabilities(before)


def test_a_pack_without_room_is_read_one_by_one(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The context is made too small for two documents at once, so that llama_decode itself refuses."""
    prompt = make_prompt(engine.tokenizer, LABELS)
    requests = make_requests(prompt, [document[:100] for document in documents(engine, 8)])
    before = score(engine, requests)
    tried: list[int] = []

    def too_few(layout: Layout, documents: int, longest: int, forks: Forks) -> int:
        tried.append(documents)
        return pack_cells(layout, 1, longest, forks)

    monkeypatch.setattr(engine_module, "pack_cells", too_few)
    monkeypatch.setattr(sizing, "_FIRST_CELLS", 256)
    with open_engine(
        "llamacpp", engine_models.plain(), EngineOptions(settings={"micro_batch": 4096, "documents": 16})
    ) as small:
        after = score(small, requests)
    assert tried == [8, *[1] * 8]
    assert {n: s.answers[0].probabilities for n, s in after.items()} == probabilities(before)


def test_logits_that_are_not_numbers_fail_only_their_document(tmp_path: Path) -> None:
    poison = 777
    path = write_plain_attention_model(engine_models.shipped().files.path, tmp_path / "nan.gguf", nan_token=poison)
    with open_engine("llamacpp", open_model(resolve(str(path))), PACKS) as engine:
        prompt = make_prompt(engine.tokenizer, LABELS)
        texts = documents(engine, 3)
        assert all(poison not in text for text in texts)
        good = score(engine, make_requests(prompt, texts))
        mixed = [texts[0], [*texts[1], poison], texts[2]]
        batch = score(engine, make_requests(prompt, mixed))
        again = score(engine, make_requests(prompt, texts))
    failure = batch[1].failure
    assert failure is not None
    assert failure.status == "engine_error"
    assert "not a number" in failure.reason or "not numbers" in failure.reason
    assert {n: batch[n].answers[0].probabilities for n in (0, 2)} == {n: probabilities(good)[n] for n in (0, 2)}
    assert {n: s.answers[0].probabilities for n, s in again.items()} == probabilities(good)


def test_a_prompt_with_nothing_to_read(engine: Engine) -> None:
    prompt = make_prompt(engine.tokenizer, LABELS)
    question = prompt.questions[0]
    bare = Prompt(
        prefix_tokens=prompt.prefix_tokens, questions=(type(question)(name="q", suffix_tokens=(), trie=question.trie),)
    )
    scores = score(engine, make_requests(bare, [[], [100, 101]]))
    assert scores[0].failure is not None
    assert scores[0].failure.status == "engine_error"
    assert scores[1].failure is None


def test_an_architecture_that_llama_cpp_lacks(tmp_path: Path) -> None:
    path = write_with_architecture(engine_models.plain().files.path, tmp_path / "zebra.gguf", "zebra9")
    with pytest.raises(ModelFormatError, match=r"llama\.cpp b\d+ does not know the architecture 'zebra9'"):
        open_engine("llamacpp", open_model(resolve(str(path))))


def test_a_model_without_a_tensor(tmp_path: Path) -> None:
    source = engine_models.shipped().files.path
    path = write_plain_attention_model(source, tmp_path / "part.gguf", without="output_norm.weight")
    with pytest.raises(ModelFormatError, match=r"output_norm\.weight"):
        open_engine("llamacpp", open_model(resolve(str(path))))


def test_a_context_that_cannot_be_allocated_is_a_capacity_error() -> None:
    binding = open_binding(want_gpu=False)
    model = LoadedModel(binding, engine_models.shipped().files.path, on_gpu=False)
    shape = Shape(cells=2**18, sequences=2, micro_batch=512, threads=1, kv_type=F16)
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, before[1]))  # 256 MiB more, and 1 GiB is needed
    try:
        with pytest.raises(EngineCapacityError, match="262,144 tokens"):
            Context(binding, model.handle, model.vocabulary_size, shape)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        model.close()


def test_a_context_that_does_not_fit_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = engine_models.shipped()
    weights = model.facts.weights_bytes
    monkeypatch.setattr(sizing, "available_bytes", lambda: int((weights + 60 * 2**20) / 0.9))
    with pytest.raises(EngineCapacityError, match=r"context of 32,768 tokens takes .* at most [\d,]+ tokens fit"):
        open_engine("llamacpp", model, EngineOptions(context_tokens=32_768))
    with open_engine("llamacpp", model) as engine:
        cut = engine.info.largest_request_tokens
    assert 512 <= cut < 32_768
    with open_engine("llamacpp", model, EngineOptions(context_tokens=cut)) as engine:
        assert engine.info.largest_request_tokens == cut


def test_weights_that_do_not_fit_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "available_bytes", lambda: 2**20)
    with pytest.raises(EngineCapacityError, match=r"the weights of .* take .* GiB, and .* GiB are free"):
        open_engine("llamacpp", engine_models.shipped())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (EngineOptions(precision="bf16"), "Q8_0"),
        (EngineOptions(device="tpu"), "cpu and gpu"),
        (EngineOptions(threads=0), "at least 1"),
        (EngineOptions(context_tokens=0), "give 1 to"),
        (EngineOptions(settings={"microbatch": 64}), "did you mean 'micro_batch'"),
        (EngineOptions(settings={"micro_batch": 1}), "32 to"),
    ],
)
def test_options_that_make_no_sense(options: EngineOptions, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_engine("llamacpp", engine_models.shipped(), options)


def test_a_gpu_where_there_is_none() -> None:
    if open_binding(want_gpu=True).gpus():
        pytest.skip("this machine has a GPU that llama.cpp can use")
    with pytest.raises(EngineUnavailableError, match="finds no GPU"):
        open_engine("llamacpp", engine_models.shipped(), EngineOptions(device="gpu"))


def test_a_long_request_after_short_ones_grows_the_context() -> None:
    with open_engine("llamacpp", engine_models.plain()) as engine:
        prompt = make_prompt(engine.tokenizer, LABELS)
        short = make_requests(prompt, documents(engine, 2))
        long = make_requests(prompt, [engine.tokenizer.encode(make_text(150, 1))[:3900]])
        assert len(long[0].document_tokens) > 3000
        before = score(engine, short)
        assert score(engine, long)[0].failure is None
        assert {n: s.answers[0].probabilities for n, s in score(engine, short).items()} == probabilities(before)
