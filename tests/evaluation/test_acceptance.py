"""What is called proven is true as often as promised, however often one looks; simulated a thousand times."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresher.errors import UsageError
from thresher.evaluation import Acceptance, Candidate, Candidates, Decision, betting
from thresher.evaluation import accept as accept_columns
from thresher.evaluation.betting import capital, labels_needed
from thresher.evaluation.bounds import clopper_pearson, fixed_sample_sizes

REPETITIONS = 1_000
#: More wrong proofs than this among a thousand, at 5% allowed, have a chance below 1 in 1,000.
MOST_WRONG_PROOFS = 72


def accept(rows: Sequence[Candidate], **wishes: Any) -> tuple[Acceptance, list[Decision]]:
    """What is found, and the decision on each row in their order."""
    found, decisions = accept_columns(Candidates.of(rows), **wishes)
    assert len(decisions) == len(rows)
    listed = [decisions.of(row.sample_key) for row in rows]
    return found, [decision for decision in listed if decision is not None]


def pile(right: Sequence[bool | None], random: np.random.Generator, scores: Any = None) -> list[Candidate]:
    """Candidates in a random order, the first the surest."""
    keys = random.permutation(len(right))
    given_scores = scores if scores is not None else np.linspace(1.0, 0.5, len(right))
    return [
        Candidate(sample_key=f"{key:08}", probability=float(score), right=is_right)
        for i, (key, score, is_right) in enumerate(zip(keys, given_scores, right, strict=True))
    ]


def just_short(random: np.random.Generator, target: float, size: int = 20, tenths: int = 10) -> list[bool]:
    """Right and wrong so that each pile of the surest lacks one right document to the target."""
    right: list[bool] = []
    for number in range(1, tenths + 1):
        wanted = math.ceil(target * size * number - 1e-9) - 1 - sum(right)
        right += random.permutation([True] * wanted + [False] * (size - wanted)).tolist()
    return right


def test_piles_just_short_of_the_target_are_seldom_proven_though_one_looks_after_every_label() -> None:
    random, wrong_proofs = np.random.default_rng(0), 0
    for _ in range(REPETITIONS):
        found, _ = accept(pile(just_short(random, 0.9), random), target=0.9)  # proven: at any look, for all are made
        wrong_proofs += found.threshold is not None
    assert 0 < wrong_proofs <= MOST_WRONG_PROOFS


def test_the_capital_of_one_pile_reaches_its_mark_as_seldom_as_promised() -> None:
    random, reached = np.random.default_rng(1), 0
    right = np.array([True] * 949 + [False] * 51)
    for _ in range(REPETITIONS):
        reached += bool(capital(random.permutation(right), 1000, 0.95).max() >= 20)
    assert 0 < reached <= MOST_WRONG_PROOFS


def test_a_declared_random_sample_is_taken_at_its_end_only() -> None:
    random, wrong_proofs = np.random.default_rng(2), 0
    for _ in range(300):
        right = just_short(random, 0.9)
        known = set(random.choice(len(right), 120, replace=False).tolist())
        labelled = [is_right if i in known else None for i, is_right in enumerate(right)]
        found, _ = accept(pile(labelled, random), target=0.9, declared_random=True)
        wrong_proofs += found.threshold is not None
    assert wrong_proofs <= 28  # more, at 5% allowed, have a chance below 1 in 1,000


def test_labels_chosen_otherwise_prove_nothing() -> None:
    random = np.random.default_rng(3)
    candidates = pile([None] * 1000, random)
    first = min(candidates, key=lambda candidate: candidate.sample_key)
    # a thousand documents, the 500 surest but one labelled and all right, and the one that is missing comes first
    chosen = [replace(c, right=None if c is first or number >= 500 else True) for number, c in enumerate(candidates)]
    found, decisions = accept(chosen, target=0.95)
    whole = found.levels[-1]
    assert (whole.labelled, whole.proven) == (0, False)
    assert found.labelled in (499, 500)
    assert [d.decision for d in decisions].count("labelled") == found.labelled


def test_following_the_plan_proves_the_target_and_says_beforehand_about_how_long_it_takes() -> None:
    random = np.random.default_rng(4)
    truth = (random.random(2000) < 0.995).tolist()
    scores = np.linspace(1.0, 0.98, 2000)
    known: list[bool | None] = [None] * 2000
    keys = np.random.default_rng(5)
    found, decisions = accept(pile(known, keys, scores), target=0.95)
    assert found.projected_from == "probabilities"
    promised = found.next_labels
    assert 0 < promised < 500
    for _ in range(20):
        order = sorted((d.check_order, number) for number, d in enumerate(decisions) if d.check_order)
        if not order:
            break
        for _, number in order[:50]:
            known[number] = truth[number]
        found, decisions = accept(pile(known, np.random.default_rng(5), scores), target=0.95)
    assert found.guaranteed == 2000
    assert found.accepted == 2000 - found.labelled
    assert found.labelled <= 2 * promised
    accepted = [truth[number] for number, d in enumerate(decisions) if d.decision == "accept"]
    assert len(accepted) == found.accepted
    assert np.mean(accepted) >= 0.95
    assert (found.next_labels, found.to_check) == (0, 0)


def test_wrong_labels_at_the_end_leave_only_the_surest() -> None:
    random = np.random.default_rng(6)
    truth = (random.random(1000) < np.linspace(1.0, 0.6, 1000) ** 0.5).tolist()
    found, decisions = accept(pile(truth, random), target=0.95)
    assert found.threshold is not None
    proven = [level for level in found.levels if level.proven]
    assert 0 < len(proven) < 10
    assert found.threshold == proven[-1].threshold
    best = np.mean(truth[: proven[-1].documents])
    assert best >= 0.95
    assert {d.decision for d in decisions} == {"labelled"}


def test_before_any_label_there_is_a_plan() -> None:
    random = np.random.default_rng(7)
    found, decisions = accept(pile([None] * 1000, random, np.linspace(1.0, 0.97, 1000)), target=0.95)
    assert found.threshold is None
    assert (found.accepted, found.to_check, found.labelled, found.counted) == (0, 1000, 0, 0)
    assert found.levels[-1].needed is not None
    order = sorted(d.check_order for d in decisions if d.check_order)
    assert order == list(range(1, found.next_labels + 1))
    assert found.fixed_samples[0] == 59
    pessimist, _ = accept(pile([None] * 1000, random, np.linspace(0.8, 0.6, 1000)), target=0.95)
    assert pessimist.projected_from == "none wrong"


def test_rows_without_a_label_are_never_accepted() -> None:
    rows = [Candidate(sample_key="0", probability=None)]
    found, (decision,) = accept(rows, target=0.9)
    assert (found.answered, found.accepted, found.to_check, found.levels) == (0, 0, 1, ())
    assert decision.decision == "check"
    rows += [Candidate(sample_key=f"{i:03}", probability=1.0, right=True) for i in range(200)]
    rows += [Candidate(sample_key="999", probability=1.0)]
    found, decisions = accept(rows, target=0.9)
    assert len(found.levels) == 1  # equal probabilities stand or fall together
    assert [decisions[0].decision, decisions[-1].decision] == ["check", "accept"]


def test_targets_out_of_range() -> None:
    for target, confidence in ((1.0, 0.95), (0.0, 0.95), (0.9, 95.0)):
        with pytest.raises(UsageError, match="must be above 0 and below 1"):
            accept([], target=target, confidence=confidence)
    found: Acceptance = accept([], target=0.9)[0]
    assert (found.documents, found.threshold, found.next_labels) == (0, None, 0)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(0, 20), st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_capital_is_never_negative_and_infinite_only_where_the_target_is_certain(
    drawn: list[bool], more: int, target: float
) -> None:
    population = len(drawn) + more
    found = capital(np.array(drawn), population, target)
    assert (found >= 0).all()
    enough = np.cumsum(drawn) >= math.ceil(target * population - 1e-9)
    assert (np.isinf(found) == enough).all()


@given(st.integers(1, 9), st.sampled_from([0.5, 0.7, 0.9]))
def test_capital_is_a_supermartingale_where_the_target_is_missed(population: int, target: float) -> None:
    """Over all orders of a population just short of the target, the mean capital never grows beyond 1."""
    right = math.ceil(target * population - 1e-9) - 1
    orders = set(itertools.permutations([True] * right + [False] * (population - right))) if population < 8 else ()
    if orders:
        mean = np.mean([capital(np.array(order), population, target) for order in orders], axis=0)
        assert (mean <= 1 + 1e-9).all()


def test_labels_needed_is_where_the_capital_reaches_its_mark() -> None:
    nothing = np.array([])
    needed = labels_needed(nothing, 1.0, 1000, 0.95, 0.05)
    assert needed is not None
    reached = capital(np.ones(needed), 1000, 0.95)
    assert reached[-1] >= 20 > reached[-2]
    assert labels_needed(nothing, 0.9, 1000, 0.95, 0.05) is None
    assert labels_needed(nothing, 0.99, 1000, 0.95, 0.05) > needed  # type: ignore[operator]


def test_exact_bounds() -> None:
    assert fixed_sample_sizes(0.95, 0.95, 2) == {0: 59, 1: 93, 2: 124}  # the known sizes of acceptance sampling
    for wrong, size in fixed_sample_sizes(0.9, 0.99).items():
        low = clopper_pearson(size - wrong, size, 0.98)[0]  # two-sided at 98% is one-sided at 99%
        assert low >= 0.9
        assert clopper_pearson(size - 1 - wrong, size - 1, 0.98)[0] < 0.9
    assert clopper_pearson(0, 10)[0] == 0.0
    assert clopper_pearson(10, 10)[0] == pytest.approx(0.025 ** (1 / 10))
    assert clopper_pearson(10, 10)[1] == 1.0


def test_exact_intervals_hold_as_often_as_they_say() -> None:
    random, covered = np.random.default_rng(8), 0
    for right in random.binomial(80, 0.93, REPETITIONS):
        low, high = clopper_pearson(int(right), 80)
        covered += low <= 0.93 <= high
    assert covered >= 928  # 950 promised, fewer than 928 have a chance of 1 in 500


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 20), st.integers(1, 9))
def test_the_capital_is_the_same_however_many_draws_are_looked_at_at_a_time(
    drawn: list[bool], more: int, at_a_time: int
) -> None:
    population = len(drawn) + more
    whole = capital(np.array(drawn), population, 0.9)
    needed = labels_needed(np.array(drawn), 0.95, population, 0.9, 0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(betting, "_DRAWS_A_TIME", at_a_time)
        np.testing.assert_allclose(capital(np.array(drawn), population, 0.9), whole, rtol=1e-9)
        assert labels_needed(np.array(drawn), 0.95, population, 0.9, 0.05) == needed


def test_a_row_takes_few_bytes_of_memory() -> None:
    count, random = 100_000, np.random.default_rng(9)
    rows = (Candidate(sample_key=random.bytes(16).hex(), probability=float(p)) for p in random.random(count))
    tracemalloc.start()
    try:
        found, decisions = accept_columns(Candidates.of(rows), target=0.9)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (found.documents, len(decisions)) == (count, count)
    assert peak_bytes < 250 * count  # as objects they took 2,000
