"""The shipped demo model is what its card says."""

from __future__ import annotations

from pathlib import Path

import gguf
import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

import thresher.models

FOLDER = Path(thresher.models.__file__).parent / "demo"
LARGEST_BYTES = 14_000_000


@pytest.fixture(scope="module")
def reader() -> gguf.GGUFReader:
    return gguf.GGUFReader(FOLDER / "demo.gguf")


def fact(reader: gguf.GGUFReader, key: str) -> object:
    return reader.fields[key].contents()


def test_it_is_small() -> None:
    assert (FOLDER / "demo.gguf").stat().st_size <= LARGEST_BYTES


def test_it_is_a_hybrid_qwen35(reader: gguf.GGUFReader) -> None:
    assert fact(reader, "general.architecture") == "qwen35"
    assert fact(reader, "qwen35.context_length") == 32768
    names = {tensor.name for tensor in reader.tensors}
    layers = range(int(str(fact(reader, "qwen35.block_count"))))
    interval = int(str(fact(reader, "qwen35.full_attention_interval")))
    full = {i for i in layers if f"blk.{i}.attn_q.weight" in names}
    linear = {i for i in layers if f"blk.{i}.ssm_a" in names}
    assert full == {i for i in layers if (i + 1) % interval == 0}
    assert linear == set(layers) - full
    assert linear


def test_it_has_more_value_heads_than_key_heads(reader: gguf.GGUFReader) -> None:
    value_heads = int(str(fact(reader, "qwen35.ssm.time_step_rank")))
    key_heads = int(str(fact(reader, "qwen35.ssm.group_count")))
    assert value_heads > key_heads > 0
    assert value_heads % key_heads == 0


def test_its_matrices_are_q8_0(reader: gguf.GGUFReader) -> None:
    kinds = {t.tensor_type.name for t in reader.tensors if len(t.shape) == 2 and "conv1d" not in t.name}
    assert kinds == {"Q8_0"}


def test_its_control_tokens_are_typed(reader: gguf.GGUFReader) -> None:
    assert fact(reader, "tokenizer.ggml.model") == "gpt2"
    assert fact(reader, "tokenizer.ggml.pre") == "qwen35"
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    types = reader.fields["tokenizer.ggml.token_type"].contents()
    kind = {token: gguf.TokenType(types[tokens.index(token)]).name for token in tokens[-5:]}
    assert kind == {
        "<|endoftext|>": "CONTROL",
        "<|im_start|>": "CONTROL",
        "<|im_end|>": "CONTROL",
        "<think>": "USER_DEFINED",
        "</think>": "USER_DEFINED",
    }
    assert tokens[int(str(fact(reader, "tokenizer.ggml.eos_token_id")))] == "<|im_end|>"


def test_its_template_turns_thinking_off(reader: gguf.GGUFReader) -> None:
    template = ImmutableSandboxedEnvironment().from_string(str(fact(reader, "tokenizer.chat_template")))
    messages = [{"role": "user", "content": "  Which label?\n"}]
    prompt = template.render(messages=messages, add_generation_prompt=True, enable_thinking=False)
    assert prompt == ("<|im_start|>user\nWhich label?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert template.render(messages=messages, add_generation_prompt=True).endswith("<think>\n")
    assert template.render(messages=messages) == "<|im_start|>user\nWhich label?<|im_end|>\n"


def test_its_card_names_its_data_and_limits() -> None:
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    for needed in ("all-MiniLM-L6-v2", "WordNet", "CLINC150", "no\nsubstitute for a real model", "chance"):
        assert needed.replace("\n", " ") in card.replace("\n", " ")
