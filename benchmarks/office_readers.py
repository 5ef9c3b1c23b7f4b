"""How many real files of each format are read, and how fast: median and 99th percentile, beside a peer in the same run.

The inputs are folders of files, the converted documents of the tests, and large documents made here. Each file is read
a few times by one warm reader process with its usual limits; the shortest time counts, for the peer as well.

    python -m benchmarks.office_readers [--peer-python PYTHON] [FOLDER ...]

PYTHON is one that has the peers (benchmarks/office_peer.py says which); without it their figures are null.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.machine import save
from tests.support.office_files import epub, open_document, pptx, shape, slide_part, xlsx
from thresher.documents import ReaderPool, ReadResult, discover

PROJECT = Path(__file__).parents[1]
_REPETITIONS = 3
_WORDS = "the tenant pays the rent on the first working day of each month without deduction "


def write_large(folder: Path) -> list[Path]:
    """A sheet of 20,000 cells, 100 slides, a text and a book of 1,000 paragraphs."""
    cells = "".join(
        f"<row>{''.join(f'<c><v>{row * column / 7}</v></c>' for column in range(20))}</row>" for row in range(1_000)
    )
    paragraphs = [f"{number} {_WORDS * 3}" for number in range(1_000)]
    rtf = "\\par ".join(paragraphs).encode()
    contents = {
        "sheet.xlsx": xlsx({"S": cells}),
        "slides.pptx": pptx([slide_part(shape(_WORDS * 3) * 5)] * 100),
        "text.odt": open_document("text", "".join(f"<text:p>{text}</text:p>" for text in paragraphs)),
        "text.rtf": b"{\\rtf1\\ansi " + rtf + b"}",
        "book.epub": epub({f"{n}.xhtml": "".join(f"<p>{p}</p>" for p in paragraphs[n::20]) for n in range(20)}),
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in contents]


def read_all(files: list[Path]) -> list[ReadResult]:
    """Each file by the same reader process: of a few runs the shortest."""
    with ReaderPool(1) as pool:
        runs = [[pool.submit(file).result() for file in files] for _ in range(_REPETITIONS)]
    return [min(results, key=lambda result: result.seconds) for results in zip(*runs, strict=True)]


def peer_times(python: str | None, files: Iterable[Path]) -> dict[str, Any]:
    """Versions of the peers, and path -> seconds."""
    if python is None:
        return {"versions": None, "seconds": {}}
    script = Path(__file__).with_name("office_peer.py")
    lines = "".join(json.dumps(str(file)) + "\n" for file in files)
    done = subprocess.run([python, script], input=lines, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def summary(files: list[Path], results: list[ReadResult], peer_s: dict[str, float | None]) -> dict[str, Any]:
    """Figures by the files' extension."""
    groups: dict[str, list[tuple[Path, ReadResult]]] = defaultdict(list)
    for file, result in zip(files, results, strict=True):
        groups[file.suffix.lower() or "none"].append((file, result))
    return {extension: _figures(group, peer_s) for extension, group in sorted(groups.items())}


def _figures(group: list[tuple[Path, ReadResult]], peer_s: dict[str, float | None]) -> dict[str, Any]:
    seconds = [result.seconds for _, result in group]
    read = [result for _, result in group if result.text is not None]
    both = [(result.seconds, peer) for file, result in group if result.text and (peer := peer_s.get(str(file)))]
    reasons = Counter(result.failure.reason for _, result in group if result.failure)
    return {
        "files": len(group),
        "read": len(read),
        "median_ms": round(statistics.median(seconds) * 1e3, 3),
        "p99_ms": round(_percentile_99(seconds) * 1e3, 3),
        "read_by_peer": sum(peer_s.get(str(file)) is not None for file, _ in group) if peer_s else None,
        "times_as_fast_as_peer": round(sum(p for _, p in both) / sum(o for o, _ in both), 1) if both else None,
        "reasons": dict(reasons.most_common(20)),
    }


def _percentile_99(values: list[float]) -> float:
    """The smallest value that 99% of the values do not exceed."""
    return sorted(values)[-(-99 * len(values) // 100) - 1]


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--peer-python", metavar="PYTHON")
    arguments = parser.parse_args()
    folders = arguments.folders or [PROJECT.parent / "shared" / "data" / "office"]
    absent = [str(folder) for folder in folders if not folder.is_dir()]
    if absent:
        sys.exit(f"no such folder: {', '.join(absent)}")
    converted = PROJECT / "tests" / "documents" / "office_files"
    with tempfile.TemporaryDirectory() as made:
        sets = {
            "real files": [item.path for item in discover(folders) if item.path],
            "one source in many formats": sorted(file for file in converted.iterdir() if file.suffix != ".sh"),
            "large files": write_large(Path(made)),
        }
        peer = peer_times(arguments.peer_python, [file for files in sets.values() for file in files])
        figures = {name: summary(files, read_all(files), peer["seconds"]) for name, files in sets.items()}
    save("office_readers", {"repetitions": _REPETITIONS, "peers": peer["versions"], "sets": figures})


if __name__ == "__main__":
    main()
