from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, wait
from pathlib import Path

import psutil
import pytest

from tests.support import hostile_worker
from tests.support.document_files import docx, paragraph, pdf
from thresher.documents import ReaderPool, ReadResult
from thresher.errors import ThresherError

HOSTILE = [sys.executable, str(hostile_worker.__file__)]
Order = Callable[[str], Path]


@pytest.fixture
def order(tmp_path: Path) -> Order:
    """Writes a file that tells the hostile worker what to do."""
    count = iter(range(10_000))

    def write(words: str) -> Path:
        path = tmp_path / f"{next(count):04}.txt"
        path.write_text(words)
        return path

    return write


@pytest.fixture(scope="module")
def pool() -> Iterator[ReaderPool]:
    with ReaderPool(2) as shared:
        yield shared


def reason(result: ReadResult) -> str:
    assert result.text is None
    assert result.failure is not None
    assert result.failure.status == "unreadable"
    return result.failure.reason


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_files_become_text(pool: ReaderPool, tmp_path: Path) -> None:
    contents = {"a.txt": "größe\r\n".encode(), "b.pdf": pdf(["page"]), "c.docx": docx(paragraph("word"))}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    results = {name: pool.submit(tmp_path / name).result() for name in contents}
    assert [result.text for result in results.values()] == ["größe\n", "page", "word"]
    assert results["b.pdf"].media_type == "application/pdf"
    for name, data in contents.items():
        assert results[name].content_sha256 == hashlib.sha256(data).hexdigest()
        assert results[name].failure is None
        assert 0 < results[name].seconds < 30


def test_what_cannot_be_read_has_its_reason(pool: ReaderPool, tmp_path: Path) -> None:
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("binary.txt")
    for name, expected in {
        "binary.txt": "binary data, not text",
        "gone.txt": "cannot be opened: No such file or directory",
        "pipe": "is a named pipe, not a file",
        "link": "cannot be opened: Too many levels of symbolic links",
        ".": "is a folder, not a file",
        "nul\0.txt": "cannot be opened",
    }.items():
        result = pool.submit(tmp_path / name).result()
        assert expected in reason(result)
        assert (result.content_sha256 is None) == (name != "binary.txt")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_forbidden_file(pool: ReaderPool, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "a.txt").chmod(0)
    assert "Permission denied" in reason(pool.submit(tmp_path / "a.txt").result())


def test_a_file_name_that_is_not_utf_8(pool: ReaderPool, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))
    path.write_text("words")
    assert pool.submit(path).result().text == "words"


def test_five_megabytes_in_one_line(pool: ReaderPool, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("word " * 1_000_000)
    assert pool.submit(tmp_path / "a.txt").result().text == "word " * 1_000_000


def test_many_files_each_get_their_own_text(pool: ReaderPool, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.txt" for number in range(2_000)]
    for path in paths:
        path.write_text(f"document {path.stem}")
    futures = [pool.submit(path) for path in paths]
    assert [future.result().text for future in futures] == [f"document {path.stem}" for path in paths]


def test_over_the_file_limit(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x" * 1001)
    (tmp_path / "b.txt").write_text("x" * 1000)
    with ReaderPool(1, file_limit_bytes=1000) as small:
        assert reason(small.submit(tmp_path / "a.txt").result()) == (
            "1,001 bytes are over the limit of 1,000 bytes for one file"
        )
        assert small.submit(tmp_path / "b.txt").result().text == "x" * 1000


def test_a_document_that_takes_too_long_costs_itself_only(order: Order) -> None:
    with ReaderPool(1, timeout_s=1.0, command=HOSTILE) as hostile:
        results = [hostile.submit(order(words)) for words in ("echo", "sleep 60", "echo", "spin", "echo")]
        texts = [future.result(timeout=30) for future in results]
    assert reason(texts[1]) == reason(texts[3]) == "took longer than 1 s to be read"
    pids = [texts[0].text, texts[2].text, texts[4].text]
    assert None not in pids
    assert len(set(pids)) == 3  # a new worker after each


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("segfault", "the reader process was killed by SIGSEGV while reading it"),
        ("null", "the reader process was killed by SIGSEGV while reading it"),
        ("exit 0", "the reader process ended with exit code 0 while reading it"),
        ("exit 9", "the reader process ended with exit code 9 while reading it"),
        ("allocate 3000000000", "needs more than 1,024 MiB of memory to be read"),
        ("recurse", "nested too deeply to be read"),
        ("raise x", "the parser failed: KeyError: 'x'"),
        ("babble", "the reader process sent"),
    ],
)
def test_an_accident_costs_one_document(order: Order, words: str, expected: str) -> None:
    paths = [order("echo") for _ in range(20)]
    paths.insert(10, order(words))
    with ReaderPool(2, command=HOSTILE) as hostile:
        results = [future.result(timeout=30) for future in [hostile.submit(path) for path in paths]]
    assert expected in reason(results[10])
    assert all(result.text for number, result in enumerate(results) if number != 10)


def test_documents_sent_ahead_survive_every_crash(order: Order) -> None:
    paths = [order("segfault" if number % 10 == 9 else "echo") for number in range(100)]
    with ReaderPool(1, command=HOSTILE) as hostile:
        results = [future.result(timeout=60) for future in [hostile.submit(path) for path in paths]]
    failed = [number for number, result in enumerate(results) if result.failure]
    assert failed == list(range(9, 100, 10))


def test_the_memory_limit_holds(order: Order) -> None:
    with ReaderPool(1, memory_limit_bytes=64 * 1024**2, command=HOSTILE) as hostile:
        assert "more than 64 MiB" in reason(hostile.submit(order("allocate 100000000")).result())
        assert hostile.submit(order("allocate 10000000")).result().text


def test_what_libraries_print_does_not_disturb(order: Order) -> None:
    with ReaderPool(1, command=HOSTILE) as hostile:
        assert hostile.submit(order("print words")).result().text


def test_large_answers_and_many_requests_do_not_block_each_other(order: Order) -> None:
    path = order("large 1000000")
    long_name = path.parent / ("x" * 200)
    path.rename(long_name)
    with ReaderPool(1, command=HOSTILE) as hostile:
        futures = [hostile.submit(long_name) for _ in range(300)]
        assert all(len(future.result(timeout=60).text or "") == 1_000_000 for future in futures)


def test_workers_are_replaced_after_some_documents(order: Order) -> None:
    paths = [order("echo") for _ in range(10)]
    with ReaderPool(1, command=[*HOSTILE, "few"]) as hostile:
        pids = [hostile.submit(path).result().text for path in paths]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 3, 1]


def test_a_worker_that_cannot_start_is_an_error_of_the_run(order: Order) -> None:
    with ReaderPool(1, command=[*HOSTILE, "refuse"]) as broken:
        with pytest.raises(ThresherError, match="document reader did not start.*this worker does not start"):
            broken.submit(order("echo")).result(timeout=30)
        with pytest.raises(ThresherError, match="did not start"):
            broken.submit(order("echo")).result(timeout=30)


def test_closing_ends_workers_at_once_and_cancels_the_rest(order: Order) -> None:
    before = set(children())
    hostile = ReaderPool(2, command=HOSTILE)
    futures = [hostile.submit(order("sleep 60")) for _ in range(10)]
    assert eventually(lambda: len(set(children()) - before) == 2)
    started = time.monotonic()
    hostile.close()
    hostile.close()
    assert time.monotonic() - started < 30  # the documents sleep for 60
    assert not set(children()) - before
    assert not wait(futures, timeout=60).not_done
    for future in futures:
        with pytest.raises(CancelledError):
            future.result()
    with pytest.raises(ValueError, match="closed"):
        hostile.submit(order("echo"))


def test_a_cancelled_document_does_not_disturb(order: Order) -> None:
    with ReaderPool(1, command=HOSTILE) as hostile:
        slow = hostile.submit(order("sleep 0.3"))
        queued = hostile.submit(order("echo"))
        assert slow.cancel()
        assert queued.result(timeout=30).text


def test_callbacks_may_submit(order: Order) -> None:
    path, done = order("echo"), threading.Event()
    with ReaderPool(1, command=HOSTILE) as hostile:
        hostile.submit(path).add_done_callback(lambda _: hostile.submit(path).add_done_callback(lambda _: done.set()))
        assert done.wait(timeout=30)


def test_no_workers() -> None:
    with pytest.raises(ValueError, match="workers=0"):
        ReaderPool(0)


PARENT = textwrap.dedent("""
    import signal, sys, time
    from pathlib import Path
    import psutil
    from thresher.documents import ReaderPool

    # what a shell starts in the background ignores Ctrl-C, and so would this, if the tests run there
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pool = ReaderPool(2, command=sys.argv[3:])
    for path in sorted(Path(sys.argv[1]).iterdir()):
        pool.submit(path)
    while len(psutil.Process().children()) < 2:
        time.sleep(0.01)
    time.sleep(float(sys.argv[2]))
    print("ready", flush=True)
    time.sleep(60)
""")


def start_parent(folder: Path, *, after_s: float) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), str(after_s), *HOSTILE],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    workers = psutil.Process(parent.pid).children(recursive=True)
    assert len(workers) == 2
    return parent, workers


@pytest.mark.parametrize("words", ["sleep 60", "spin", "echo"])
def test_kill_9_of_the_parent_leaves_no_worker(order: Order, words: str, tmp_path: Path) -> None:
    for _ in range(4):
        order(words)
    parent, workers = start_parent(tmp_path, after_s=0.5)
    with parent:
        parent.kill()
    assert eventually(lambda: all(map(gone, workers)))


@pytest.mark.parametrize("after_s", [0, 0.5], ids=["while they start", "at work"])
def test_ctrl_c_is_left_to_the_parent(order: Order, tmp_path: Path, after_s: float) -> None:
    for _ in range(4):
        order("sleep 60")
    parent, workers = start_parent(tmp_path, after_s=after_s)
    with parent:
        for worker in workers:
            worker.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert not any(map(gone, workers))
        parent.send_signal(signal.SIGINT)
        assert parent.wait(timeout=60) != 0
    assert eventually(lambda: all(map(gone, workers)))


def test_a_script_without_a_main_guard(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\nfrom thresher.documents import ReaderPool\n"
        f"with ReaderPool(2) as pool:\n    print(pool.submit(Path({str(tmp_path / 'a.txt')!r})).result().text)\n"
    )
    (tmp_path / "json.py").write_text("raise SystemExit('a module beside the documents was imported')")
    done = subprocess.run(
        [sys.executable, "-P", str(script)], capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path
    )
    assert done.stdout == "words\n"
