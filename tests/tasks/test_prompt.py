from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import MODEL
from thresher.answers import Answer
from thresher.errors import TaskError
from thresher.models import Model, open_model, resolve
from thresher.models.tokenizer import Tokenizer
from thresher.tasks import Question, Task, TaskPrompt, build_prompt, document_text
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


OPENING = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


def built(task: Task, opened: Model) -> TaskPrompt:
    assert opened.tokenizer is not None
    return build_prompt(task, opened.tokenizer, opened.chat)


def message(task: Task, opened: Model, tokenizer: Tokenizer) -> tuple[str, list[str]]:
    """The user's words before the document, and those after it for each of the prompt's questions."""
    prompt = built(task, opened).prompt
    head = tokenizer.decode(prompt.prefix_tokens).removeprefix("<|im_start|>user\n")
    tails = [tokenizer.decode(question.suffix_tokens) for question in prompt.questions]
    assert all(tail.endswith(OPENING) for tail in tails)
    return head, [tail.removesuffix(OPENING) for tail in tails]


def test_multi_asks_for_each_label_with_yes_and_no(opened: Model, tokenizer: Tokenizer) -> None:
    task = Task({"urgent": "cannot wait", "private": None}, kind="multi", examples=[("Now!", ["urgent"]), ("x", [])])
    head, tails = message(task, opened, tokenizer)
    assert head == (
        "Read the document and decide for each of the labels whether it applies.\n\n"
        "Labels:\nurgent: cannot wait\nprivate\n\nExamples:\n\nDocument:\nNow!\n---\nLabels that apply: urgent\n\n"
        "Document:\nx\n---\nLabels that apply: none\n\nDocument:\n"
    )
    assert tails == [
        f'---\nDoes the label "{label}" apply to the document? Answer yes or no, and nothing else.'
        for label in ("urgent", "private")
    ]
    prompt = built(task, opened).prompt
    assert all(question.trie.labels == ("yes", "no") for question in prompt.questions)
    assert prompt.questions[0].name != prompt.questions[1].name


def test_yes_no_and_score_say_what_may_be_answered(opened: Model, tokenizer: Tokenizer) -> None:
    asked = Task(kind="yes_no", instructions="Is it urgent?", labels={"yes": "cannot wait"})
    assert message(asked, opened, tokenizer) == (
        "Is it urgent?\n\nAnswers:\nyes: cannot wait\n\nDocument:\n",
        ["---\nAnswer yes or no, and nothing else."],
    )
    scored = Task(kind="score", instructions="How urgent is it?", score_range=(0, 10))
    assert message(scored, opened, tokenizer) == (
        "How urgent is it?\n\nDocument:\n",
        ["---\nAnswer with a whole number from 0 to 10, and nothing else."],
    )
    assert built(scored, opened).prompt.questions[0].trie.labels == tuple(map(str, range(11)))


def test_several_questions_stand_before_the_document_and_are_named_after_it(
    opened: Model, tokenizer: Tokenizer
) -> None:
    task = Task(
        questions=[
            Question(name="topic", labels=["rent", "work"], instructions="What is it about?"),
            Question(name="urgent", kind="yes_no", instructions="Is it urgent?"),
            Question(name="tags", kind="multi", labels=["a", "b"], instructions="What applies?"),
        ]
    )
    head, tails = message(task, opened, tokenizer)
    assert head == (
        "Read the document. One of these questions is asked about it:\n\n"
        "Question topic: What is it about?\n\nLabels:\nrent\nwork\n\n"
        "Question urgent: Is it urgent?\n\n"
        "Question tags: What applies?\n\nLabels:\na\nb\n\nDocument:\n"
    )
    assert tails == [
        "---\nQuestion topic: Answer with exactly one label from its list, and nothing else.",
        "---\nQuestion urgent: Answer yes or no, and nothing else.",
        '---\nQuestion tags: Does the label "a" apply to the document? Answer yes or no, and nothing else.',
        '---\nQuestion tags: Does the label "b" apply to the document? Answer yes or no, and nothing else.',
    ]
    half = [Answer((0.5, 0.5), 1.0)] * 2
    verdicts = built(task, opened).verdicts([Answer((0.1, 0.9), 1.0), Answer((0.8, 0.2), 1.0), *half])
    assert [(v.question, v.label) for v in verdicts] == [("topic", "work"), ("urgent", "yes"), ("tags", ("a", "b"))]


def test_children_are_asked_for_in_a_second_message(opened: Model, tokenizer: Tokenizer) -> None:
    task = Task({"legal": "for lawyers", "legal/lease": "rental", "legal/nda": None, "other": None})
    head, _ = message(task, opened, tokenizer)
    assert "Labels:\nlegal: for lawyers\nother\n" in head
    assert "lease" not in head
    trie = built(task, opened).prompt.questions[0].trie
    assert trie.labels == ("legal/lease", "legal/nda", "other")
    assert [tokenizer.decode(sequence) for sequence in trie.sequences] == [
        *(
            "legal<|im_end|>\n<|im_start|>user\n"
            'Which kind of "legal" is it?\n\nLabels:\nlease: rental\nnda\n\n'
            "Answer with exactly one label from this list, and nothing else." + OPENING + child + "<|im_end|>"
            for child in ("lease", "nda")
        ),
        "other<|im_end|>",
    ]
    assert len(trie.branchings) == 2  # which label; which kind of legal


def test_an_example_of_a_child_says_both_steps(opened: Model, tokenizer: Tokenizer) -> None:
    task = Task(["legal/lease", "legal/nda", "other"], examples=[("You may rent it.", "legal/lease")])
    assert "You may rent it.\n---\nLabel: legal\nKind of legal: lease\n" in message(task, opened, tokenizer)[0]


def test_long_examples_are_cut_to_their_share_and_it_is_said(opened: Model, tokenizer: Tokenizer) -> None:
    long = " ".join(f"word{n}" for n in range(900))
    task = Task(["a", "b"], examples=[(long, "a"), ("short", "b"), (long + " é", "b")], examples_tokens=300)
    found = built(task, opened)
    (notice,) = found.notices
    assert "2 of 3 examples were cut to 14" in notice
    text = tokenizer.decode(found.prompt.prefix_tokens)
    assert text.count("\n[...]\n") == 2
    assert "word0 word1" in text
    assert "word899 é\n---" in text
    assert "\nshort\n" in text
    assert 250 < len(found.prompt.prefix_tokens) < 400
    assert built(Task(["a", "b"], examples=[("short", "b")]), opened).notices == ()


def test_too_many_examples_are_refused(opened: Model) -> None:
    examples = [(f"text {n} " * 50, "a") for n in range(40)]
    with pytest.raises(TaskError, match="40 examples have .* examples_tokens is 200, which leaves 5"):
        built(Task(["a", "b"], examples=examples, examples_tokens=200), opened)
