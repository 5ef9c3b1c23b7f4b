"""Task + chat template + tokenizer -> the tokens of a prompt: prefix, (document), suffixes, answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thresher.answers import Answer, AnswerTrie
from thresher.errors import ModelFormatError, TaskError
from thresher.models.chat_format import ChatFormat
from thresher.models.tokenizer import Tokenizer
from thresher.tasks.examples import fit_examples
from thresher.tasks.labels import LabelNode
from thresher.tasks.question import NO, YES, Question
from thresher.tasks.task import Task
from thresher.tasks.verdict import Decided, Verdict, reach_verdict
from thresher.tasks.wording import answer_requests, children_request, document_text, message_head
from thresher.types import Prompt, QuestionPrompt


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskPrompt:
    """A task in the tokens of one model, and the way back from an engine's answers to the task's questions."""

    prompt: Prompt
    questions: tuple[Decided, ...]
    asked: tuple[int, ...]  # for each question, how many of the prompt's questions ask for it
    notices: tuple[str, ...] = ()

    def verdicts(self, answers: Sequence[Answer]) -> list[Verdict]:
        """One verdict for each question, from the answers to the prompt's questions in their order."""
        found: list[Verdict] = []
        start = 0
        for question, count in zip(self.questions, self.asked, strict=True):
            found.append(reach_verdict(question, answers[start : start + count]))
            start += count
        return found


def build_prompt(task: Task, tokenizer: Tokenizer, chat: ChatFormat, *, units_per_token: float = 1.0) -> TaskPrompt:
    """The shared tokens of all prompts of ``task`` for the model that ``tokenizer`` and ``chat`` belong to.

    ``units_per_token``: how many of the tokenizer's units count as a token, where these are bytes.

    Raises:
        TaskError: two labels have the same tokens, or the examples do not fit the tokens they may take.
        ModelFormatError: the template does not keep the message together, or takes no second message where labels
            have children.
    """
    examples, notice = fit_examples(task, tokenizer, units_per_token)
    head = message_head(task.questions, task.instructions, examples)
    asked = [answer_requests(question, alone=len(task.questions) == 1) for question in task.questions]
    before, middle, between, after = chat.pieces((head, document_text("x"), asked[0][0]))
    if middle or between:
        raise ModelFormatError("the chat template puts text inside the user's message; it cannot be used")
    end = tokenizer.encode_template(after)
    prompts: list[QuestionPrompt] = []
    for question, requests in zip(task.questions, asked, strict=True):
        trie = _answer_trie(question, tokenizer, chat)
        names = (
            [f"{question.name}: {label.name}" for label in question.labels] if len(requests) > 1 else [question.name]
        )
        for name, request in zip(names, requests, strict=True):
            suffix = (*tokenizer.encode(request), *end)
            prompts.append(QuestionPrompt(name=name, suffix_tokens=suffix, trie=trie))
    return TaskPrompt(
        prompt=Prompt(
            prefix_tokens=(*tokenizer.encode_template(before), *tokenizer.encode(head)), questions=tuple(prompts)
        ),
        questions=task.questions,
        asked=tuple(map(len, asked)),
        notices=() if notice is None else (notice,),
    )


def _answer_trie(question: Question, tokenizer: Tokenizer, chat: ChatFormat) -> AnswerTrie:
    labels, sequences = question.label_names, _Answers(tokenizer, chat).of(question.tree)
    if question.kind == "multi":
        labels, sequences = (YES, NO), _Answers(tokenizer, chat).of((LabelNode(YES, YES), LabelNode(NO, NO)))
    try:
        return AnswerTrie(labels, sequences)
    except ValueError as error:
        raise TaskError(f"the model's tokenizer cannot tell the labels apart: {error}; rename one") from error


class _Answers:
    """The token sequences of answers.

    The answer to a question of labels with children is a conversation: the parent, its end of turn, the user's next
    message that asks which kind of it, and the child. What the user says there is forced, so it costs no decision,
    and it is read only where the parent is likely enough to be looked into.
    """

    def __init__(self, tokenizer: Tokenizer, chat: ChatFormat) -> None:
        self._tokenizer = tokenizer
        self._chat = chat
        self._end = tokenizer.encode_template(chat.end_of_turn)

    def of(self, nodes: Sequence[LabelNode]) -> list[list[int]]:
        """One sequence for each answer at or below ``nodes``, in their order."""
        sequences: list[list[int]] = []
        for node in nodes:
            own = [*self._tokenizer.encode(node.name), *self._end]
            if not node.children:
                sequences.append(own)
                continue
            turn = self._next_turn(children_request(node))
            sequences += [[*own, *turn, *below] for below in self.of(node.children)]
        return sequences

    def _next_turn(self, message: str) -> list[int]:
        before, after = self._chat.next_turn
        encode = self._tokenizer.encode_template
        return [*encode(before), *self._tokenizer.encode(message), *encode(after)]
