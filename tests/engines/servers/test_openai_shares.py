"""Exact texts and their probabilities, from what an endpoint tells of its tokens."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.engines.servers.openai.replies import Form, NoLabelError, response_format, said, surface
from thresher.engines.servers.openai.shares import TOLERANCE, Place, first_mass, shares

OPTIONS = ("invoice", "invoice from abroad", "счёт", 'a "quoted" one')


def place(token: str, probability: float, **listed: float) -> Place:
    tops = {name.encode(): value for name, value in {token: probability, **listed}.items()}
    return Place(token.encode(), probability, tops)


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_label_is_said_exactly(option: str, ascii_only: bool) -> None:
    place_of = OPTIONS.index(option)
    assert said(f"  {option}\n", OPTIONS, "plain") == place_of
    assert said(json.dumps({"label": option}, ensure_ascii=ascii_only), OPTIONS, "json") == place_of


@pytest.mark.parametrize(
    ("content", "form"),
    [
        ("Invoice", "plain"), ("invoice.", "plain"), ("The label is invoice", "plain"), ("", "plain"),
        ("**invoice**", "plain"), ("invoice", "json"), ('{"label": "other"}', "json"), ('{"label": null}', "json"),
        ('{"label": "invoice", "why": "x"}', "json"), ('["invoice"]', "json"), ('{"label": "invo', "json"),
    ],
)  # fmt: skip
def test_anything_else_is_no_label(content: str, form: Form) -> None:
    with pytest.raises(NoLabelError, match="none of the 4 labels") as caught:
        said(content, OPTIONS, form)
    assert content[:60] in str(caught.value) or repr(content[:60]) in str(caught.value)


def test_a_failure_shows_the_start_only_and_names_thinking() -> None:
    with pytest.raises(NoLabelError) as caught:
        said("<think>\nOkay, " + "x" * 500, OPTIONS, "plain")
    assert "thinks" in str(caught.value)
    assert len(str(caught.value)) < 250
    with pytest.raises(NoLabelError, match="spent its tokens"):
        said("  ", OPTIONS, "plain")


def test_the_schema_names_the_labels() -> None:
    schema = response_format(OPTIONS)["json_schema"]["schema"]
    assert schema["properties"]["label"]["enum"] == list(OPTIONS)


@given(st.sampled_from(OPTIONS), st.booleans(), st.sampled_from(["", " ", "\n"]))
def test_the_surface_of_what_was_said_is_what_was_said(option: str, ascii_only: bool, space: str) -> None:
    choice = OPTIONS.index(option)
    plain = f"{space}{option}"
    assert surface(plain, OPTIONS, "plain", choice)[choice].decode() == plain
    content = f'{{"label":{space}{json.dumps(option, ensure_ascii=ascii_only)}}}'
    replies = surface(content, OPTIONS, "json", choice)
    assert replies[choice].decode() == content
    assert all(json.loads(reply)["label"] == other for reply, other in zip(replies, OPTIONS, strict=True))


def test_one_place_tells_all() -> None:
    replies = [b"invoice", b"contract", b"minutes"]
    found = shares(replies, 0, [place("invoice", 0.6, contract=0.2, min=0.1, The=0.05)])
    assert found is not None
    assert found.probabilities == pytest.approx((0.6 / 0.9, 0.2 / 0.9, 0.1 / 0.9))
    assert found.mass == pytest.approx(0.9)


def test_probabilities_multiply_along_what_was_said() -> None:
    replies = [b"kind 1", b"kind 2", b"other"]
    places = [place("kind", 0.8, other=0.2), place(" ", 1.0), place("1", 0.75, **{"2": 0.25})]
    found = shares(replies, 0, places)
    assert found is not None
    assert found.probabilities == pytest.approx((0.6, 0.2, 0.2))


def test_where_another_way_leads_to_several_they_are_unknown() -> None:
    replies = [b"other", b"kind 1", b"kind 2"]
    assert shares(replies, 0, [place("other", 0.8, kind=0.2)]) is None
    little = shares(replies, 0, [place("other", 0.9999, kind=0.0001)])
    assert little is not None  # too little to matter
    assert little.probabilities == pytest.approx((1.0, 0.0, 0.0), abs=TOLERANCE)


def test_where_one_label_ends_and_another_goes_on() -> None:
    replies = [b"invoice", b"invoice from abroad"]
    assert shares(replies, 0, [place("invoice", 1.0)]) is None  # the end was not told
    ended = shares(replies, 0, [place("invoice", 1.0), place("<|im_end|>", 0.7, **{" from": 0.3})])
    assert ended is not None
    assert ended.probabilities == pytest.approx((0.7, 0.3))
    assert shares(replies, 1, [place("invoice", 1.0), place(" from", 0.3, **{"<|im_end|>": 0.7})]) is None
    quoted = [b'{"label":"invoice"}', b'{"label":"invoice from"}']
    closed = [place('{"label":"', 1.0), place("invoice", 1.0), place('"}', 0.9, **{" from": 0.1})]
    found = shares(quoted, 0, closed)
    assert found is not None
    assert found.probabilities == pytest.approx((0.9, 0.1))


def test_a_list_too_short_to_bound_what_it_leaves_out() -> None:
    replies = [b"a", b"b", b"c"]
    assert shares(replies, 0, [place("a", 0.5, b=0.4)]) is None  # c may have as much as b
    found = shares(replies, 0, [place("a", 0.5, x=1e-6)])
    assert found is not None
    assert found.probabilities[0] == pytest.approx(1.0, abs=TOLERANCE)


def test_tokens_that_are_not_the_replys_say_nothing() -> None:
    assert shares([b"a", b"b"], 0, [place("b", 0.9, a=0.1)]) is None
    assert shares([b"a", b"b"], 0, []) is None


def test_parts_of_characters_are_told_apart() -> None:
    first, second = "счёт".encode(), "счѓт".encode()
    cut = len("сч".encode()) + 1  # within the third character
    listed = {first[:cut]: 1.0}
    places = [
        Place(first[:cut], 1.0, listed),
        Place(first[cut:], 0.75, {first[cut:]: 0.75, second[cut:]: 0.25}),
    ]
    found = shares([first, second], 0, places)
    assert found is not None
    assert found.probabilities == pytest.approx((0.75, 0.25))


def test_mass_of_a_reply_that_says_no_label() -> None:
    assert first_mass([b"invoice", b"contract"], [place("The", 0.9, inv=0.06, contract=0.03)]) == pytest.approx(0.09)
    assert first_mass([b"invoice"], []) is None


@given(
    st.lists(st.text("ab", min_size=1, max_size=3), min_size=2, max_size=5, unique=True),
    st.data(),
)
def test_against_a_model_of_single_letters(options: list[str], data: st.DataObject) -> None:
    """A model with a token for each letter and one for the end: what is told agrees with the sum over all replies."""
    weights = {
        prefix: [data.draw(st.integers(1, 50)) for _ in range(3)]
        for prefix in sorted({option[:n] for option in options for n in range(len(option) + 1)})
    }

    def chance(prefix: str, token: str) -> float:
        valid = {option[len(prefix) : len(prefix) + 1] or "$" for option in options if option.startswith(prefix)}
        numbers = dict(zip("ab$", weights[prefix], strict=True))
        return numbers[token] / sum(numbers[other] for other in valid) if token in valid else 0.0

    exact = [math.prod(chance(option[:n], (option + "$")[n]) for n in range(len(option) + 1)) for option in options]
    choice = data.draw(st.integers(0, len(options) - 1))
    places = []
    for n in range(len(options[choice]) + 1):
        prefix, token = options[choice][:n], (options[choice] + "$")[n]
        listed = {other.encode(): chance(prefix, other) for other in "ab$"}
        places.append(Place(token.encode(), listed[token.encode()], listed))
    found = shares([option.encode() for option in options], choice, places)
    if found is not None:
        assert found.probabilities == pytest.approx(exact, abs=2 * TOLERANCE)
