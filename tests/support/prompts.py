"""Prompts and requests for engine tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thresher.answers import AnswerTrie
from thresher.models.tokenizer import Tokenizer
from thresher.types import Prompt, QuestionPrompt, Request

END_OF_TURN = "<|im_end|>"
BEFORE_DOCUMENT = "<|im_start|>user\nDecide what kind of document this is.\n\nLabels:\n{labels}\n\nDocument:\n"
AFTER_DOCUMENT = (
    "---\nAnswer with exactly one label from the list, and nothing else.<|im_end|>\n<|im_start|>assistant\n"
)


def make_question(tokenizer: Tokenizer, labels: Sequence[str], name: str = "kind") -> QuestionPrompt:
    end = tokenizer.encode_template(END_OF_TURN)
    trie = AnswerTrie(labels, [tokenizer.encode(label) + end for label in labels])
    suffix = tokenizer.encode_template(AFTER_DOCUMENT.replace("label from", f"{name} from"))
    return QuestionPrompt(name=name, suffix_tokens=tuple(suffix), trie=trie)


def make_prompt(tokenizer: Tokenizer, *questions: Sequence[str]) -> Prompt:
    """A prompt that asks for one of each of ``questions``, which are label lists."""
    prefix = tokenizer.encode_template(BEFORE_DOCUMENT.format(labels="\n".join(questions[0])))
    return Prompt(
        prefix_tokens=tuple(prefix),
        questions=tuple(make_question(tokenizer, labels, f"kind {n}") for n, labels in enumerate(questions)),
    )


def make_hierarchical_question(
    tokenizer: Tokenizer, tree: Mapping[str, Sequence[str]], forced_tokens: int
) -> QuestionPrompt:
    """Labels below parents: parent, end of turn, a follow-up turn of ``forced_tokens``, child, end of turn."""
    end = tokenizer.encode_template(END_OF_TURN)
    labels, sequences = [], []
    for parent, children in tree.items():
        turn = tokenizer.encode(f"Which kind of {parent} is it? " + "One of these and nothing else. " * forced_tokens)
        for child in children:
            labels.append(f"{parent}/{child}")
            sequences.append([*tokenizer.encode(parent), *end, *turn[:forced_tokens], *tokenizer.encode(child), *end])
    suffix = tokenizer.encode_template(AFTER_DOCUMENT)
    return QuestionPrompt(name="kind", suffix_tokens=tuple(suffix), trie=AnswerTrie(labels, sequences))


def make_requests(prompt: Prompt, documents: Sequence[Sequence[int]], first_id: int = 0) -> list[Request]:
    return [
        Request(request_id=first_id + index, prompt=prompt, document_tokens=list(document))
        for index, document in enumerate(documents)
    ]


_SENTENCES = (
    "The tenant shall pay the rent in advance on the first working day of each month.",
    "Please find enclosed our invoice for the delivery of March; payment is due within thirty days.",
    "The committee met at ten o'clock and approved the minutes of the previous meeting.",
    "After the update the program stops with an error when a file of zero bytes is opened.",
    "Die Lieferung erfolgt frei Haus; Größe und Gewicht stehen auf dem Lieferschein.",
    "I worked for six years as a nurse in the children's ward and now look for a new task.",
    "Согласно договору, стороны обязуются хранить тайну.",
    "The results, 3.14 and 2.72, differ from those of 1998 by less than 5 %.",
)


def make_text(sentences: int, start: int = 0) -> str:
    """Text of so many sentences; another ``start`` gives another text."""
    chosen = (_SENTENCES[(start * 3 + index * (1 + start % 3)) % len(_SENTENCES)] for index in range(sentences))
    return " ".join(f"({start + index}) {sentence}" for index, sentence in enumerate(chosen))
