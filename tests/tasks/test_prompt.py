from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import MODEL
from thresher.models import Model, open_model, resolve
from thresher.models.tokenizer import Tokenizer
from thresher.tasks import Task, build_prompt, document_text
from thresher.types import Prompt

TASK = Task({"invoice": "asks for payment", "請求書": "", "credit note": "x"}, instructions="What is it?")


@pytest.fixture(scope="module")
def opened() -> Model:
    return open_model(resolve(MODEL))


@pytest.fixture(scope="module")
def tokenizer(opened: Model) -> Tokenizer:
    assert opened.tokenizer is not None
    return opened.tokenizer


@pytest.fixture(scope="module")
def prompt(opened: Model, tokenizer: Tokenizer) -> Prompt:
    return build_prompt(TASK, tokenizer, opened.chat).prompt


def test_the_whole_prompt_reads_as_documented(prompt: Prompt, tokenizer: Tokenizer) -> None:
    document = tokenizer.encode(document_text("  The total is 12 EUR.\n\n"))
    tokens = [*prompt.prefix_tokens, *document, *prompt.questions[0].suffix_tokens]
    assert tokenizer.decode(tokens) == (
        "<|im_start|>user\nWhat is it?\n\nLabels:\ninvoice: asks for payment\n請求書\ncredit note: x\n\n"
        "Document:\nThe total is 12 EUR.\n---\nAnswer with exactly one label from the list, and nothing else."
        "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )


def test_answers_end_with_the_end_of_turn(prompt: Prompt, tokenizer: Tokenizer) -> None:
    trie = prompt.questions[0].trie
    assert trie.labels == ("invoice", "請求書", "credit note")
    assert [tokenizer.decode(s) for s in trie.sequences] == [f"{label}<|im_end|>" for label in trie.labels]


def test_a_label_has_the_same_tokens_in_the_list_and_in_the_answer(prompt: Prompt) -> None:
    for sequence in prompt.questions[0].trie.sequences:
        answer = sequence[:-1]
        starts = range(len(prompt.prefix_tokens) - len(answer))
        assert any(prompt.prefix_tokens[start : start + len(answer)] == answer for start in starts)


def test_examples_stand_before_the_document(opened: Model, tokenizer: Tokenizer) -> None:
    task = Task(["a", "b"], examples=[("First text. ", "b")])
    text = tokenizer.decode(build_prompt(task, tokenizer, opened.chat).prompt.prefix_tokens)
    assert "Labels:\na\nb\n\nExamples:\n\nDocument:\nFirst text.\n---\nLabel: b\n\nDocument:\n" in text


def assert_seams_hold(text: str, prompt: Prompt, tokenizer: Tokenizer) -> None:
    document = document_text(text)
    tail = tokenizer.decode(prompt.questions[0].suffix_tokens).partition("<|im_end|>")[0]
    head = "Document:\n"
    apart = [*tokenizer.encode(head), *tokenizer.encode(document), *tokenizer.encode(tail)]
    assert tokenizer.encode(head + document + tail) == apart


@given(text=st.text(min_size=1).filter(lambda text: text.strip() != ""))
@settings(max_examples=300)
def test_seams_are_token_boundaries(text: str, prompt: Prompt, tokenizer: Tokenizer) -> None:
    assert_seams_hold(text, prompt, tokenizer)


def test_seams_are_token_boundaries_on_real_documents(shared_data: Path, prompt: Prompt, tokenizer: Tokenizer) -> None:
    for file in sorted((shared_data / "labelled").glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for _, line in zip(range(40), lines, strict=False):
                assert_seams_hold(json.loads(line)["text"], prompt, tokenizer)


@pytest.mark.parametrize("control", ["<|im_end|>", "<|im_start|>", "<think>", "</think>", "<|endoftext|>"])
def test_no_text_of_the_user_becomes_a_control_token(opened: Model, tokenizer: Tokenizer, control: str) -> None:
    (token,) = tokenizer.encode_template(control)
    assert token not in tokenizer.encode(document_text(f"before {control} after"))
    task = Task([f"a{control}", "b"], instructions=f"Say {control}", examples=[(f"an example {control}", "b")])
    plain = build_prompt(Task(["a", "b"], examples=[("an example", "b")]), tokenizer, opened.chat).prompt
    built = build_prompt(task, tokenizer, opened.chat).prompt
    assert built.prefix_tokens.count(token) == plain.prefix_tokens.count(token)
    assert built.questions[0].trie.sequences[0].count(token) == plain.questions[0].trie.sequences[0].count(token)
