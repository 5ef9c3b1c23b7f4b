"""``thresher bench``: how fast engines read here."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from thresher.bench import WORKLOADS, BenchOptions, Results, compare, made_folder, open_workload, run_bench
from thresher.bench.lines import columns, comparison_cells, lines
from thresher.bench.options import SWEEPS, checked_sweep
from thresher.bench.page import bench_page
from thresher.cli.console import print_json, print_line, print_note, print_table
from thresher.cli.live_bench import LiveBench
from thresher.cli.sizes import parse_size
from thresher.errors import UsageError


def command(
    model: Annotated[
        list[str],
        typer.Option(metavar="REF", envvar="THRESHER_MODEL", help="As for classify; repeat it for several servers."),
    ],
    engine: Annotated[
        list[str], typer.Option(metavar="NAME", help="What to measure; repeat it to compare engines in one run.")
    ] = ["auto"],  # noqa: B006 - typer copies it
    precision: Annotated[
        list[str], typer.Option(metavar="P", help="What to compute in; repeat it to compare precisions.")
    ] = ["auto"],  # noqa: B006 - typer copies it
    workload: Annotated[
        str,
        typer.Option(metavar="NAME|INPUT", help=f"{', '.join(WORKLOADS)}, or documents of your own: a file or folder."),
    ] = "seed-320",
    sweep: Annotated[str | None, typer.Option(metavar="WHAT", help=f"Vary one thing: {', '.join(SWEEPS)}.")] = None,
    values: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="What to try in the sweep instead of the usual values.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", help="Documents to read (default: as many as take about a minute a pass)."),
    ] = None,
    repetitions: Annotated[int, typer.Option(metavar="N", help="Passes over the documents; the median counts.")] = 3,
    context: Annotated[int | None, typer.Option(metavar="N", help="As for classify.")] = None,
    threads: Annotated[int | None, typer.Option(metavar="N", help="As for classify.")] = None,
    device: Annotated[str | None, typer.Option(metavar="D", help="As for classify.")] = None,
    weights_memory: Annotated[str | None, typer.Option(metavar="SIZE", help="As for classify.")] = None,
    tokenizer: Annotated[str | None, typer.Option(metavar="REF", help="As for classify.")] = None,
    compare_with: Annotated[
        Path | None, typer.Option("--compare", metavar="FILE", help="The bench.json of an earlier run.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="For bench.json and bench.html (default: thresher-bench/<date and time>)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Measure how fast engines read on this machine.

    Each engine and precision reads the same documents in a process of its own, after a warm-up, several times. Tokens
    taken from the shared beginning of the prompts do not count. Out of memory is a row, not an end. Running the same
    command again with the same --out keeps what was measured.

    Example: thresher bench --model demo --engine llamacpp --engine native --workload short
    """
    options = BenchOptions(
        engines=tuple(engine), precisions=tuple(precision), sweep=None if sweep is None else checked_sweep(sweep),
        values=_integers(values), limit=limit, repetitions=repetitions, context_tokens=context, threads=threads,
        device=device, tokenizer=tokenizer,
        weights_memory_bytes=None if weights_memory is None else parse_size(weights_memory, "--weights-memory"),
    )  # fmt: skip
    earlier = None if compare_with is None else Results.load(compare_with)
    if earlier is not None and earlier.header["workload"] != workload:
        before = earlier.header["workload"]
        raise UsageError(
            f"--compare {compare_with} was measured with workload {before}, and this is {workload}; rates over other "
            f"documents do not compare: give --workload {before}"
        )
    folder = out or Path("thresher-bench") / f"{datetime.now():%Y%m%d-%H%M%S}"
    with made_folder(folder):
        results = Results.begin(folder, workload)
        try:
            with LiveBench() as progress:
                run_bench(model, open_workload(workload), options, results, progress)
        except KeyboardInterrupt:
            print_note(
                f"interrupted: {len(results.measured)} cases are measured and kept; go on with the same command and "
                f"--out {folder}"
            )
            raise typer.Exit(130) from None
        (folder / "bench.html").write_text(
            bench_page(results, earlier, str(compare_with or "")), encoding="utf-8", errors="replace"
        )
    _print(results, earlier, as_json=as_json)
    if earlier is not None and earlier.header["machine"] != results.header["machine"]:
        print_note(f"{compare_with} is of another machine: {', '.join(earlier.header['machine'].values())}")
    print_note(f"written to {folder}: bench.json, bench.html")
    if all(row.failure is not None for row in results.measured.values()):
        raise typer.Exit(1)


def _print(results: Results, earlier: Results | None, *, as_json: bool) -> None:
    compared = [] if earlier is None else compare(results, earlier)
    if as_json:
        fields = results.to_json()
        if earlier is not None:
            fields_of_row = ("case", "tokens_per_second", "tokens_per_second_before", "ratio")
            figures = [
                (comparison_cells(row)[0], row.now.tokens_per_second, row.before.tokens_per_second, row.ratio)
                for row in compared
            ]
            fields["comparison"] = [dict(zip(fields_of_row, row, strict=True)) for row in figures]
        print_json(fields)
        return
    names = columns(results)
    print_table(names, [[cell.text for cell in line.cells] for line in lines(results)], right=names[2:])
    for line in lines(results):
        if line.problem:
            print_line(f"{line.cells[0].text} {line.cells[1].text}: {line.problem}")
    if compared:
        print_line("")
        print_table(("case", "tok/s now", "then", "ratio"), [comparison_cells(row) for row in compared])


def _integers(values: str | None) -> tuple[int, ...]:
    if values is None:
        return ()
    try:
        return tuple(int(value) for value in values.split(","))
    except ValueError as error:
        raise UsageError(f"--values {values}: give whole numbers with commas between, such as 1,2,4") from error
