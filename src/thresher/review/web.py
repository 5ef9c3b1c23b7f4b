"""The addresses of the review page and what happens to errors on the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from thresher.errors import ThresherError, UsageError
from thresher.review.desk import Desk
from thresher.review.pages import Form, Pages, RefusedError
from thresher.review.progress import RunState

_STATIC = Path(__file__).parent / "static"
_LARGEST_FORM_BYTES = 1 << 20
_MOST_FIELDS = 20_000
Answer = Callable[[Request, Form], Response]


def application(desk: Desk, state: Callable[[], RunState]) -> Starlette:
    """The pages of ``desk`` without any protection; :class:`~thresher.review.guard.Guard` goes around them."""
    pages = Pages(desk, state)
    return Starlette(
        routes=[
            Route("/", _endpoint(pages.overview)),
            Route("/check", _endpoint(pages.check)),
            Route("/list", _endpoint(pages.listing)),
            Route("/decide", _endpoint(pages.decide), methods=["POST"]),
            Route("/undo", _endpoint(pages.undo), methods=["POST"]),
            Route("/progress.json", _endpoint(pages.progress)),
            Route("/export.{format}", _endpoint(pages.export)),
            Mount("/static", StaticFiles(directory=_STATIC, follow_symlink=False)),
        ],
        exception_handlers=dict.fromkeys((HTTPException, RefusedError, ThresherError), _told(pages)),
    )


def _endpoint(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    """An address that is answered in a thread, with the form that came along."""

    async def endpoint(request: Request) -> Response:
        form = await _form(request) if request.method == "POST" else {}
        return await run_in_threadpool(answer, request, form)

    return endpoint


async def _form(request: Request) -> dict[str, list[str]]:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _LARGEST_FORM_BYTES:
            raise RefusedError("The form is too large.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise RefusedError("The form has too many fields.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE) from error


def _told(pages: Pages) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Errors as pages with a message for people."""

    async def tell(_: Request, error: Exception) -> Response:
        if isinstance(error, RefusedError):
            return pages.message(str(error), error.status)
        if isinstance(error, HTTPException):
            return pages.message("There is no such page.", HTTPStatus(error.status_code))
        usage = isinstance(error, UsageError)
        return pages.message(str(error), HTTPStatus.BAD_REQUEST if usage else HTTPStatus.INTERNAL_SERVER_ERROR)

    return tell
