"""How many documents of a job got the label of a gold file: the share, what was confused, and how sure the model was.

python examples/accuracy.py JOB GOLD.csv [--at-least 0.9]
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from pathlib import Path

from thresher.jobs import JobView
from thresher.types import Prediction


def main() -> int:
    """Print the accuracy; the exit code is 1 when it is below ``--at-least``."""
    parser = argparse.ArgumentParser(description="Compare a job's labels with a gold file (document,label).")
    parser.add_argument("job", type=Path)
    parser.add_argument("gold", type=Path)
    parser.add_argument("--at-least", type=float, default=0.0, metavar="SHARE")
    arguments = parser.parse_args()
    with arguments.gold.open(encoding="utf-8", newline="") as stream:
        gold = {row["document"]: row["label"] for row in csv.DictReader(stream)}
    with JobView.open(arguments.job) as view:
        rows = {row.document_id: row for row in view.rows()}
    return _report(gold, rows, arguments.at_least)


def _report(gold: dict[str, str], rows: dict[str, Prediction], at_least: float) -> int:
    missing = sorted(gold.keys() - rows.keys())
    if missing:
        print(f"{len(missing)} documents of the gold file have no row, the first is {missing[0]}")
        return 1
    right = [document for document, label in gold.items() if rows[document].label == label]
    confused = Counter((gold[d], rows[d].label or rows[d].status) for d in gold.keys() - set(right))
    for (truth, said), count in confused.most_common():
        print(f"{count} x {truth} was labelled {said}")
    accuracy = len(right) / len(gold)
    print(f"accuracy against the gold labels: {len(right)} of {len(gold)} = {accuracy:.1%}")
    if accuracy < at_least:
        print(f"that is below {at_least:.0%}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
