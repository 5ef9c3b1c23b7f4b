"""Prompts of batch requests: what is shared never changes the tokens, and no text becomes a control token."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import MODEL
from tests.models.test_chat_template import CHATML, CHATML_TOKENS, GEMMA
from thresher.errors import ModelFormatError, TaskError
from thresher.models import Model, open_model, resolve
from thresher.models.chat_template import ChatTemplate, PlainFormat
from thresher.models.tokenizer import Tokenizer
from thresher.tasks.batch import Group, Sharing, build_chat_prompt, takes_system
from thresher.types import ChatRequest, ReplyForm

SYSTEM = ("system", "You sort letters.")
EMPTY_THOUGHT = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


@pytest.fixture(scope="module")
def opened() -> Model:
    return open_model(resolve(MODEL))


@pytest.fixture(scope="module")
def tokenizer(opened: Model) -> Tokenizer:
    assert opened.tokenizer is not None
    return opened.tokenizer


def request(text: str, *earlier: tuple[str, str], form: ReplyForm | None = None) -> ChatRequest:
    return ChatRequest(messages=(*earlier, ("user", text)), labels=("lease", "loan"), reply_form=form)


def groups_of(*requests: ChatRequest) -> list[Group]:
    sharing = Sharing()
    for one in requests:
        sharing.add(one)
    sharing.settle()
    return [sharing.group_of(one) for one in requests]


def whole_tokens(one: ChatRequest, group: Group | None, tokenizer: Tokenizer, opened: Model) -> list[int]:
    """A request's prompt with what it shares, put together."""
    chat_prompt = build_chat_prompt(one, group, tokenizer, opened.chat)
    message = tokenizer.encode(chat_prompt.message(one.text))
    document = chat_prompt.document_tokens(message)
    if document is None:
        return whole_tokens(one, None, tokenizer, opened)
    prompt = chat_prompt.task_prompt.prompt
    return [*prompt.prefix_tokens, *document, *prompt.questions[0].suffix_tokens]


def test_the_prompt_reads_as_the_model_s_template_has_it(opened: Model, tokenizer: Tokenizer) -> None:
    few_shot = (SYSTEM, ("user", "Rent is due."), ("assistant", "lease"))
    one, two = request("What is it? I lend. Answer!", *few_shot), request("What is it? I let. Answer!", *few_shot)
    group, _ = groups_of(one, two)
    assert (group.head, group.tail) == ("What is it? I le", ". Answer!")
    assert tokenizer.decode(whole_tokens(one, group, tokenizer, opened)) == (
        "<|im_start|>system\nYou sort letters.<|im_end|>\n<|im_start|>user\nRent is due.<|im_end|>\n"
        "<|im_start|>assistant\nlease<|im_end|>\n<|im_start|>user\nWhat is it? I lend. Answer!" + EMPTY_THOUGHT
    )
    shared = tokenizer.decode(build_chat_prompt(one, group, tokenizer, opened.chat).task_prompt.prompt.prefix_tokens)
    assert "What is it? I" in shared


def test_replies_are_forced_up_to_where_they_differ(opened: Model, tokenizer: Tokenizer) -> None:
    prompt = build_chat_prompt(
        request("x", form=ReplyForm(key="label")), None, tokenizer, opened.chat
    ).task_prompt.prompt
    trie = prompt.questions[0].trie
    assert [tokenizer.decode(s) for s in trie.sequences] == [
        '{"label": "lease"}<|im_end|>', '{"label": "loan"}<|im_end|>',
    ]  # fmt: skip
    assert trie.labels == ("lease", "loan")
    assert trie.root_path is not None
    assert tokenizer.decode(trie.root_path).startswith('{"label": "')


TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


@given(head=TEXT, tail=TEXT, texts=st.lists(TEXT, min_size=2, max_size=5))
@settings(max_examples=150)
def test_sharing_never_changes_a_prompt(
    head: str, tail: str, texts: list[str], opened: Model, tokenizer: Tokenizer
) -> None:
    requests = [request((head + text + tail).strip() or "x", SYSTEM) for text in texts]
    for one, group in zip(requests, groups_of(*requests), strict=True):
        assert whole_tokens(one, group, tokenizer, opened) == whole_tokens(one, None, tokenizer, opened)


def test_instructions_that_start_the_same_are_one_group() -> None:
    first = [request(f"Decide whether this letter is about rent:\nletter {n}") for n in range(20)]
    second = [request(f"Decide whether this letter is about money:\nletter {n}") for n in range(20)]
    (group,) = set(groups_of(*first, *second))
    assert group.head == "Decide whether this letter is about "


def test_instructions_that_differ_early_are_told_apart() -> None:
    first = [request(f"Is it about rent? Say which kind it is:\n{n} letter") for n in range(20)]
    second = [request(f"Is it about love? Say which kind it is:\n{n} letter") for n in range(20)]
    rare = [request(f"{n} is a text without any instruction") for n in range(3)]
    found = groups_of(*first, *second, *rare)
    assert {g.head for g in found[:20]} == {"Is it about rent? Say which kind it is:\n"}
    assert {g.head for g in found[20:40]} == {"Is it about love? Say which kind it is:\n"}
    assert {(g.head, g.tail) for g in found[40:]} == {("", " is a text without any instruction")}
    assert len(set(found)) == 3


def test_other_replies_or_earlier_messages_are_other_groups() -> None:
    requests = [request("Is it?"), request("Is it?", SYSTEM), request("Is it?", form=ReplyForm())]
    assert len(set(groups_of(*requests))) == 3


def test_ever_new_starts_are_followed_to_a_bound_only() -> None:
    requests = [request(f"{n} documents, each beginning with a number of its own") for n in range(2_500)]
    assert set(groups_of(*requests)) == {Group(groups_of(requests[0])[0].key)}


def test_a_message_that_shares_nothing_stands_alone(opened: Model, tokenizer: Tokenizer) -> None:
    one, group = request("Another text"), Group(b"", "Some text", "the end")
    assert build_chat_prompt(one, group, tokenizer, opened.chat).document_tokens(tokenizer.encode(one.text)) is None


@pytest.mark.parametrize("control", ["<|im_end|>", "<|im_start|>", "</think>"])
def test_no_text_becomes_a_control_token(opened: Model, tokenizer: Tokenizer, control: str) -> None:
    (token,) = tokenizer.encode_template(control)
    plain = [request(f"say x {n}", ("system", "x"), ("user", "x"), ("assistant", "x")) for n in range(2)]
    hostile = [
        request(f"say {control} {n}", ("system", control), ("user", control), ("assistant", control)) for n in range(2)
    ]
    for group, ours, theirs in zip(groups_of(*hostile), hostile, plain, strict=True):
        assert whole_tokens(ours, group, tokenizer, opened).count(token) == whole_tokens(
            theirs, None, tokenizer, opened
        ).count(token)


def test_a_template_without_system_messages_gets_them_in_front(tokenizer: Tokenizer) -> None:
    chat = ChatTemplate(GEMMA, bos_token="<s>", eos_token="</s>", special_tokens=["<end_of_turn>"])
    assert not takes_system(chat)
    assert takes_system(ChatTemplate(CHATML, special_tokens=CHATML_TOKENS))
    assert takes_system(PlainFormat())
    one, two = request("Is it 1?", SYSTEM), request("Is it 2?", SYSTEM)
    prompt = build_chat_prompt(one, groups_of(one, two)[0], tokenizer, chat)
    document = prompt.document_tokens(tokenizer.encode(prompt.message(one.text)))
    assert document is not None
    shared = prompt.task_prompt.prompt
    text = tokenizer.decode([*shared.prefix_tokens, *document, *shared.questions[0].suffix_tokens])
    assert text == ("<s><start_of_turn>user\nYou sort letters.\n\nIs it 1?<end_of_turn>\n<start_of_turn>model\n")
    earlier = request("Is it?", SYSTEM, ("user", "A"), ("assistant", "lease"))
    prefix = build_chat_prompt(earlier, None, tokenizer, chat).task_prompt.prompt.prefix_tokens
    assert tokenizer.decode(prefix).startswith("<s><start_of_turn>user\nYou sort letters.\n\nA<end_of_turn>\n")


def test_what_a_template_refuses_and_what_cannot_be_told_apart(opened: Model, tokenizer: Tokenizer) -> None:
    chat = ChatTemplate(GEMMA, bos_token="<s>", eos_token="</s>", special_tokens=["<end_of_turn>"])
    with pytest.raises(ModelFormatError, match="Roles must alternate"):
        build_chat_prompt(request("x", ("user", "y")), None, tokenizer, chat)
    same = ChatRequest(messages=(("user", "x"),), labels=("a", "a"))
    with pytest.raises(TaskError, match="cannot tell its replies apart"):
        build_chat_prompt(same, None, tokenizer, opened.chat)
