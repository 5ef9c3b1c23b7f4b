"""``thresher evaluate``: how good a job's labels are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from thresher.cli.console import print_json, print_note
from thresher.errors import UsageError
from thresher.jobs import check_target

if TYPE_CHECKING:
    from thresher.pipeline.evaluating import Evaluation

#: The labels are less accurate than ``--min-accuracy`` asks for.
EXIT_BELOW_MINIMUM = 4


def command(
    job: Annotated[Path, typer.Argument(metavar="JOB", help="The job's folder, as classify printed it.")],
    gold: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Right labels: .csv, .jsonl or .parquet with document_id (or document) and label (default: those "
            "that classify kept, else those of reviews).",
        ),
    ] = None,
    reviewed: Annotated[
        bool, typer.Option("--reviewed", help="Take the labels of 'thresher review', though classify kept others.")
    ] = False,
    question: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this one of several questions; the labels of FILE are its.")
    ] = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="Exit with 4 if a question's accuracy, failures counted as wrong, is below X (0 to 1)."
        ),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Say from which probability on X of the labels are right, so that they can be accepted unseen.",
        ),
    ] = None,
    confidence: Annotated[float, typer.Option(metavar="X", help="How sure --target is to be.")] = 0.95,
    random_sample: Annotated[
        bool,
        typer.Option(
            "--random-sample",
            help="The labelled documents are a random sample that you drew, evaluated once with --target.",
        ),
    ] = False,
    decisions: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --target: write what to do with each document to a .csv file, with a column to fill in.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file of --decisions if it exists.")
    ] = False,
    calibrate: Annotated[
        Literal["auto", "temperature", "vector", "contextual", "none"] | None,
        typer.Option(
            help="Fit a calibration to the gold labels and store it if it is shown to help; 'none' takes it away."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Store the calibration even if it is not shown to help.")] = (
        False
    ),
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of resampling and of the folds held out.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Say how good a job's labels are.

    Compares the latest run with gold labels: accuracy, F1, confusions, how far the probabilities can be trusted. With
    --target it says what can be accepted unseen and how many labels it takes to prove it; that works before there is
    any gold label.

    Example: thresher evaluate thresher-jobs/kinds --gold gold.csv --target 0.95
    """
    from thresher.cli.findings import print_evaluation  # scikit-learn takes a second to import
    from thresher.pipeline.evaluating import EvaluateOptions, evaluate_job, write_decisions

    _check_flags(min_accuracy, target, decisions, overwrite=overwrite)
    options = EvaluateOptions(
        gold=gold, reviewed=reviewed, question=question, target=target, confidence=confidence,
        random_sample=random_sample, calibrate=calibrate, force=force, seed=seed,
    )  # fmt: skip
    evaluation = evaluate_job(job, options)
    if as_json:
        print_json(evaluation.to_json())
    else:
        print_evaluation(evaluation)
    if decisions is not None:
        rows = write_decisions(evaluation, decisions, overwrite=overwrite)
        print_note(
            f"{rows:,} decisions written to {decisions}; fill in its column 'label' and give it back with --gold"
        )
    if min_accuracy is not None:
        _check_minimum(evaluation, min_accuracy)


def _check_flags(min_accuracy: float | None, target: float | None, decisions: Path | None, *, overwrite: bool) -> None:
    if min_accuracy is not None and not 0.0 <= min_accuracy <= 1.0:
        raise UsageError(f"--min-accuracy is {min_accuracy}; it must be from 0 to 1, as in 0.9")
    if decisions is None:
        return
    if target is None:
        raise UsageError("--decisions follow from a target; give --target, as in --target 0.95")
    if decisions.suffix.lower() != ".csv":
        raise UsageError(f"--decisions is {decisions}; the file must end in .csv")
    check_target(decisions, overwrite=overwrite)


def _check_minimum(evaluation: Evaluation, minimum: float) -> None:
    accuracy = evaluation.least_accuracy()
    if accuracy is None:
        raise UsageError("--min-accuracy needs gold labels; give --gold FILE")
    if accuracy < minimum:
        print_note(f"the accuracy of {accuracy:.4f}, failures counted as wrong, is below --min-accuracy {minimum}")
        raise typer.Exit(EXIT_BELOW_MINIMUM)
