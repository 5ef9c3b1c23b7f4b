"""``thresher status``: where a job stands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thresher.cli.console import print_json, print_line, print_table
from thresher.jobs import JobCounts, JobView, RunFacts


def command(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The job's folder, as classify printed it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Say where a job stands.

    What of its latest run is done, failed and left; also while it runs.
    """
    with JobView.open(job) as view:
        run, counts = view.run, view.counts()
    if as_json:
        print_json(_as_json(job, run, counts))
        return
    rows = [("documents", f"{counts.documents:,}"), ("labelled", f"{counts.labelled:,}")]
    rows += [("failed", f"{counts.failed:,}"), ("left", f"{counts.left:,}"), ("duplicates", f"{counts.duplicates:,}")]
    rows += [(f"  {status}", f"{count:,}") for status, count in counts.statuses.items()]
    print_table(("job", str(job)), rows)
    if run is None:
        print_line("nothing was begun in this job yet")
        return
    context = f"context {run.context_tokens:,}" if run.context_tokens else "a context that its server does not say"
    print_line(f"task {run.task}; {run.model} on {run.engine}, precision {run.precision}, {context}")


def _as_json(job: Path, run: RunFacts | None, counts: JobCounts) -> dict[str, object]:
    return {
        "job": str(job),
        "task": run.task if run else None,
        "model": run.model if run else None,
        "engine": run.engine if run else None,
        "precision": run.precision if run else None,
        "context": (run.context_tokens or None) if run else None,
        "documents": counts.documents,
        "labelled": counts.labelled,
        "failed": counts.failed,
        "left": counts.left,
        "duplicates": counts.duplicates,
        "statuses": dict(counts.statuses),
        "label_counts": {question: dict(labels) for question, labels in counts.label_counts.items()},
    }
