"""A report's facts as one HTML page that needs nothing beside it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from thresher.charts import bars, histogram
from thresher.durations import duration
from thresher.jobs import PassRecord
from thresher.reports.facts import PROBABILITY_BINS, QuestionAnswers, ReportFacts
from thresher.reports.quality import quality_parts
from thresher.reports.wording import moment, share

if TYPE_CHECKING:
    from thresher.pipeline.evaluating import Evaluation

#: How a kind of question is put to people.
_KINDS = {
    "choice": "One label for every document",
    "multi": "Any number of labels for every document",
    "yes_no": "Yes or no",
    "score": "A whole number for every document",
}

#: What is said of how a pass ended.
_ENDED = {"finished": "", "interrupted": ", interrupted", "failed": ", ended by an error", None: ", no end on record"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tile:
    name: str
    value: str
    note: str = ""
    bad: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _QuestionPart:
    answers: QuestionAnswers
    most: int
    histogram: Markup | None
    sure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _SpeedPart:
    title: str
    words: str
    chart: Markup | None
    machine: tuple[tuple[str, str], ...]


def page(facts: ReportFacts, evaluation: Evaluation | None = None) -> str:
    """The page, HTML that runs no script and asks for no other file.

    Raises:
        ExtraMissingError: the library that draws charts is not installed.
    """
    environment = Environment(loader=PackageLoader("thresher.reports"), autoescape=True, trim_blocks=False)
    environment.filters.update(share=share, moment=moment)
    style = resources.files("thresher.reports").joinpath("templates/report.css").read_text("utf-8")
    return environment.get_template("report.html").render(
        facts=facts,
        version=version("thresher"),
        style=Markup(style),  # noqa: S704 - our own file
        kinds=_KINDS,
        tiles=_tiles(facts),
        questions=[_question(answers) for answers in facts.answers],
        qualities=[] if evaluation is None else quality_parts(evaluation),
        speeds=[_speed(number, record) for number, record in enumerate(facts.passes, 1)],
        with_samples=any(samples for answers in facts.answers for samples in answers.samples.values()),
        command=next((record.facts.command for record in facts.passes if record.facts.command), ""),
        settings=_settings(facts),
    )


def _tiles(facts: ReportFacts) -> list[_Tile]:
    counts = facts.counts
    rows = counts.labelled + counts.failed
    tiles = [
        _Tile(name="documents", value=f"{counts.documents:,}", note=_duplicates(counts.duplicates)),
        _Tile(name="answered", value=share(counts.labelled, rows), note=f"{counts.labelled:,} of {rows:,} rows"),
        _Tile(name="failed", value=f"{counts.failed:,}", bad=counts.failed > 0),
        _Tile(name="tokens in documents", value=f"{facts.document_tokens:,}"),
    ]
    timed = [record for record in facts.passes if record.seconds]  # a killed pass has no end on record
    seconds = sum(record.seconds or 0.0 for record in timed)
    computed = sum(pace.computed_tokens for record in timed for pace in record.pace)
    if seconds:
        tiles.append(
            _Tile(name="tokens read a second", value=f"{computed / seconds:,.0f}", note=f"in {duration(seconds)}")
        )
    return tiles


def _duplicates(count: int) -> str:
    return f"{count:,} of them copies of others" if count else ""


def _question(answers: QuestionAnswers) -> _QuestionPart:
    counted = sum(answers.probability_bins)
    sure = sum(answers.probability_bins[round(0.9 * PROBABILITY_BINS) :])
    drawn = None
    words = f"{share(sure, counted)} of the answers have 0.9 or more."
    if counted:
        drawn = histogram(
            answers.probability_bins, 0.0, 1.0, x_label="probability of the label given", y_label="documents",
            description=f"Histogram of the probabilities of the labels given. {words}",
        )  # fmt: skip
    return _QuestionPart(
        answers=answers,
        most=max([*answers.label_counts.values(), answers.none_applies]),
        histogram=None if drawn is None else Markup(drawn),  # noqa: S704 - drawn from figures
        sure=words,
    )


def _speed(number: int, record: PassRecord) -> _SpeedPart:
    facts = record.facts
    computed = sum(pace.computed_tokens for pace in record.pace)
    cached = sum(pace.cached_tokens for pace in record.pace)
    documents = sum(pace.documents for pace in record.pace)
    words = (
        f"{documents:,} documents stored, {computed:,} prompt tokens read and {cached:,} taken from the shared "
        f"beginning of the prompts; loading the model took {duration(facts.load_seconds)}."
    )
    if record.seconds:
        words += f" {duration(record.seconds)}: {computed / record.seconds:,.0f} tokens/s, "
        words += f"{documents / record.seconds:,.2f} documents/s."
    machine = [("engine runs on", f"{facts.device} ({facts.engine_version})"), *facts.machine.items()]
    return _SpeedPart(
        title=f"Pass {number}, {moment(facts.started_at)}{_ENDED[record.outcome]}",
        words=words,
        chart=_speed_chart(record),
        machine=tuple(machine),
    )


def _speed_chart(record: PassRecord) -> Markup | None:
    if not any(pace.computed_tokens for pace in record.pace):
        return None
    width = record.stretch_seconds
    rates = [pace.computed_tokens / width for pace in record.pace]
    return Markup(  # noqa: S704 - drawn from figures
        bars(
            [pace.second for pace in record.pace], rates, width, x_label="seconds since the pass began",
            y_label="tokens/s", description=f"Tokens read a second over the pass; the most were {max(rates):,.0f}.",
        )
    )  # fmt: skip


def _settings(facts: ReportFacts) -> list[tuple[str, Any]]:
    run = facts.run
    settings = [
        ("inputs", ", ".join(run.inputs)),
        ("model", run.model),
        ("model's fingerprint", run.model_fingerprint),
        ("task's fingerprint", run.task_fingerprint),
        ("engine", run.engine),
        ("precision", run.precision),
        ("context", f"{run.context_tokens:,} tokens" if run.context_tokens else "not told by the server"),
        ("documents that are too long", run.long_policy),
        ("parsers", run.parser_version),
        ("job", facts.job),
    ]
    versions = {record.facts.thresher_version for record in facts.passes}
    return [*settings, ("Thresher", ", ".join(sorted(versions)))] if versions else settings
