"""The words around a task's own words.

With one question the user's message is

    {instructions}

    Labels:
    {label}: {description}
    ...

    Document:
    {document}
    ---
    Answer with exactly one label from the list, and nothing else.

With several, all of them stand before the document, each under ``Question {name}: {instructions}``, and what follows
the document names the one that is asked. So what is long is read once for all documents.

A label stands at the start of its line, so that it has the same tokens there as in the answer. The document
ends with a line break and what follows it begins with "-": the pre-tokenizers in use never join the two, so
the seams are token boundaries of the joined text too.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from thresher.tasks.labels import LabelNode
from thresher.tasks.question import NO, YES, Example, Question

_SEVERAL = "Read the document. One of these questions is asked about it:"
_LIST_TITLES = {"choice": "Labels:", "multi": "Labels:", "yes_no": "Answers:", "score": "Scores:"}


def document_text(text: str) -> str:
    """A document as it stands in the prompt: outer white space removed, NFC as the models were trained on."""
    return unicodedata.normalize("NFC", text).strip() + "\n"


def message_head(questions: Sequence[Question], instructions: str, examples: Sequence[Sequence[Example]]) -> str:
    """What stands before the document; ``examples`` are each question's, as they are to be shown."""
    if len(questions) == 1:
        lines = [questions[0].instructions, *_definition(questions[0], examples[0])]
    else:
        lines = [instructions or _SEVERAL]
        for question, shown in zip(questions, examples, strict=True):
            lines += ["", f"Question {question.name}: {question.instructions}", *_definition(question, shown)]
    return "\n".join([*lines, "", "Document:", ""])


def answer_requests(question: Question, *, alone: bool) -> list[str]:
    """What stands after the document: one request, or one for each label of a ``multi`` question."""
    start = "---\n" if alone else f"---\nQuestion {question.name}: "
    if question.kind == "multi":
        return [
            f'{start}Does the label "{label.name}" apply to the document? Answer yes or no, and nothing else.'
            for label in question.labels
        ]
    if question.kind == "yes_no":
        return [f"{start}Answer {YES} or {NO}, and nothing else."]
    if question.kind == "score":
        low, high = question.labels[0].name, question.labels[-1].name
        return [f"{start}Answer with a whole number from {low} to {high}, and nothing else."]
    listed = "the list" if alone else "its list"
    return [f"{start}Answer with exactly one label from {listed}, and nothing else."]


def children_request(parent: LabelNode) -> str:
    """The message that asks for the children of a label just answered."""
    lines = [f'Which kind of "{parent.path}" is it?', "", _LIST_TITLES["choice"], *_described(parent.children)]
    return "\n".join([*lines, "", "Answer with exactly one label from this list, and nothing else."])


def _definition(question: Question, examples: Iterable[Example]) -> list[str]:
    listed = question.tree
    if question.kind in ("yes_no", "score"):
        listed = tuple(node for node in question.tree if node.description)
    lines = [*_titled(_LIST_TITLES[question.kind], listed)] if listed else []
    shown = [line for example in examples for line in _example(question, example)]
    return [*lines, "", "Examples:", *shown] if shown else lines


def _titled(title: str, nodes: Iterable[LabelNode]) -> list[str]:
    return ["", title, *_described(nodes)]


def _described(nodes: Iterable[LabelNode]) -> list[str]:
    return [f"{node.name}: {node.description}" if node.description else node.name for node in nodes]


def _example(question: Question, example: Example) -> list[str]:
    return ["", "Document:", document_text(example.text) + "---", *_example_answer(question, example)]


def _example_answer(question: Question, example: Example) -> list[str]:
    if isinstance(example.label, tuple):
        return [f"Labels that apply: {', '.join(example.label) or 'none'}"]
    if question.kind != "choice":
        return [f"Answer: {example.label}"]
    lines, nodes, title = [], question.tree, "Label"
    while nodes:  # down the tree: a parent, then which kind of it
        node = next(node for node in nodes if example.label in node.answers())
        lines.append(f"{title}: {node.name}")
        nodes, title = node.children, f"Kind of {node.path}"
    return lines
