"""Requests that are not from the person at the page are refused."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.review.server import Server
from tests.support.review_jobs import make_job, plain_documents
from thresher.jobs import ReviewedLabels
from thresher.jobs.reviews import REVIEWS_NAME

PATHS = (
    "/", "/check", "/list", "/decide", "/undo", "/progress.json", "/export.csv", "/static/review.js", "/nothing",
    "/static/../../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    job = make_job(tmp_path_factory.mktemp("guard") / "job", plain_documents(3))
    with Server(job) as running:
        yield running
        assert "Traceback" not in running.stop()


def form_of(server: Server) -> tuple[str, dict[str, str]]:
    """A form that the page would accept."""
    status, headers, _ = server.get("/check")
    assert status == 303
    path = headers["location"]
    _, _, html = server.get(path)
    values = {name: html.split(f'name="{name}" value="')[1].split('"')[0] for name in ("document", "seen", "run")}
    return path.replace("/check", "/decide"), {**values, "do": "accept"}


def test_the_address_is_the_first_line_and_leads_in(server: Server) -> None:
    assert server.url.startswith("http://127.0.0.1:")
    assert len(server.token) >= 32
    status, headers, _ = server.get(f"/?token={server.token}", {})
    assert status == 200
    cookie = headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/", f"thresher-review-{server.port}="))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT", "OPTIONS"])
def test_nothing_is_answered_without_the_token(server: Server, method: str, path: str) -> None:
    for headers in ({}, {"Cookie": f"thresher-review-{server.port}=wrong"}, {"Cookie": f"other={server.token}"}):
        status, answer, _ = server.request(method, path, {**headers, "Origin": server.origin})
        assert status == 403
        assert "set-cookie" not in answer
    assert server.request(method, f"{path}?token=wrong", {})[0] == 403
    assert server.request(method, f"{path}?token=", {})[0] == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", "[::1]", ""])
def test_other_host_names_are_refused(server: Server, host: str) -> None:
    assert server.get("/", {"Host": host, "Cookie": server.cookie})[0] == 403


def test_localhost_is_as_good(server: Server) -> None:
    assert server.get("/", {"Host": f"localhost:{server.port}", "Cookie": server.cookie})[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1", "https://127.0.0.1", "", None])
def test_posts_from_other_origins_are_refused(server: Server, origin: str | None) -> None:
    path, form = form_of(server)
    for target in (path, "/undo", "/nothing"):
        headers = {"Cookie": server.cookie, **({} if origin is None else {"Origin": origin})}
        assert server.post(target, form, headers)[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "/static/../index.py", "/static/..%2findex.py", "/static/%2e%2e/web.py", "/static//etc/passwd",
        "/static/..\\web.py", "/static/%00", "/static/", "/../../etc/passwd", "/export.../csv", "/export.%2e%2e",
        "/templates/base.html", f"/{REVIEWS_NAME}", "/job.sqlite", "/static/../templates/base.html",
        "/check?document=../../../etc/passwd", "/check?document=%00", "/export.label-studio",
    ],
)  # fmt: skip
def test_no_path_outside_the_page_is_served(server: Server, path: str) -> None:
    status, _, body = server.get(path)
    assert status in (404, 400, 405)
    assert "root:" not in body
    assert "SQLite format" not in body
    assert "import" not in body


def test_every_answer_forbids_what_the_page_does_not_need(server: Server) -> None:
    for path in ("/", "/list", "/static/review.js", "/nothing", "/check?state=wrong"):
        _, headers, _ = server.get(path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
    _, headers, _ = server.get("/", {})
    assert "default-src 'none'" in headers["content-security-policy"]


def test_only_the_loopback_interface_listens(server: Server) -> None:
    own = {entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in own - {"127.0.0.1"}:
        if str(address).startswith("127."):
            continue
        with socket.socket() as probe:
            probe.settimeout(2)
            assert probe.connect_ex((address, server.port)) != 0


@pytest.mark.parametrize(
    "query",
    [
        "state=wrong",
        "order=x",
        "question=none",
        "low=-1",
        "high=101",
        "low=1e3",
        "status=bad",
        "low=%F0%9F%98%80",
        "text=" + 301 * "a",
    ],
)
def test_queries_that_mean_nothing_are_answered_with_what_is_meant(server: Server, query: str) -> None:
    for page in ("/list", "/check", "/"):
        status, _, body = server.get(f"{page}?{query}")
        assert status == 400
        assert "use one of" in body or "percent" in body


@pytest.mark.parametrize(
    "change",
    [
        {"seen": "x"}, {"do": "remove"}, {"do": "save", "choose": "99"}, {"do": "save"}, {"do": "typed", "typed": "?"},
        {"seen": "9" * 30}, {"document": "none"}, {"run": "older"}, {"do": "typed"},
    ],
)  # fmt: skip
def test_forms_that_the_page_did_not_make_store_nothing(server: Server, change: dict[str, str]) -> None:
    path, form = form_of(server)
    status, _, _ = server.post(path, {**form, **change})
    assert status in (400, 404, 409)


def test_a_form_too_large_is_refused(server: Server) -> None:
    path, form = form_of(server)
    assert server.post(path, {**form, "typed": "x" * 2_000_000})[0] == 413


def test_nothing_was_stored_by_all_this(server: Server, tmp_path_factory: pytest.TempPathFactory) -> None:
    job = next(tmp_path_factory.getbasetemp().glob("guard*/job"))
    assert not ReviewedLabels.of_job(job).decisions


def test_a_form_of_endless_fields_is_refused(server: Server) -> None:
    path, _ = form_of(server)
    status, _, html = server.post(path, {f"f{number}": "" for number in range(30_000)})
    assert status == 413
    assert "too many fields" in html
