"""What ``classify`` prints at its end: rows and figures of a run, or what a dry run found."""

from __future__ import annotations

from thresher.cli.console import print_json, print_line, print_table
from thresher.cli.stages import print_stages
from thresher.durations import duration
from thresher.pipeline import DryRun, Run, RunSummary
from thresher.types import Prediction

#: A run of up to this many rows is printed row by row, a larger one by labels only.
_ROWS_PRINTED = 100


def print_run(run: Run, *, as_json: bool, verbose: bool) -> None:
    """The outcome of a run, on stdout; the times of its stages on stderr, or within the JSON."""
    if as_json:
        print_json(run.summary.to_json(with_stages=verbose))
        return
    _print_rows(run)
    _print_summary(run.summary)
    if verbose:
        print_stages(run.summary.stages)


def _print_rows(run: Run) -> None:
    if len(run) > _ROWS_PRINTED:
        return
    several = len(run.summary.label_counts) > 1
    columns = ("document", *(("question",) if several else ()), "label", "probability", "status")
    rows = [_row(prediction, with_question=several) for prediction in run]
    if rows:
        print_table(columns, rows, right=("probability",))
        print_line("")


def _row(prediction: Prediction, *, with_question: bool) -> tuple[str, ...]:
    probability = "" if prediction.probability is None else f"{prediction.probability:.3f}"
    status = prediction.status if prediction.error is None else f"{prediction.status}: {prediction.error}"
    question = (prediction.question,) if with_question else ()
    return prediction.document_id, *question, _label(prediction), probability, status


def _label(prediction: Prediction) -> str:
    if isinstance(prediction.label, tuple):
        return ", ".join(prediction.label) or "(none)"
    return prediction.label or "-"


def _print_summary(summary: RunSummary) -> None:
    several = len(summary.label_counts) > 1
    counted = [
        (f"{question}: {label}" if several else label, f"{n:,}")
        for question, counts in summary.label_counts.items()
        for label, n in counts.items()
    ]
    other = [(f"({status})", f"{n:,}") for status, n in summary.statuses.items() if status != "ok"]
    print_table(("label", "documents"), counted + other, right=("documents",))
    print_line("")
    print_line(
        f"{summary.documents:,} documents ({summary.resumed:,} done before, {summary.duplicates:,} duplicates) in "
        f"{duration(summary.seconds)}: {summary.documents_per_second:,.1f} documents/s, "
        f"{summary.tokens_per_second:,.0f} tok/s read, {summary.cached_tokens:,} of {summary.prompt_tokens:,} prompt "
        "tokens taken from the shared prefix"
    )
    context = "context not known" if summary.context is None else f"context {summary.context:,} tokens"
    print_line(f"{summary.model} on {summary.engine}, precision {summary.precision}, {context}; job {summary.job}")


def _too_long(report: DryRun) -> tuple[str, str]:
    if report.context is None:
        return "longer than fits", "unknown: the server does not tell its context"
    return f"longer than fits {report.context:,} tokens (--long {report.long_policy})", f"{report.too_long:,}"


def print_dry_run(report: DryRun, *, as_json: bool, verbose: bool) -> None:
    """What a dry run found, on stdout."""
    if as_json:
        print_json(report.to_json(with_stages=verbose))
        return
    expected = "unknown" if report.expected_seconds is None else duration(report.expected_seconds)
    rows = [
        ("documents", f"{report.documents:,}"),
        ("unreadable", f"{report.unreadable:,}"),
        ("duplicates", f"{report.duplicates:,}"),
        ("document tokens", f"{report.document_tokens:,}"),
        ("prompt tokens to read", f"{report.prompt_tokens:,}"),
        _too_long(report),
        ("time to expect", expected),
    ]
    print_table(("dry run", ""), rows)
    for document, reason in report.unreadable_reasons.items():
        print_line(f"unreadable: {document}: {reason}")
    for document, tokens in sorted(report.longest.items(), key=lambda item: -item[1]):
        print_line(f"too long: {document}: {tokens:,} tokens")
    if report.tokens_per_second is not None:
        print_line(
            f"projected from {report.sampled_tokens:,} tokens read now at {report.tokens_per_second:,.0f} tok/s by "
            f"{report.model} on {report.engine}"
        )
    if verbose:
        print_stages(report.stages)
