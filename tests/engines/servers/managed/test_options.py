"""Help texts are understood as the programs mean them, and wishes are only spelled in words that they know."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.help_texts import HELP
from thresher.engines.servers.managed.options import KnownOptions, Wish, parse_help, spell, wish

NAMES = st.from_regex(r"--[a-z]{1,6}(-[a-z]{1,6}){0,2}", fullmatch=True)
VALUES = st.one_of(st.none(), st.sampled_from(["on", "8", "a b", "-1"]))
WISHES = st.lists(
    st.builds(
        Wish,
        spellings=st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=3).map(tuple),
        needed=st.booleans(),
    ),
    max_size=8,
)
KNOWN = st.dictionaries(NAMES, st.sampled_from(["", "N", "[on|off]"]), max_size=12).map(KnownOptions)


@pytest.mark.parametrize(("name", "version"), HELP)
def test_every_option_of_a_help_text_is_found_and_no_other(name: str, version: str) -> None:
    known = parse_help(HELP[name, version])
    assert {"--host", "--port"} <= set(known.values)
    assert "--some-other-option" not in known
    assert all(option.startswith("-") and " " not in option for option in known.values)


def test_what_takes_a_value_and_what_does_not() -> None:
    new, old = parse_help(HELP["llama-server", "b11434"]), parse_help(HELP["llama-server", "2025-02"])
    assert not new.is_switch("--flash-attn")
    assert old.is_switch("--flash-attn")
    assert new.is_switch("-no-kvu")
    assert new.is_switch("--no-cache-idle-slots")
    assert not new.is_switch("-np")
    vllm = parse_help(HELP["vllm", "0.30.0"])
    assert not vllm.is_switch("-tp")
    assert not vllm.is_switch("--performance-mode")
    assert vllm.is_switch("--no-enable-prefix-caching")


def test_a_removed_option_is_not_known() -> None:
    text = "--draft N                               the argument has been removed. use another\n"
    text += "--draft-max N\n                                        the argument has been removed. use another\n"
    assert not parse_help(text).values


@given(WISHES, KNOWN)
def test_wishes_are_spelled_in_known_options_each_once_or_told_as_unmet(
    wishes: list[Wish], known: KnownOptions
) -> None:
    arguments, unmet = spell(wishes, known)
    met = [one for one in wishes if one not in unmet]
    position = 0
    for one in met:
        name = arguments[position]
        assert name in known
        assert name in dict(one.spellings)
        if known.is_switch(name):
            position += 1
        else:
            assert (name, arguments[position + 1]) in one.spellings
            position += 2
    assert position == len(arguments)
    for one in unmet:
        fitting = [n for n, v in one.spellings if n in known and (not known.is_switch(n)) == (v is not None)]
        assert not fitting


def test_the_first_known_spelling_is_taken() -> None:
    known = KnownOptions({"--reasoning-budget": "N", "--gpu-layers": "N"})
    thinking = Wish(spellings=(("--reasoning", "off"), ("--reasoning-budget", "0")))
    assert spell([thinking, wish(99, "--n-gpu-layers", "--gpu-layers")], known)[0] == [
        "--reasoning-budget", "0", "--gpu-layers", "99",
    ]  # fmt: skip
