"""What to know of gold labels before trusting figures made with them, in words."""

from __future__ import annotations

from collections.abc import Iterator

from thresher.evaluation.gold import GoldReport
from thresher.evaluation.run_together import one_label_only


def gold_notes(question: str, report: GoldReport) -> Iterator[str]:
    """Where they are from, and what of them was left out or is not representative."""
    yield f"{question}: gold labels of {report.matched:,} of {report.rows:,} documents, from {report.source}"
    yield from _problems(question, report)


def _problems(question: str, report: GoldReport) -> Iterator[str]:
    missing = report.given - report.matched
    if missing:
        yield f"{missing:,} documents with gold labels are not in the job, such as {report.unmatched[0]}"
    chosen = {queue: count for queue, count in report.queues.items() if queue != "random"}
    if chosen:
        named = ", ".join(f"{count:,} {queue}" for queue, count in chosen.items())
        yield f"reviewed, but not in random order: {named}; so these figures are not those of all documents"
    if report.conflicting:
        yield (
            f"{len(report.conflicting):,} documents have gold labels that contradict each other and are left out: "
            f"{', '.join(report.conflicting[:5])}"
        )
    if report.none_fits:
        yield f"{report.none_fits:,} documents fit none of the labels, so that any label given to them is wrong"
    if report.unknown_labels:
        named = ", ".join(f"{label} ({count:,})" for label, count in list(report.unknown_labels.items())[:5])
        yield (
            f"gold labels that are none of the task's, so that no answer can be right: {named}"
            f"{one_label_only(question, report.run_together)}"
        )
