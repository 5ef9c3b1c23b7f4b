"""Which documents can be accepted unseen, and which to check to prove it.

Documents are sorted by the model's probability into piles of the most certain 10%, 20%, ... 100%. A pile is *proven*
when the capital of :mod:`~thresher.evaluation.betting` on it reached its mark, over the documents of the random order
that lie in the pile. Piles are tested from small to large, each only after the one before: a fixed sequence needs no
correction for the number of piles. It is begun at three places with a third of the error chance each, because a small
pile is the likeliest to be good and a large one the soonest to have enough labels (Angelopoulos et al. 2021, "Learn
then Test", fixed sequence testing with several starts). So the chance that any pile is proven wrongly, at any look, is
at most ``1 - confidence``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from thresher.errors import UsageError
from thresher.evaluation.bounds import fixed_sample_sizes
from thresher.evaluation.candidates import UNLABELLED, Candidates
from thresher.evaluation.decisions import Decisions
from thresher.evaluation.piles import STARTS, Level, Piles, ProjectedFrom


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What is proven, what is to be checked, and what it would take to prove more."""

    target: float
    confidence: float
    sample: Literal["random order", "declared random"]
    mark: float  # capital that proves a pile
    documents: int
    answered: int  # with a label
    labelled: int  # of those answered, with a gold or reviewed label
    counted: int  # of those labelled: the beginning of the random order, of any pile; only they prove anything
    threshold: float | None  # accepted from this probability on; None: nothing is proven
    guaranteed: int  # documents of the proven pile, to which target and confidence apply
    accepted: int  # of them, those that nobody has labelled
    to_check: int  # neither accepted nor labelled
    next_labels: int  # to be labelled to prove more; 0 where checking the rest is no more work
    next_threshold: float | None  # that they would prove
    projected_from: ProjectedFrom | None  # what next_labels assumes
    fixed_samples: dict[int, int] = field(default_factory=dict)  # see fixed_sample_sizes
    levels: tuple[Level, ...] = ()


def accept(
    rows: Candidates, *, target: float, confidence: float = 0.95, declared_random: bool = False
) -> tuple[Acceptance, Decisions]:
    """What can be accepted among ``rows``, and what is to be done with each.

    Args:
        rows: one for each document.
        target: the share of right labels wanted in the accepted pile (the documents from some probability on, those
            that somebody labelled among them), between 0 and 1.
        confidence: with which it is wanted, between 0 and 1.
        declared_random: the labelled documents are a random sample that somebody else drew, evaluated once.

    Raises:
        UsageError: target or confidence are out of range.
    """
    for name, value in (("--target", target), ("--confidence", confidence)):
        if not 0.0 < value < 1.0:
            raise UsageError(f"{name} is {value}; it must be above 0 and below 1, as in 0.95")
    columns = rows.columns()
    piles = Piles(columns, target, (1.0 - confidence) / len(STARTS), declared_random=declared_random)
    proven = piles.largest_proven()
    threshold = None if proven is None else piles.levels[proven].threshold
    plan = piles.cheapest_plan(proven)
    decisions = Decisions(columns, threshold, plan.places)
    return (
        Acceptance(
            target=target,
            confidence=confidence,
            sample="declared random" if declared_random else "random order",
            mark=1.0 / piles.alpha,
            documents=len(decisions),
            answered=len(piles.places),
            labelled=int((columns.label_n[piles.places] != UNLABELLED).sum()),
            counted=piles.counted(),
            threshold=threshold,
            guaranteed=0 if proven is None else piles.levels[proven].documents,
            accepted=decisions.count("accept"),
            to_check=decisions.count("check"),
            next_labels=len(plan.places),
            next_threshold=plan.threshold,
            projected_from=plan.projected_from,
            fixed_samples=fixed_sample_sizes(target, confidence),
            levels=tuple(piles.levels),
        ),
        decisions,
    )
