"""What ``evaluate`` prints: figures of each question, calibrations tried, what can be accepted unseen."""

from __future__ import annotations

from collections.abc import Iterator

from thresher.cli.console import print_line, print_note, print_table
from thresher.evaluation import Acceptance, CalibrationOutcome, GoldReport, Measurement
from thresher.evaluation.confidence import ConfidenceCheck
from thresher.evaluation.quality import Quality
from thresher.pipeline.evaluating import Evaluation, QuestionEvaluation

#: Labels and confusions printed; all are in ``--json``.
_MOST_CLASSES = 30
_MOST_MISTAKES = 8


def print_evaluation(evaluation: Evaluation) -> None:
    """Everything, on stdout; what to be careful about on stderr."""
    if evaluation.left:
        print_note(f"{evaluation.left:,} documents are not labelled yet and not counted")
    for part in evaluation.questions:
        for note in _gold_notes(part):
            print_note(note)
        if len(evaluation.questions) > 1:
            print_line(f"== {part.question} ({part.kind}) ==")
        if part.measurement is not None:
            _print_measurement(part.measurement, part.kind)
        if part.calibrating is not None:
            _print_calibrating(part.calibrating)
        if part.acceptance is not None:
            _print_acceptance(part.acceptance)
    print_line(f"{evaluation.model} on {evaluation.engine}, precision {evaluation.precision}; job {evaluation.job}")


def _gold_notes(part: QuestionEvaluation) -> Iterator[str]:
    report = part.gold
    if report is None:
        return
    yield f"{part.question}: gold labels of {report.matched:,} of {report.rows:,} documents, from {report.source}"
    yield from _gold_problems(report)


def _gold_problems(report: GoldReport) -> Iterator[str]:
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
    if report.unknown_labels:
        named = ", ".join(f"{label} ({count:,})" for label, count in list(report.unknown_labels.items())[:5])
        yield f"gold labels that are none of the task's, so that no answer can be right: {named}"


def _print_measurement(found: Measurement, kind: str) -> None:
    print_line(
        f"{found.documents:,} documents with gold labels: {found.answered:,} have a label, {found.abstained:,} "
        f"abstained, {found.failed:,} failed"
    )
    print_line("")
    rows = [_quality_row("all, failed and abstained as wrong", found.labels.all, kind)]
    if found.labels.answered is not None and found.answered < found.documents:
        rows.append(_quality_row("those with a label", found.labels.answered, kind))
    if found.parents is not None:
        rows.append(_quality_row("all, topmost parents only", found.parents.all, kind))
    columns = ["documents compared", "documents", "subset accuracy" if kind == "multi" else "accuracy"]
    columns += [*(["micro F1"] if kind == "multi" else []), "macro F1", "weighted F1"]
    print_table(columns, rows, right=columns[1:])
    print_line("intervals: 95%, 1,000 resamples of the documents")
    _print_score(found)
    _print_classes(found)
    _print_mistakes(found)
    _print_confidence(found)
    _print_slices(found)


def _quality_row(name: str, quality: Quality, kind: str) -> list[str]:
    micro = [_with_interval(quality.micro_f1, quality.micro_f1_interval)] if kind == "multi" else []
    return [
        name,
        f"{quality.documents:,}",
        _with_interval(quality.accuracy, quality.accuracy_interval),
        *micro,
        _with_interval(quality.macro_f1, quality.macro_f1_interval),
        _with_interval(quality.weighted_f1, quality.weighted_f1_interval),
    ]


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def _print_score(found: Measurement) -> None:
    if found.score is None:
        return
    expected = found.score.expected_mean_absolute_error
    mean = "" if expected is None else f"; of the expected score {expected:.3f}"
    print_line(
        f"mean absolute error over {found.score.documents:,} documents: {found.score.mean_absolute_error:.3f}{mean}"
    )


def _print_classes(found: Measurement) -> None:
    shown = sorted(found.classes, key=lambda quality: -quality.support)[:_MOST_CLASSES]
    rows = [
        (q.label, f"{q.support:,}", f"{q.predicted:,}", f"{q.precision:.3f}", f"{q.recall:.3f}", f"{q.f1:.3f}")
        for q in shown
    ]
    columns = ("label", "gold", "given", "precision", "recall", "F1")
    print_line("")
    print_table(columns, rows, right=columns[1:])
    if len(found.classes) > len(shown):
        print_line(f"and {len(found.classes) - len(shown):,} more (--json has all)")


def _print_mistakes(found: Measurement) -> None:
    if not found.mistakes:
        return
    rows = [(m.gold, m.said, f"{m.documents:,}") for m in found.mistakes[:_MOST_MISTAKES]]
    print_line("")
    print_table(("gold label", "was labelled", "documents"), rows, right=("documents",))


def _print_confidence(found: Measurement) -> None:
    checks = [("probability", found.probability), ("calibrated_probability", found.calibrated_probability)]
    rows = [_confidence_row(name, check) for name, check in checks if check is not None]
    if not rows:
        return
    columns = ("taken at its word", "promises", "right are", "ECE (10 bins)", "Brier score", "log loss")
    print_line("")
    print_table(columns, rows, right=columns[1:])
    sure = [next((p for p in found.coverage if p.coverage >= share), None) for share in (0.1, 0.25, 0.5, 0.75)]
    points = [point for point in (*sure, *found.coverage[-1:]) if point is not None]
    print_line("")
    shares = [(f"{p.coverage:.1%}", f"{p.threshold:.6f}", f"{p.accuracy:.3f}") for p in dict.fromkeys(points)]
    print_table(("the surest", "probability from", "accuracy"), shares, right=("probability from", "accuracy"))


def _confidence_row(name: str, check: ConfidenceCheck) -> list[str]:
    log_loss = "" if check.log_loss is None else f"{check.log_loss:.4f}"
    figures = (check.mean_probability, check.accuracy, check.expected_calibration_error, check.brier)
    return [name, *(f"{figure:.4f}" for figure in figures), log_loss]


def _print_slices(found: Measurement) -> None:
    rows = [
        (part.name, f"{part.documents:,}", _with_interval(part.accuracy, part.accuracy_exact))
        for part in (*found.by_length, *found.by_status)
    ]
    print_line("")
    print_table(("length or status", "documents", "accuracy"), rows, right=("documents", "accuracy"))
    print_line("")


def _print_calibrating(outcome: CalibrationOutcome) -> None:
    rows = [
        (
            trial.method,
            f"{trial.brier_before:.4f}",
            f"{trial.brier_after:.4f}",
            "{:+.4f} ({:+.4f} to {:+.4f})".format(trial.brier_change, *trial.brier_change_interval),
            f"{trial.expected_calibration_error_before:.4f}",
            f"{trial.expected_calibration_error_after:.4f}",
            "yes" if trial.improvement_shown else "no",
        )
        for trial in outcome.trials
    ]
    columns = ("calibration", "Brier before", "after", "change", "ECE before", "after", "improvement shown")
    print_table(columns, rows, right=columns[1:])
    print_line(f"on documents held out, {outcome.folds} folds, {outcome.documents:,} documents in all")
    if outcome.chosen is None:
        print_line("no improvement shown; nothing is applied (--force would)")
    else:
        forced = " although no improvement is shown (--force)" if outcome.forced else ""
        print_line(f"{outcome.chosen} is applied{forced}: exports have calibrated_probability; labels stay as they are")
    print_line("")


def _print_acceptance(found: Acceptance) -> None:
    print_line(
        f"target: {found.target:.1%} of the documents from some probability on are right, with {found.confidence:.1%} "
        "confidence"
    )
    rows = [
        (
            f"{level.coverage:.0%}", f"{level.documents:,}", f"{level.threshold:.6f}", f"{level.mean_probability:.3f}",
            f"{level.labelled:,}", f"{level.wrong:,}", "yes" if level.proven else "no",
            "-" if level.needed is None else f"{level.needed:,}",
        )
        for level in found.levels
    ]  # fmt: skip
    columns = ("the surest", "documents", "probability from", "model expects right", "labelled", "wrong", "proven",
               "labels to prove it, about")  # fmt: skip
    print_table(columns, rows, right=columns[1:])
    print_line("")
    for line in _acceptance_lines(found):
        print_line(line)
    print_line("")


def _acceptance_lines(found: Acceptance) -> Iterator[str]:
    if found.threshold is None:
        yield f"nothing is proven; need a look: {found.to_check:,} documents"
    else:
        yield (
            f"proven for the {found.guaranteed:,} documents from probability {found.threshold:.6f} on; of them "
            f"{found.accepted:,} are accepted unseen. Need a look: {found.to_check:,}"
        )
    uncounted = found.labelled - found.counted
    if found.labelled and found.sample == "declared random":
        yield f"{found.counted:,} labelled documents count as a random sample, as --random-sample says"
    elif found.labelled:
        rest = f"; {uncounted:,} were chosen otherwise and prove nothing here" if uncounted else ""
        begin = f"{found.counted:,} of {found.labelled:,} labelled documents begin the job's random order"
        yield begin + rest
    if found.next_labels:
        assumed = {
            "labels": "if the rest is like what was labelled",
            "probabilities": "if the model's probabilities hold",
            "none wrong": "if none of them is wrong",
        }[found.projected_from or "none wrong"]
        yield (
            f"next: label about {found.next_labels:,} documents in the order that --decisions gives; {assumed}, that "
            f"proves all from probability {found.next_threshold:.6f} on. Look as often as you like"
        )
    sizes = ", ".join(f"{size:,} ({wrong} wrong)" for wrong, size in list(found.fixed_samples.items())[:3])
    yield f"for comparison, a random sample whose size is settled before and that is looked at once: {sizes}"
