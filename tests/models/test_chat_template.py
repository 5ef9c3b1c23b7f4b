"""Chat templates: real ones, hand-written ones of the other families, and hostile ones."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from thresher.errors import ModelFormatError
from thresher.models import template_process
from thresher.models.chat_template import ChatTemplate, PlainFormat, render

PIECES = ("Sort the document.\n\nDocument:\n", "its text\n", "---\nAnswer with one label.")

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = """{{- bos_token }}
{%- if not date_string is defined %}{%- set date_string = strftime_now("%d %b %Y") %}{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\n\nToday Date: " + date_string + "\n\n<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}"""
GEMMA = """{{ bos_token }}{% for message in messages %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}
{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}
{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' -}}
{% endfor %}
{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"""
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'user' %}{{ '[INST] ' + message.content + ' [/INST]' }}"
    "{% else %}{{ ' ' + message.content + eos_token }}{% endif %}{% endfor %}"
)
PARTS = (
    "{% for message in messages %}"
    "<|{{ message.role }}|>{% for part in message.content %}{{ part.text }}{% endfor %}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
DEEPSEEK_R1 = (
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'user' %}{{ '<|User|>' + message.content }}"
    "{% else %}{{ '<|Assistant|>' + message.content.split('</think>')[-1] + '<|eos|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|Assistant|><think>\n' }}{% endif %}"
)
HARMONY = (
    "{% for message in messages %}"
    "{% if message.role == 'user' %}{{ '<|start|>user<|message|>' + message.content + '<|end|>' }}"
    "{% else %}{{ '<|start|>assistant<|channel|>final<|message|>' + message.content + '<|return|>' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}"
)
CHATML_TOKENS = ("<|im_start|>", "<|im_end|>", "<|im")
EMPTY_THOUGHT = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"


@pytest.mark.parametrize("name", ["Qwen3.5-4B.jinja", "Qwen-Qwen3-0.6B.jinja"])
def test_qwen_templates_open_an_answer_without_thinking(shared_data: Path, name: str) -> None:
    source = (shared_data / "models" / "templates" / name).read_text(encoding="utf-8")
    chat = ChatTemplate(source, eos_token="<|im_end|>", special_tokens=CHATML_TOKENS)
    assert chat.pieces(PIECES) == ("<|im_start|>user\n", "", "", EMPTY_THOUGHT)
    assert chat.end_of_turn == "<|im_end|>"
    assert chat.next_turn == ("\n<|im_start|>user\n", EMPTY_THOUGHT)
    asked = [{"role": "user", "content": "".join(PIECES)}]
    assert render(source, asked) == "<|im_start|>user\n" + "".join(PIECES) + EMPTY_THOUGHT
    assert not render(source, asked, enable_thinking=True).endswith("</think>\n\n")


@pytest.mark.parametrize(
    ("source", "before", "after", "end_of_turn"),
    [
        (CHATML, "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>"),
        (
            LLAMA3,
            "<s><|start_header_id|>system<|end_header_id|>\n\nToday Date: 01 Jan 2026\n\n<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\n",
            "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
            "<|eot_id|>",
        ),
        (GEMMA, "<s><start_of_turn>user\n", "<end_of_turn>\n<start_of_turn>model\n", "<end_of_turn>"),
        (MISTRAL, "<s>[INST] ", " [/INST]", "</s>"),
        (PARTS, "<|user|>", "<|end|><|assistant|>", "<|end|>"),
        (DEEPSEEK_R1, "<s><|User|>", "<|Assistant|><think>\n\n</think>\n\n", "<|eos|>"),
        (HARMONY, "<|start|>user<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>", "<|return|>"),
    ],
    ids=["chatml", "llama3", "gemma", "mistral", "parts", "deepseek-r1", "harmony"],
)
def test_the_families_of_templates(source: str, before: str, after: str, end_of_turn: str) -> None:
    tokens = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "</s>", "<|end|>", "<|eos|>", "<|return|>")
    chat = ChatTemplate(source, bos_token="<s>", eos_token="</s>", special_tokens=tokens)
    assert chat.pieces(PIECES) == (before, "", "", after)
    assert chat.end_of_turn == end_of_turn


@pytest.mark.parametrize(
    ("source", "before"),
    [
        (CHATML, "\n<|im_start|>user\n"),
        (LLAMA3, "<|start_header_id|>user<|end_header_id|>\n\n"),
        (GEMMA, "\n<start_of_turn>user\n"),
        (MISTRAL, "[INST] "),
        (PARTS, "<|user|>"),
        (DEEPSEEK_R1, "<|User|>"),
        (HARMONY, "<|start|>user<|message|>"),
    ],
    ids=["chatml", "llama3", "gemma", "mistral", "parts", "deepseek-r1", "harmony"],
)
def test_a_second_message_follows_the_answers_end_of_turn(source: str, before: str) -> None:
    tokens = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "</s>", "<|end|>", "<|eos|>", "<|return|>")
    chat = ChatTemplate(source, bos_token="<s>", eos_token="</s>", special_tokens=tokens)
    assert chat.next_turn == (before, chat.pieces(("x",))[1])


def test_a_beginning_token_is_added_once_where_the_model_wants_it() -> None:
    assert ChatTemplate(CHATML, bos_token="<s>", add_bos=True).pieces(("x",))[0] == "<s><|im_start|>user\n"
    assert ChatTemplate(MISTRAL, bos_token="<s>", add_bos=True).pieces(("x",))[0] == "<s>[INST] "
    assert ChatTemplate(CHATML, bos_token="<s>").pieces(("x",))[0] == "<|im_start|>user\n"


def test_the_longest_token_ends_the_turn() -> None:
    source = CHATML.replace("<|im_end|>", "<|e|><|e|>")
    assert ChatTemplate(source, special_tokens=["<|e|>", "<|e|><|e|>"]).end_of_turn == "<|e|><|e|>"


def test_the_models_own_token_ends_a_turn_that_the_template_leaves_open() -> None:
    source = "{% for message in messages %}{{ message.content }}\n{% endfor %}"
    assert ChatTemplate(source, eos_token="<eos>", special_tokens=["<eos>"]).end_of_turn == "<eos>"
    with pytest.raises(ModelFormatError, match="which token ends an answer"):
        _ = ChatTemplate(source).end_of_turn


def test_a_template_that_takes_no_answer_still_serves() -> None:
    source = (
        "{% for message in messages %}{% if message.role != 'user' %}{{ raise_exception('users only') }}{% endif %}"
        "Q: {{ message.content }}\nA:{% endfor %}"
    )
    chat = ChatTemplate(source, eos_token="<eos>")
    assert chat.pieces(("x",)) == ("Q: ", "\nA:")
    assert chat.end_of_turn == "<eos>"
    with pytest.raises(ModelFormatError, match="takes no second message .* name the labels without slashes"):
        _ = chat.next_turn


def test_blocks_are_trimmed_and_loops_controlled_as_in_transformers() -> None:
    source = (
        "{% for message in messages %}\n    {% if loop.index0 %}{% break %}{% endif %}\n"
        "{{ message | tojson }}\n{% endfor %}"
    )
    messages = [{"role": "user", "content": "<ß&'>"}, {"role": "user", "content": "y"}]
    assert render(source, messages) == '{"role": "user", "content": "<ß&\'>"}\n'


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages[0].content | upper }}",
        "{{ messages[0].content | e | replace('\n', ' ') }}",
        "{{ messages[0].content }} and again {{ messages[0].content }}",
        "Nothing of it",
        "",
        "{{ messages[0].content | truncate(20) }}",
    ],
)
def test_a_template_must_keep_the_message_verbatim(source: str) -> None:
    with pytest.raises(ModelFormatError, match="does not keep the user's message verbatim"):
        ChatTemplate(source).pieces(PIECES)


def test_trimming_that_would_eat_a_piece_is_noticed() -> None:
    assert ChatTemplate(GEMMA).pieces(PIECES)
    with pytest.raises(ModelFormatError, match="verbatim"):
        ChatTemplate(GEMMA).pieces((" head", "document\n", "tail\n"))
    assert ChatTemplate(CHATML).pieces((" head", "document\n", "tail\n"))[0] == "<|im_start|>user\n"


def test_a_message_without_text_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="without text"):
        ChatTemplate(CHATML).pieces(("", " \n"))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{% for i in range(10**9) %}x{% endfor %}", "Range too big"),
        ("{{ 'x' * 10**10 }}", "MemoryError"),
        ("{{ 'x'.center(10**10) }}", "MemoryError"),
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}xxxxxxxx{% endfor %}{% endfor %}",
            "more than 1,000,000",
        ),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{{ messages.append(1) }}", "SecurityError"),
        ("{{ cycler.__init__.__globals__.os.system('true') }}", "SecurityError"),
        ("{% include '/etc/hostname' %}", "cannot be rendered"),
        ("{{ raise_exception('not like this') }}", "TemplateError: not like this"),
        ("{% if %}", "TemplateSyntaxError"),
        ("{{ nothing.at.all }}", "UndefinedError"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "RecursionError"),
        ("{{ " + "(" * 5000 + ")" * 5000 + " }}", "cannot be rendered|was stopped"),
    ],
)
def test_hostile_templates_end_in_an_error(source: str, said: str) -> None:
    with pytest.raises(ModelFormatError, match=said):
        ChatTemplate(source).pieces(PIECES)


def test_a_template_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_process, "WALL_LIMIT_S", 1.0)
    endless = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    start = time.monotonic()
    with pytest.raises(ModelFormatError, match="did not end within 1 s"):
        ChatTemplate(endless).pieces(PIECES)
    assert time.monotonic() - start < 60


def test_memory_taken_step_by_step_is_limited() -> None:
    doubling = (
        "{% set n = namespace(s='xxxxxxxx') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}{% endfor %}{{ n.s }}"
    )
    with pytest.raises(ModelFormatError, match="MemoryError|was stopped"):
        ChatTemplate(doubling).pieces(PIECES)


def test_a_base_model_gets_a_plain_prompt() -> None:
    assert PlainFormat(bos_token="<s>", add_bos=True).pieces(PIECES) == ("<s>", "", "", "\n\nAnswer:\n")
    assert PlainFormat(bos_token="<s>").pieces(("x",)) == ("", "\n\nAnswer:\n")
    assert PlainFormat.end_of_turn == "\n"
