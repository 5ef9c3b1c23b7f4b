"""Documents that want to be more than text."""

from __future__ import annotations

import html
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.review.server import Server
from tests.support.review_jobs import Told, make_job
from thresher.jobs import ReviewedLabels
from thresher.tasks import Question

HOSTILE = {
    "script": "<script>document.title = 'ran'; window.ran = 1</script>",
    "handler": "<img src=x onerror=\"window.ran = 1\"><svg onload='window.ran = 1'>",
    "frame": "<iframe srcdoc='<script>parent.ran = 1</script>'></iframe><base href='http://evil.example/'>",
    "closing": "</pre></section></main></body><script>window.ran = 1</script>",
    "attribute": "\"><script>window.ran = 1</script> ' onmouseover=window.ran=1 x='",
    "template": "{{ 7 * 7 }} {% raw %} ${7*7} #{7*7}",
    "entities": "&lt;script&gt;window.ran = 1&lt;/script&gt; &#x3C;b&#x3E; &amp;amp; &nbsp",
    "refresh": "<meta http-equiv='refresh' content='0;url=http://evil.example/'><link rel=stylesheet href=//evil.x>",
    "javascript": "<a href='javascript:window.ran=1' autofocus onfocus='window.ran=1'>x</a><style>*{top:0}</style>",
    "override": "invoice \u202egnp.exe\u202c and \u2066isolated\u2069 \ufeff",
    "nul": "before\x00after \x1b[31mred\x07 \x7f \x85",
    "lines": "\n\n  begins with empty lines",
    "comment": "<!-- --!> <![CDATA[ ]]> <plaintext> <xmp>",
}


def test_they_are_shown_as_text_and_no_script_runs(tmp_path: Path, page: Page) -> None:
    documents = {f"{name} {text}": Told(text=text, error=text) for name, text in HOSTILE.items()}
    job = make_job(tmp_path / "job", documents, [_question()])
    requested: list[str] = []
    with Server(job) as server:
        page.on("request", lambda request: requested.append(request.url))
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(server.url)
        page.wait_for_url(f"{server.origin}/")
        page.goto(f"{server.origin}/list?state=all")
        links = [link.get_attribute("href") for link in page.locator("tbody th a").all()]
        assert len(links) == len(HOSTILE)
        seen = []
        for link in links:
            page.goto(f"{server.origin}{link}")
            seen.append(page.locator(".text").inner_text())
            assert page.evaluate("window.ran === undefined")
            assert page.locator("iframe, base, main img, main script, .text *:not(.unseen)").count() == 0
            page.locator(".text").hover()
        for path in ("/", "/list?state=all&text=" + "%3Cscript%3Ewindow.ran%3D1%3C/script%3E", "/%3Cscript%3E"):
            page.goto(f"{server.origin}{path}")
            assert page.evaluate("window.ran === undefined")
        for key in ("1", "2"):
            page.goto(f"{server.origin}/check")
            with page.expect_navigation():
                page.keyboard.press(key)
            assert page.evaluate("window.ran === undefined")
    assert all(url.startswith(server.origin) for url in requested)
    for name, text in HOSTILE.items():
        if name not in ("override", "nul"):
            assert text in seen
    assert "beforeNULafter ESC[31mredBEL DEL U+0085" in seen
    assert "invoice RLOgnp.exePDF and LRIisolatedPDI BOM" in seen
    assert {d.document_id for d in ReviewedLabels.of_job(job).decisions.values()} <= set(documents)


def test_a_line_of_ten_megabytes_is_shown_in_parts_with_nothing_left_out(tmp_path: Path, page: Page) -> None:
    line = "".join(f"{number:07d} " for number in range(1_250_000))
    job = make_job(tmp_path / "job", {"long.txt": Told(text=line)})
    with Server(job) as server:
        page.goto(server.url)
        page.wait_for_url(f"{server.origin}/")
        page.goto(f"{server.origin}/check")
        expect(page.locator(".parts")).to_contain_text("Part 1 of 200: characters 1 to 50,000 of 10,000,000")
        assert page.locator(".text").text_content() == line[:50_000]
        address = page.url
        page.get_by_role("link", name="Last part").click()
        assert page.locator(".text").text_content() == line[-50_000:]
        shown = []
        for part in (1, 2, 100, 199, 200, 9_999):
            _, _, body = server.get(f"{address.removeprefix(server.origin)}&part={part}")
            found = re.search(r'<pre class="text"[^>]*>\n(.*?)</pre>', body, re.DOTALL)
            assert found is not None
            shown.append(html.unescape(found[1]))
        assert shown == [line[(n - 1) * 50_000 : n * 50_000] for n in (1, 2, 100, 199, 200, 200)]
        with page.expect_navigation():
            page.keyboard.press("Enter")
    assert len(ReviewedLabels.of_job(job).decisions) == 1


def _question() -> Question:
    """Labels and instructions are data of the task's author, and shown as text all the same."""
    script = "<script>window.ran = 1</script>"
    return Question(name=script, labels={f"{script} a": script, "b\u202e": None}, instructions=script)
