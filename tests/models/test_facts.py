"""Facts, fingerprint, and a model opened as a whole."""

from __future__ import annotations

import os
from pathlib import Path

import gguf
import pytest

from tests.support.vocabularies import CONTROL, SAMPLES, Vocabulary, train, write_gguf
from thresher.errors import ModelFormatError, ModelNotFoundError
from thresher.models.chat_template import ChatTemplate, PlainFormat
from thresher.models.files import ModelFiles
from thresher.models.fingerprint import fingerprint
from thresher.models.model import load_facts, open_model
from thresher.models.reference import files_at, resolve

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
HYBRID = {"token_embd.weight": (406, 8), "blk.0.ssm_conv1d.weight": (8, 4), "blk.1.attn_q.weight": (8, 8)}


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return train(SAMPLES, size=400)


def files(path: Path) -> ModelFiles:
    return files_at(path, str(path))


def test_facts_are_those_of_the_file(tmp_path: Path, vocabulary: Vocabulary) -> None:
    path = write_gguf(
        tmp_path / "Tiny-F32.gguf",
        vocabulary,
        chat_template=CHATML,
        tensors=HYBRID,
        general__file_type=0,
        qwen35__full_attention_interval=2,
        tokenizer__ggml__add_bos_token=False,
    )
    facts = load_facts(files(path))
    assert (facts.name, facts.architecture, facts.quantization) == ("Tiny-F32", "qwen35", "F32")
    assert (facts.context_tokens, facts.layers, facts.hidden, facts.vocabulary_size) == (4096, 2, 8, 406)
    assert (facts.parameters, facts.weights_bytes) == (406 * 8 + 32 + 64, 4 * (406 * 8 + 32 + 64))
    assert (facts.tokenizer_model, facts.tokenizer_pre) == ("gpt2", "qwen35")
    assert (facts.eos_id, facts.eos_token) == (vocabulary.all_tokens.index("<|im_end|>"), "<|im_end|>")
    assert (facts.bos_id, facts.bos_token, facts.eot_id, facts.add_bos) == (None, None, None, False)
    assert (facts.recurrent, facts.hybrid, facts.full_attention_interval) == (True, True, 2)
    assert facts.chat_template == CHATML


def test_the_quantization_is_guessed_from_the_weights_where_the_file_is_silent(
    tmp_path: Path, vocabulary: Vocabulary
) -> None:
    path = write_gguf(tmp_path / "m.gguf", vocabulary, tensors=HYBRID)
    assert load_facts(files(path)).quantization == "F32"


@pytest.mark.parametrize(("pre", "add_bos"), [("qwen35", False), ("llama-bpe", True), ("tekken", True)])
def test_whether_a_text_begins_with_a_token_depends_on_the_family(
    tmp_path: Path, vocabulary: Vocabulary, pre: str, add_bos: bool
) -> None:
    silent = write_gguf(tmp_path / "m.gguf", vocabulary, pre=pre)
    assert load_facts(files(silent)).add_bos is add_bos
    saying = write_gguf(tmp_path / "n.gguf", vocabulary, pre=pre, tokenizer__ggml__add_bos_token=not add_bos)
    assert load_facts(files(saying)).add_bos is not add_bos


@pytest.mark.parametrize("key", ["context_length", "block_count", "embedding_length"])
def test_what_every_model_has_is_asked_for_by_name(tmp_path: Path, vocabulary: Vocabulary, key: str) -> None:
    path = write_gguf(tmp_path / "m.gguf", vocabulary)
    path.write_bytes(path.read_bytes().replace(f"qwen35.{key}".encode(), f"qwen35.{key[::-1]}".encode()))
    with pytest.raises(ModelFormatError, match=rf"'qwen35.{key}' is missing"):
        load_facts(files(path))


def test_a_token_outside_the_vocabulary_is_refused(tmp_path: Path, vocabulary: Vocabulary) -> None:
    path = write_gguf(tmp_path / "m.gguf", vocabulary, tokenizer__ggml__bos_token_id=999)
    with pytest.raises(ModelFormatError, match="bos_token_id is 999, and the vocabulary has 406 tokens"):
        load_facts(files(path))


def test_shards_are_added_up(tmp_path: Path, vocabulary: Vocabulary) -> None:
    first = write_gguf(tmp_path / "m-00001-of-00002.gguf", vocabulary, tensors={"blk.0.attn_q.weight": (8, 8)})
    writer = gguf.GGUFWriter(str(tmp_path / "m-00002-of-00002.gguf"), "qwen35")
    writer.add_uint16("split.no", 1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    one = load_facts(files(first))
    assert (one.name, one.parameters) == ("m", 64)
    write_gguf(tmp_path / "m-00002-of-00002.gguf", vocabulary, tensors={"blk.1.attn_q.weight": (8, 8)})
    two = load_facts(files(first))
    assert two.parameters == 128
    assert two.fingerprint != one.fingerprint


def test_the_fingerprint_is_the_same_anywhere_and_changes_with_the_model(
    tmp_path: Path, vocabulary: Vocabulary
) -> None:
    path = write_gguf(tmp_path / "a.gguf", vocabulary, chat_template=CHATML, tensors=HYBRID)
    elsewhere = tmp_path / "folder"
    elsewhere.mkdir()
    copy = elsewhere / "another-name.gguf"
    copy.write_bytes(path.read_bytes())
    os.utime(copy, (0, 0))
    original = load_facts(files(path)).fingerprint
    assert load_facts(files(copy)).fingerprint == original
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    assert load_facts(files(copy)).fingerprint != original
    copy.write_bytes(path.read_bytes().replace(b"<|im_start|>' + message.role", b"<|im_start|>' + message.rule"))
    assert load_facts(files(copy)).fingerprint != original


def test_a_large_file_is_sampled(tmp_path: Path) -> None:
    """Sparse, so that the test costs no disk: 3 GB, of which about 1 MB is read."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(3_000_000_000)
    zeros = fingerprint([(path, 4096)])
    for offset in (10, 4096, 2_999_999_999):
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(b"\x01")
        changed = fingerprint([(path, 4096)])
        assert changed != zeros
        zeros = changed
    assert fingerprint([(path, 4097)]) != zeros
    with pytest.raises(ModelNotFoundError, match="No such file"):
        fingerprint([(tmp_path / "absent", 0)])


def test_a_model_is_opened_as_a_whole(tmp_path: Path, vocabulary: Vocabulary) -> None:
    model = open_model(files(write_gguf(tmp_path / "m.gguf", vocabulary, chat_template=CHATML)))
    assert model.facts == load_facts(model.files)
    assert isinstance(model.chat, ChatTemplate)
    assert model.tokenizer is not None
    before, after = model.chat.pieces(("x",))
    assert model.tokenizer.decode(model.tokenizer.encode_template(before)) == "<|im_start|>user\n"
    assert after == "<|im_end|>\n<|im_start|>assistant\n"
    assert len(model.tokenizer.encode_template(model.chat.end_of_turn)) == 1
    assert model.notices == ()


def test_a_base_model_comes_with_a_notice(tmp_path: Path) -> None:
    base = train(SAMPLES, size=300, extra={"<s>": CONTROL})
    path = write_gguf(tmp_path / "m.gguf", base, pre="llama-bpe", tokenizer__ggml__bos_token_id=300)
    model = open_model(files(path))
    assert isinstance(model.chat, PlainFormat)
    assert model.chat.pieces(("x",))[0] == "<s>"
    assert "no chat template" in model.notices[0]


def test_a_vocabulary_of_another_kind_has_no_fast_tokenizer(tmp_path: Path, vocabulary: Vocabulary) -> None:
    path = write_gguf(tmp_path / "m.gguf", vocabulary, chat_template=CHATML, pre="gemma4")
    model = open_model(files(path))
    assert model.tokenizer is None
    assert model.chat.end_of_turn == "<|im_end|>"


def test_the_demo_model_can_be_opened() -> None:
    model = open_model(resolve("demo"))
    assert (model.facts.architecture, model.facts.context_tokens, model.facts.hybrid) == ("qwen35", 32768, True)
    assert model.tokenizer is not None
    assert model.chat.end_of_turn == "<|im_end|>"
    assert model.chat.pieces(("x",))[-1].endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
