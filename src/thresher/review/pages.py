"""What each page answers: the desk's knowledge put into templates, forms turned into decisions."""

from __future__ import annotations

import hashlib
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jinja2
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response

from thresher.errors import UsageError
from thresher.jobs import JobView, RunFacts, export
from thresher.review.charts import corrections, distribution
from thresher.review.desk import Desk, Sheet, label_asked_for
from thresher.review.figures import label_text, percent
from thresher.review.filters import ORDERS, STATES, STATUSES, Filters
from thresher.review.progress import RunState
from thresher.review.text_parts import TextPart, part_of
from thresher.review.visible import plain, shown
from thresher.types import FAILURE_STATUSES

_TEMPLATES = Path(__file__).parent / "templates"
_ROWS_A_PAGE = 50
EXPORTS = ("csv", "jsonl", "parquet")
_MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl", "parquet": "application/octet-stream"}
Form = Mapping[str, list[str]]


class RefusedError(Exception):
    """Ends a request with a message for the person."""

    def __init__(self, text: str, status: HTTPStatus) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class _Shared:
    """What every page shows around its own content."""

    run: RunFacts
    filters: Filters

    @property
    def kind(self) -> str:
        return self.run.kinds.get(self.filters.question, "choice")


class Pages:
    """Answers requests. Every method runs in a thread and may wait for the disk."""

    def __init__(self, desk: Desk, state: Callable[[], RunState]) -> None:
        self._desk = desk
        self._state = state
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"shown": shown, "plain": plain, "percent": percent, "labels": label_text}
        self._templates.globals |= {"orders": tuple(ORDERS), "states": tuple(STATES), "statuses": STATUSES}
        for name in self._templates.list_templates():  # compiled before the first person waits for it
            self._templates.get_template(name)

    def overview(self, request: Request, _: Form) -> Response:
        """Where the review and the run stand."""
        if (
            "token" in request.query_params
        ):  # a page of our own asks for the next one, so that a strict cookie goes along
            return self._page("opening.html", None)
        common = self._shared(request)
        question, rows = common.filters.question, self._desk.rows
        labels = common.run.labels.get(question, ())
        return self._page(
            "overview.html",
            common,
            distribution=distribution(rows, question, labels, frozenset(FAILURE_STATUSES)),
            confidences=rows.summary().of(question).confidences,
            corrections=corrections(rows, question, multi=common.kind == "multi", labels=labels),
            sampled=rows.sampled(question),
            search=rows.search_state(),
            exports=EXPORTS,
        )

    def check(self, request: Request, _: Form) -> Response:
        """One document with its labels; without a document in the query, the next one."""
        common = self._shared(request)
        query = request.query_params
        filters = common.filters
        key = query.get("document", "")
        if not key:
            filters = filters if filters.tab else filters.but(tab=secrets.token_hex(4))
            row = self._desk.next(filters, query.get("after", ""))
            if row is None:
                return self._page("done.html", common)
            return _redirect("/check", filters, document=row.key)
        sheet = self._desk.sheet(filters.question, key, filters.tab)
        if sheet is None:
            raise RefusedError("There is no such document in the latest run of this job.", HTTPStatus.NOT_FOUND)
        return self._sheet(common, sheet, request)

    def listing(self, request: Request, _: Form) -> Response:
        """The rows that the filters let through, a page at a time."""
        common = self._shared(request)
        filters = common.filters
        after_key = request.query_params.get("after", "")
        after = self._desk.rows.one(filters.question, after_key) if after_key else None
        rows = self._desk.rows.page(filters, _ROWS_A_PAGE + 1, after=after)
        all_here = after is None and len(rows) <= _ROWS_A_PAGE
        return self._page(
            "list.html",
            common,
            rows=rows[:_ROWS_A_PAGE],
            more=len(rows) > _ROWS_A_PAGE,
            continued=after is not None,
            total=len(rows) if all_here else self._desk.rows.count(filters),
            search=self._desk.rows.search_state(),
        )

    def decide(self, request: Request, form: Form) -> Response:
        """Store what the form says, and go on with the next document."""
        common = self._shared(request)
        filters = common.filters
        key = form.get("document", [""])[0]
        sheet = self._desk.sheet(filters.question, key, filters.tab)
        if sheet is None or form.get("run", [""])[0] != run_mark(common.run):
            raise RefusedError(
                "The job has a new run since this page was loaded. Nothing was stored; go back to the overview.",
                HTTPStatus.CONFLICT,
            )
        try:
            label = label_asked_for(form, sheet)
            seen = int(form.get("seen", ["0"])[0])
        except UsageError as error:
            return self._sheet(common, sheet, request, problem=str(error), status=HTTPStatus.BAD_REQUEST)
        except ValueError as error:
            raise UsageError("the form is not one of this page; load the page again") from error
        queue = "picked" if request.query_params.get("picked") else filters.queue
        outcome = self._desk.decide(sheet, label, seen=seen, queue=queue, run_fingerprint=common.run.fingerprint)
        if outcome.stored:
            return _redirect("/check", filters, after=key)
        fresh = self._desk.sheet(filters.question, key, filters.tab) or sheet
        return self._sheet(common, fresh, request, status=HTTPStatus.CONFLICT, refused=label, conflict=True)

    def undo(self, request: Request, form: Form) -> Response:
        """Take the decision named by the form back, and show its document again."""
        common = self._shared(request)
        number = form.get("decision", [""])[0]
        last = self._desk.log.last_of(self._desk.reviewer)
        if last is None or number != str(last.decision_id):
            raise RefusedError(
                "There is a newer decision than the one on that page. Nothing was taken back; load the page again.",
                HTTPStatus.CONFLICT,
            )
        outcome = self._desk.log.undo(last.decision_id, self._desk.reviewer)
        if not outcome.stored:
            raise RefusedError(
                "Somebody has decided about that document since. Nothing was taken back.", HTTPStatus.CONFLICT
            )
        filters = (
            common.filters.but(question=last.question) if last.question in common.run.questions else common.filters
        )
        return _redirect("/check", filters, document=self._desk.key_of(last))

    def progress(self, _: Request, __: Form) -> Response:
        """Where the run and the search stand, for the page's script."""
        state = self._state()
        searchable, to_come = self._desk.rows.search_state()
        return JSONResponse(
            {
                "documents": state.documents,
                "done": state.done,
                "rate": state.documents_per_second,
                "error": state.error,
                "searchable": searchable,
                "to_come": to_come,
            }
        )

    def export(self, request: Request, _: Form) -> Response:
        """All rows as a file, with what people decided."""
        name = request.path_params["format"]
        if name not in EXPORTS:
            raise HTTPException(404)
        folder = tempfile.TemporaryDirectory(prefix="thresher-export-")
        try:
            file = Path(folder.name) / f"rows.{name}"
            with JobView.open(self._desk.folder) as view:
                export(view, file)
        except BaseException:
            folder.cleanup()
            raise
        return FileResponse(
            file,
            media_type=_MEDIA_TYPES[name],
            filename=f"{_file_name(self._desk.folder.resolve().name)}.{name}",
            background=BackgroundTask(folder.cleanup),
        )

    def _sheet(self, common: _Shared, sheet: Sheet, request: Request, **more: Any) -> Response:
        status = more.pop("status", HTTPStatus.OK)
        words = re.findall(r"\w+", common.filters.text)
        page = self._page(
            "check.html",
            common,
            sheet=sheet,
            part=_part(sheet, request.query_params.get("part", "1")),
            words=words,
            picked=request.query_params.get("picked", ""),
            run_mark=run_mark(common.run),
            **{"problem": "", "conflict": False, "refused": None, **more},
        )
        page.status_code = status
        return page

    def _shared(self, request: Request) -> _Shared:
        run = self._desk.run()
        if run is None:
            raise RefusedError("Nothing was begun in this job yet: run thresher classify with it first.", HTTPStatus.OK)
        return _Shared(run, Filters.of_query(request.query_params, run.questions))

    def _page(self, template: str, common: _Shared | None, **values: Any) -> Response:
        around: dict[str, Any] = {"common": common, "state": self._state(), "reviewer": self._desk.reviewer}
        if common is not None:
            around |= {
                "run": common.run,
                "filters": common.filters,
                "kind": common.kind,
                "counts": self._desk.rows.counts(common.filters.question),
                "last": self._desk.log.last_of(self._desk.reviewer),
            }
        html = self._templates.get_template(template).render(**around, **values)
        return HTMLResponse(html.encode("utf-8", "replace"))

    def message(self, text: str, status: HTTPStatus) -> Response:
        """A page that only tells something."""
        page = self._page("message.html", None, text=text)
        page.status_code = status
        return page


def run_mark(run: RunFacts) -> str:
    """Names a run in a form, so that a decision made on an older page is not taken for one about the new run."""
    return hashlib.sha256(run.fingerprint.encode()).hexdigest()[:16]


def _redirect(path: str, filters: Filters, **more: str) -> Response:
    return RedirectResponse(f"{path}?{filters.to_query(**more)}", status_code=HTTPStatus.SEE_OTHER)


def _part(sheet: Sheet, number: str) -> TextPart | None:
    """The part of the text to show; None where there is no text."""
    if sheet.text is None:
        return None
    return part_of(sheet.text, int(number) if number.isascii() and number.isdigit() and len(number) < 8 else 1)


def _file_name(folder: str) -> str:
    """A job's name as a file name that no browser stumbles over."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", folder).strip("-.") or "rows"
