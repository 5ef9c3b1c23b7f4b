"""People at the page, in a real browser."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.review.server import Server
from tests.support.review_jobs import (
    KIND,
    MANY,
    TAGS,
    TONE,
    URGENT,
    Told,
    add_results,
    facts_of,
    make_job,
    plain_documents,
)
from thresher.jobs import Decision, JobStore, ListedDocument, ReviewedLabels
from thresher.pipeline.evaluating import evaluate
from thresher.tasks import Task


def enter(page: Page, server: Server) -> None:
    page.goto(server.url)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Review of")


def press(page: Page, key: str) -> None:
    """Press a key that leads to another page, and wait for it."""
    page.wait_for_load_state()  # keys work once the script is there
    with page.expect_navigation():
        page.keyboard.press(key)


def name_of(page: Page) -> str:
    return page.locator("h1").inner_text()


def decisions(job: Path) -> dict[tuple[str, str], Decision]:
    found = ReviewedLabels.of_job(job).decisions.values()
    return {(decision.document_id, decision.question): decision for decision in found}


def serious(page: Page) -> list[str]:
    """What axe finds that keeps people from using the page."""
    answer = Axe().run(page).response
    assert len(answer["passes"]) > 10  # it did look
    found = answer["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html']}" for v in found if v["impact"] in ("serious", "critical")]


def test_the_most_doubtful_come_first_and_keys_decide(tmp_path: Path, page: Page) -> None:
    job = make_job(tmp_path / "job", plain_documents(6))
    with Server(job) as server:
        enter(page, server)
        page.get_by_role("link", name="Check the doubtful documents first").click()
        assert name_of(page) == "letter-000.txt"
        expect(page.locator(".text")).to_have_text("Letter number 0 about legal/lease, written in spring.")
        press(page, "Enter")  # accepts
        assert name_of(page) == "letter-001.txt"
        press(page, "3")  # corrects to the third label
        press(page, "s")
        assert name_of(page) == "letter-003.txt"
        expect(page.locator(".how-far")).to_contain_text("2 of 6 checked")
        press(page, "u")  # takes the skip back and shows its document
        assert name_of(page) == "letter-002.txt"
        press(page, "u")  # and the correction
        assert name_of(page) == "letter-001.txt"
        press(page, "1")
        assert name_of(page) == "letter-002.txt"
        # the same with the mouse
        page.get_by_role("button", name="legal/work").click()
        page.wait_for_url("**/check**")
    found = decisions(job)
    assert {name: (d.action, d.label) for (name, _), d in found.items()} == {
        "letter-000.txt": ("accept", "legal/lease"),
        "letter-001.txt": ("correct", "legal/lease"),
        "letter-002.txt": ("correct", "legal/work"),
    }
    assert {(d.reviewer, d.queue) for d in found.values()} == {("ada", "doubtful")}


def test_filters_search_and_the_list(tmp_path: Path, page: Page) -> None:
    documents = plain_documents(60) | {
        "contract.txt": Told(text="Vertrag über die Wohnung. 租赁合同 für ein Haus."),
        "broken.pdf": Told(status="unreadable", error="the file is <b>damaged</b>"),
        "unsure.txt": Told(text="Nobody knows.", status="abstained"),
    }
    job = make_job(tmp_path / "job", documents)
    with Server(job) as server:
        enter(page, server)
        page.get_by_role("link", name="List").click()
        expect(page.locator(".facts").first).to_contain_text("63 documents")
        expect(page.locator("tbody tr")).to_have_count(50)
        page.get_by_role("link", name="Next 50").click()
        expect(page.locator("tbody tr")).to_have_count(13)

        def search(**fields: str) -> list[str]:
            page.goto(f"{server.origin}/list?state=all")
            for label, value in fields.items():
                page.locator(f"[name={label}]").fill(value)
            page.get_by_role("button", name="Show").click()
            return [name.inner_text() for name in page.locator("tbody th").all()]

        assert search(text="wohn") == ["contract.txt"]
        assert search(text="合同") == ["contract.txt"]
        assert search(text='"number 7"') == ["letter-007.txt"]
        assert search(text="unsure.txt") == ["unsure.txt"]  # by its name
        assert search(text="letter spring 41") == ["letter-041.txt"]
        assert search(text='" AND (') == []
        assert len(search(label="invoice", low="50", high="60")) == 4
        page.goto(f"{server.origin}/list?state=all&status=unreadable")
        page.get_by_role("link", name="broken.pdf").click()
        expect(page.locator(".document")).to_contain_text("the file is <b>damaged</b>")
        press(page, "2")
        expect(page.get_by_role("heading", level=1)).to_have_text("No document fits these filters")
    assert decisions(job)["broken.pdf", "kind"].queue == "picked"


def test_two_tabs_lose_nothing_and_overwrite_nothing(tmp_path: Path, browser: Browser, page: Page) -> None:
    job = make_job(tmp_path / "job", plain_documents(4))
    with Server(job) as server:
        enter(page, server)
        other = page.context.new_page()
        page.goto(f"{server.origin}/check")
        address = page.url
        other.goto(f"{server.origin}/check")
        assert name_of(other) != name_of(page)  # a document that one tab shows is not offered to another
        other.goto(address)
        assert name_of(other) == name_of(page) == "letter-000.txt"
        press(page, "2")
        press(other, "3")
        expect(other.get_by_role("alert")).to_contain_text("Meanwhile ada decided legal/work")
        expect(other.get_by_role("alert")).to_contain_text("Your choice invoice was not stored")
        assert decisions(job)["letter-000.txt", "kind"].label == "legal/work"
        press(other, "3")  # having seen it, replaces it
        assert decisions(job)["letter-000.txt", "kind"].label == "invoice"
        assert name_of(other) != "letter-000.txt"
        # an undo button of an old page takes nothing back that it does not name
        page.reload()
        press(other, "1")
        press(page, "u")
        expect(page.get_by_role("alert")).to_contain_text("Nothing was taken back")
        assert len(decisions(job)) == 2


def test_kill_9_of_the_server_loses_no_decision(tmp_path: Path, page: Page) -> None:
    job = make_job(tmp_path / "job", plain_documents(8))
    server = Server(job)
    enter(page, server)
    page.goto(f"{server.origin}/check")
    for key in ("1", "2", "Enter"):
        press(page, key)
    page.keyboard.press("3")  # not waited for
    server.kill()
    kept = decisions(job)
    assert len(kept) >= 3
    with Server(job) as again:
        enter(page, again)
        expect(page.locator(".how-far")).to_contain_text(f"{len(kept)} of 8 checked")
        page.get_by_role("link", name="Check the doubtful documents first").click()
        assert name_of(page) == f"letter-{len(kept):03d}.txt"
        press(page, "u")  # also after a crash
        assert name_of(page) == f"letter-{len(kept) - 1:03d}.txt"


def test_questions_of_every_kind(tmp_path: Path, page: Page) -> None:
    probabilities = {
        "kind": {"legal/work": 0.7}, "tags": {"signed": 0.9, "old": 0.6}, "tone": {"4": 0.8}, "urgent": {"yes": 0.9},
        "country": {"country 077": 0.5, "country 003": 0.3},
    }  # fmt: skip
    questions = (KIND, TAGS, TONE, URGENT, MANY)
    job = make_job(tmp_path / "job", {"a.txt": Told(probabilities=probabilities)}, questions)
    with Server(job) as server:
        enter(page, server)
        page.goto(f"{server.origin}/check?question=tags")
        assert [box.is_checked() for box in page.locator(".choices input").all()] == [True, False, True]
        page.keyboard.press("1")
        page.keyboard.press("2")
        press(page, "Enter")
        page.goto(f"{server.origin}/check?question=tone")
        expect(page.locator(".verdict")).to_contain_text("mean 3.")
        press(page, "5")
        page.goto(f"{server.origin}/check?question=urgent")
        press(page, "2")
        page.goto(f"{server.origin}/check?question=country")
        assert page.locator(".choice .label").first.inner_text() == "country 077"
        page.keyboard.press("l")
        page.keyboard.type("country 1")
        press(page, "Enter")
        expect(page.get_by_role("alert")).to_contain_text("part of 20 labels")
        page.keyboard.press("l")
        page.keyboard.type("119")
        press(page, "Enter")
        page.goto(f"{server.origin}/check?question=kind")
        press(page, "3")
        page.goto(f"{server.origin}/?question=tags")
        expect(page.get_by_role("row", name=re.compile("^secret 0 0 1$"))).to_be_visible()
        assert serious(page) == []
    labels = {question: decision.label for (_, question), decision in decisions(job).items()}
    assert labels == {
        "tags": ("secret", "old"), "tone": "5", "urgent": "no", "country": "country 119", "kind": "invoice",
    }  # fmt: skip


def test_documents_that_no_label_fits_are_decided_and_found_again(tmp_path: Path, page: Page) -> None:
    documents = plain_documents(4)
    job = make_job(tmp_path / "job", documents, (KIND, TAGS))
    with Server(job) as server:
        enter(page, server)
        page.goto(f"{server.origin}/check?question=kind")
        press(page, "n")
        assert name_of(page) == "letter-001.txt"
        expect(page.locator(".undo")).to_contain_text("none of the labels")
        press(page, "u")
        assert name_of(page) == "letter-000.txt"
        assert not decisions(job)
        press(page, "n")
        page.get_by_role("button", name="None of these fits").click()  # with the mouse
        page.wait_for_url("**/check**")
        press(page, "1")
        expect(page.locator(".how-far")).to_contain_text("3 of 4 checked")
        page.goto(f"{server.origin}/list?state=none")
        assert [name.inner_text() for name in page.locator("tbody th").all()] == ["letter-000.txt", "letter-001.txt"]
        expect(page.locator("tbody tr").first).to_contain_text("corrected to none of the labels by ada")
        page.get_by_role("link", name="letter-000.txt").click()
        expect(page.get_by_role("button", name="None of these fits")).to_contain_text("decided")
        assert serious(page) == []
        page.goto(f"{server.origin}/?question=kind")
        expect(page.locator(".matrix")).to_contain_text("(none of the labels)")
        page.goto(f"{server.origin}/check?question=tags")  # where nothing ticked says the same
        expect(page.get_by_role("button", name="None of these fits")).to_have_count(0)
        with page.expect_download() as download:
            page.goto(f"{server.origin}/")
            page.get_by_role("link", name="CSV").click()
        with download.value.path().open(encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if row["question"] == "kind"]
    assert [row["reviewed_label"] for row in rows] == ["[]", "[]", "legal/lease", ""]
    found = decisions(job)
    assert {(d.action, d.label) for (name, _), d in found.items() if name < "letter-002"} == {("correct", ())}
    (kind, _) = evaluate(job).questions
    assert kind.measurement is not None
    assert kind.gold is not None
    assert (kind.gold.matched, kind.gold.none_fits, kind.measurement.labels.all.right) == (3, 2, 0)


def test_jobs_without_texts_say_where_the_document_is(tmp_path: Path, page: Page) -> None:
    job = make_job(tmp_path / "job", plain_documents(2), store_texts=False)
    with Server(job) as server:
        enter(page, server)
        page.goto(f"{server.origin}/check")
        expect(page.locator(".document")).to_contain_text("--no-store-text")
        expect(page.locator(".source")).to_have_text("/in/letter-000.txt")
        press(page, "Enter")
    assert len(decisions(job)) == 1


def test_a_run_going_on_is_followed(tmp_path: Path, page: Page) -> None:
    job, documents = tmp_path / "job", plain_documents(4)
    with JobStore.open(job) as store:
        store.begin_run(facts_of(Task(name="kind", questions=[KIND])))
        with store.listing() as add:
            add(ListedDocument(document_id=name, source=name, size_bytes=1, mtime_ns=1) for name in documents)
        add_results(store, dict(list(documents.items())[2:3]))
        with Server(job) as server:
            enter(page, server)
            expect(page.locator("[data-live=done]")).to_have_text("1")
            add_results(store, dict(list(documents.items())[:2]))
            expect(page.locator("[data-live=done]")).to_have_text("3")  # without a reload
            page.goto(f"{server.origin}/check")
            assert name_of(page) == "letter-000.txt"
            old = page.locator("[name=run]").first.input_value()
            store.begin_run(facts_of(Task(name="kind", questions=[KIND]), model="another"))
            press(page, "1")
            expect(page.get_by_role("alert")).to_contain_text("new run")
            assert old
    assert not decisions(job)


def test_the_export_has_what_was_decided(tmp_path: Path, page: Page) -> None:
    job = make_job(tmp_path / "job", plain_documents(2))
    with Server(job) as server:
        enter(page, server)
        page.goto(f"{server.origin}/check")
        press(page, "3")
        page.get_by_role("link", name="Overview").click()
        expect(page.get_by_role("cell", name="1", exact=True).last).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="JSON lines").click()
        rows = [json.loads(line) for line in download.value.path().read_text(encoding="utf-8").splitlines()]
    assert [row["reviewed_label"] for row in rows] == ["invoice", None]
    assert download.value.suggested_filename == "job.jsonl"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_keeps_people_from_using_it(tmp_path: Path, browser: Browser, scheme: str) -> None:
    probabilities = {"country": {"country 077": 0.5}}
    documents = {f"{number}.txt": Told(probabilities=probabilities) for number in range(3)}
    documents["broken"] = Told(status="unreadable", error="damaged")
    job = make_job(tmp_path / "job", documents, (KIND, MANY))
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    with Server(job) as server:
        enter(page, server)
        for key in ("1", "2"):
            page.goto(f"{server.origin}/check")
            press(page, key)
        paths = ("/", "/check?question=country", "/list?state=all", "/check?state=corrected", "/nothing")
        for width in (1400, 400) if scheme == "light" else (1400,):
            page.set_viewport_size({"width": width, "height": 900})
            for path in paths:
                page.goto(server.origin + path)
                assert serious(page) == [], (path, width)
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert wide <= 0, f"{path} is wider than a window of {width} pixels"
    context.close()


def test_it_works_without_its_script(tmp_path: Path, browser: Browser) -> None:
    job = make_job(tmp_path / "job", plain_documents(2))
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    with Server(job) as server:
        enter(page, server)
        page.get_by_role("link", name="Check the doubtful documents first").click()
        page.get_by_role("button", name="invoice").click()
        page.wait_for_url("**/check**")
        page.get_by_role("button", name="Undo").click()
        page.wait_for_url("**/check**")
    context.close()
    assert not decisions(job)
