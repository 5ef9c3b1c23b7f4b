from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from thresher.documents import Item, discover
from thresher.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """inbox/ with files at several depths, hidden ones among them."""
    root = tmp_path / "inbox"
    for name in ["b.txt", "a.md", "sub/c.pdf", "sub/deep/d.txt", "sub.txt", ".hidden", ".git/config", "sub/.x/y.txt"]:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text of {name}")
    return root


def ids(inputs: Sequence[str | Path], exclude: Sequence[Path] = ()) -> list[str]:
    return [item.document_id for item in discover(inputs, exclude=exclude)]


def only(inputs: Sequence[str | Path]) -> Item:
    (item,) = discover(inputs)
    return item


def test_a_folder_in_sorted_order_without_hidden_files(folder: Path) -> None:
    assert ids([folder]) == ["a.md", "b.txt", "sub/c.pdf", "sub/deep/d.txt", "sub.txt"]
    assert ids([f"{folder}/"]) == ids([folder])


def test_items_know_path_source_size_and_time(folder: Path) -> None:
    item = next(discover([folder]))
    file = folder / "a.md"
    assert item.path == file
    assert item.source == str(file)
    assert (item.size_bytes, item.mtime_ns) == (file.stat().st_size, file.stat().st_mtime_ns)
    assert item.text is item.problem is None
    assert item.golds == {}


def test_source_is_absolute_for_relative_inputs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "sub")
    assert only(["../b.txt"]).source == str(folder / "b.txt")
    assert next(discover(["."])).source == str(folder / "sub/c.pdf")
    assert ids(["."]) == ["c.pdf", "deep/d.txt"]


def test_several_inputs_are_prefixed_with_their_names(folder: Path) -> None:
    assert ids([folder / "sub", folder / "b.txt"]) == ["sub/c.pdf", "sub/deep/d.txt", "b.txt"]


def test_inputs_of_one_name_are_told_apart_by_their_parents(tmp_path: Path) -> None:
    for year in ("2023", "2024"):
        (tmp_path / year / "mail").mkdir(parents=True)
        (tmp_path / year / "mail" / "a.txt").write_text(year)
    assert ids([tmp_path / "2023/mail", tmp_path / "2024/mail"]) == ["2023/mail/a.txt", "2024/mail/a.txt"]
    assert ids([tmp_path / "2023/mail/a.txt", tmp_path / "2024/mail/a.txt"]) == ["2023/mail/a.txt", "2024/mail/a.txt"]


def test_a_named_hidden_file_or_folder_is_read(folder: Path) -> None:
    assert ids([folder / ".hidden"]) == [".hidden"]
    assert ids([folder / ".git"]) == ["config"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.txt", ["b.txt", "sub.txt"]),
        ("*", ["a.md", "b.txt", "sub/c.pdf", "sub/deep/d.txt", "sub.txt"]),
        ("**/*.txt", ["b.txt", "sub/deep/d.txt", "sub.txt"]),
        ("**", ["a.md", "b.txt", "sub/c.pdf", "sub/deep/d.txt", "sub.txt"]),
        ("*/*.pdf", ["sub/c.pdf"]),
        ("[ab].*", ["a.md", "b.txt"]),
        ("s?b", ["sub/c.pdf", "sub/deep/d.txt"]),
        ("**/deep/**/*.txt", ["sub/deep/d.txt"]),
    ],
)
def test_globs(folder: Path, pattern: str, expected: list[str]) -> None:
    assert ids([f"{folder}/{pattern}"]) == expected


def test_a_relative_glob(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert ids(["*.txt"]) == ["b.txt", "sub.txt"]
    assert ids(["*.md", "sub/*.pdf"]) == ["inbox/a.md", "sub/c.pdf"]
    assert ids(["*.md", "*.txt", "."]) == [f"inbox/{name}" for name in ["a.md", *ids(["*.txt"]), *ids(["."])]]


def test_a_file_whose_name_looks_like_a_glob(tmp_path: Path) -> None:
    (tmp_path / "a[1].txt").write_text("x")
    assert ids([tmp_path / "a[1].txt"]) == ["a[1].txt"]


def test_a_table_found_in_a_folder_is_one_document(folder: Path) -> None:
    (folder / "t.csv").write_text("no,text\n1,2\n")
    (folder / "t.jsonl").write_text("not json")
    items = {item.document_id: item for item in discover([folder])}
    assert items["t.csv"].path == folder / "t.csv"
    assert items["t.jsonl"].problem is None


def test_excluded_files_and_folders_are_passed_over(folder: Path) -> None:
    assert ids([folder], exclude=[folder / "sub", folder / "b.txt", folder / "nothing"]) == ["a.md", "sub.txt"]
    with pytest.raises(InputError, match="both an input and an output"):
        ids([folder / "b.txt"], exclude=[folder / "b.txt"])


def test_missing_empty_and_repeated_inputs(folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / ".hidden").write_text("x")
    with pytest.raises(InputError, match="no INPUT given"):
        discover([])
    with pytest.raises(InputError, match=r"nowhere: no such file or folder"):
        discover([tmp_path / "nowhere"])
    with pytest.raises(InputError, match=r"no document found in .*empty"):
        discover([empty])
    with pytest.raises(InputError, match=r"no file matches .*\*\.xyz"):
        discover([folder, f"{folder}/*.xyz"])
    with pytest.raises(InputError, match="there is no folder"):
        discover([f"{tmp_path}/nowhere/*.txt"])
    with pytest.raises(InputError, match="is given twice"):
        discover([folder, f"{folder}/"])
    assert ids([empty, folder / "b.txt"]) == ["b.txt"]


def test_columns_without_a_table_are_an_error(folder: Path) -> None:
    with pytest.raises(InputError, match="text column 'body' given, but no INPUT is a table"):
        discover([folder], text_column="body")


def test_links_are_followed_only_inside_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    (folder / "l-file").symlink_to("b.txt")
    (folder / "l-loop").symlink_to(folder)
    (folder / "l-folder").symlink_to("sub")
    (folder / "l-nowhere").symlink_to("missing")
    (folder / "l-out").symlink_to(tmp_path / "secret.txt")
    (folder / "l-out-folder").symlink_to(tmp_path / "elsewhere")
    (folder / "l-self").symlink_to("l-self")
    links = {i.document_id: i for i in discover([folder]) if i.document_id.startswith("l-")}
    assert set(links) == {"l-file", "l-nowhere", "l-out", "l-out-folder", "l-self"}
    assert links["l-file"].problem is None
    assert links["l-file"].path == folder / "b.txt"
    assert links["l-file"].source == str(folder / "l-file")
    for name in ("l-out", "l-out-folder"):
        assert "symbolic link out of the folder" in (links[name].problem or "")
    for name in ("l-nowhere", "l-self"):
        assert "leads nowhere" in (links[name].problem or "")


def test_an_input_that_is_a_link_is_followed(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert ids([link]) == ids([folder])
    assert next(discover([link])).source == str(link / "a.md")
    (tmp_path / "one").symlink_to(folder / "a.md")
    assert only([tmp_path / "one"]).path == folder / "a.md"


def test_pipes_sockets_and_devices_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "sock"))
        items = list(discover([tmp_path]))
    assert [(i.document_id, i.problem) for i in items] == [
        ("pipe", "is a named pipe, not a file"),
        ("sock", "is a socket, not a file"),
    ]
    assert only([tmp_path / "pipe"]).problem == "is a named pipe, not a file"
    assert only(["/dev/null"]).problem == "is a device, not a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_forbidden_folder_gets_a_row(folder: Path) -> None:
    (folder / "sub").chmod(0)
    try:
        problems = {i.document_id: i.problem for i in discover([folder]) if i.problem}
    finally:
        (folder / "sub").chmod(0o700)
    assert problems == {"sub": "folder cannot be listed: Permission denied"}


def test_names_that_are_not_utf_8_can_be_stored(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    Path(os.fsdecode(path)).write_text("x")
    item = only([tmp_path])
    assert item.document_id == r"caf\xe9.txt"
    item.source.encode()
    assert item.path is not None
    assert item.path.read_text() == "x"


def test_a_file_that_vanishes_while_listing(folder: Path) -> None:
    items = discover([folder])
    (folder / "sub.txt").unlink()
    assert [item.document_id for item in items][-1] == "sub/deep/d.txt"


def test_a_large_folder_is_streamed(tmp_path: Path) -> None:
    """In a process of its own, because threads that other tests started allocate as well."""
    for number in range(3_000):
        (tmp_path / f"{number:020}.txt").touch()
    program = (
        "import sys, tracemalloc; from pathlib import Path; from thresher.documents import discover;"
        "folder = Path(sys.argv[1]); next(iter(discover([folder]))); tracemalloc.start();"
        "print(sum(1 for _ in discover([folder])), tracemalloc.get_traced_memory()[1])"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    count, peak_bytes = map(int, shown.split())
    assert count == 3_000
    assert peak_bytes / count < 200  # the name and two list slots; an Item alone takes several times that
