"""llama.cpp's own tokenizer, and the choice between it and the fast one."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from tests.support import engine_models
from thresher.engines import open_engine
from thresher.engines.llamacpp.binding import open_binding
from thresher.engines.llamacpp.loaded_model import LoadedModel
from thresher.engines.llamacpp.tokenizers import choose_tokenizer
from thresher.engines.llamacpp.vocabulary import LlamaTokenizer
from thresher.errors import EngineError
from thresher.models.byte_level_tokenizer import ByteLevelTokenizer
from thresher.models.tokenizer import PROBES


@pytest.fixture(scope="module")
def loaded() -> Iterator[LoadedModel]:
    model = LoadedModel(open_binding(want_gpu=False), engine_models.shipped().files.path, on_gpu=False)
    yield model
    model.close()


@pytest.fixture(scope="module")
def own(loaded: LoadedModel) -> LlamaTokenizer:
    return LlamaTokenizer(open_binding(want_gpu=False), loaded)


def fast() -> ByteLevelTokenizer:
    tokenizer = engine_models.shipped().tokenizer
    assert tokenizer is not None
    return tokenizer


def test_both_tokenizers_agree_on_the_probes(own: LlamaTokenizer) -> None:
    assert own.encode_batch(PROBES) == fast().encode_batch(PROBES)
    assert own.vocabulary_size == fast().vocabulary_size
    assert choose_tokenizer(fast(), own, "model") is fast()


@pytest.mark.parametrize("text", [*PROBES, "", "\0 NUL \0", "x" * 5000, "<|im_start|>user\n<think>"])
def test_decoding_gives_the_text_back(own: LlamaTokenizer, text: str) -> None:
    assert own.decode(own.encode(text)) == text


def test_control_tokens_only_in_templates(own: LlamaTokenizer) -> None:
    text = "a<|im_end|>b"
    assert own.encode_template(text) == fast().encode_template(text)
    assert own.encode(text) == fast().encode(text)
    assert own.encode(text) != own.encode_template(text)


def test_a_fast_tokenizer_that_disagrees_is_not_used(own: LlamaTokenizer, caplog: pytest.LogCaptureFixture) -> None:
    class Wrong:
        vocabulary_size = own.vocabulary_size
        encode_template, decode, encode_batch = own.encode_template, own.decode, own.encode_batch

        def encode(self, text: str) -> list[int]:
            return own.encode(text.casefold())

    with caplog.at_level(logging.WARNING):
        assert choose_tokenizer(Wrong(), own, "model") is own
    assert "disagrees" in caplog.text


def test_a_vocabulary_only_llama_cpp_reads() -> None:
    with open_engine("llamacpp", replace(engine_models.plain(), tokenizer=None)) as engine:
        tokens: Sequence[int] = engine.tokenizer.encode("plain text")
        assert tokens == fast().encode("plain text")
    with pytest.raises(EngineError, match="closed"):
        engine.tokenizer.encode("after the engine is closed")
