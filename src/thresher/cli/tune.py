"""``thresher tune``: the fastest settings of an engine on this machine."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from thresher.bench import WORKLOADS, BenchOptions, Tuned, open_workload, run_tune
from thresher.cli.console import print_json, print_line, print_note, print_table
from thresher.cli.live_bench import LiveBench
from thresher.planning import Profile, save_profile


def command(
    model: Annotated[str, typer.Option(metavar="REF", envvar="THRESHER_MODEL", help="As for classify.")],
    engine: Annotated[
        str, typer.Option(metavar="NAME", help="What to tune; see 'thresher engines'.", envvar="THRESHER_ENGINE")
    ] = "auto",
    precision: Annotated[str, typer.Option(metavar="P", help="As for classify.")] = "auto",
    workload: Annotated[
        str,
        typer.Option(metavar="NAME|INPUT", help=f"{', '.join(WORKLOADS)}, or documents of your own: a file or folder."),
    ] = "seed-320",
    budget: Annotated[float, typer.Option(metavar="SECONDS", min=10, help="About how long to look.")] = 300,
    threads: Annotated[int | None, typer.Option(metavar="N", help="As for classify.")] = None,
    device: Annotated[str | None, typer.Option(metavar="D", help="As for classify.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Find and save the fastest settings of an engine on this machine.

    Candidates read a few documents, the faster half reads more, and so on; the last one is measured against the
    engine's own choice in pairs, and is saved only where it is faster. Settings that change any label are left out.
    'thresher classify' then takes them for this machine, model, engine and precision, and says so.

    Example: thresher tune --model demo --budget 120
    """
    options = BenchOptions(precisions=(precision,), threads=threads, device=device)
    try:
        with LiveBench() as progress:
            subject, found = run_tune([model], engine, open_workload(workload), options, budget, progress)
    except KeyboardInterrupt:
        print_note("interrupted: nothing is saved")
        raise typer.Exit(130) from None
    profile = Profile(settings=found.settings, ratio=found.ratio, found_at=time.time(), model=model, workload=workload)
    # Nothing found says nothing against what a longer search found before.
    file = save_profile(subject, profile) if found.settings else None
    if as_json:
        print_json(_as_json(found, None if file is None else str(file)))
        return
    _print(found, profile)
    print_note("nothing is saved; an earlier profile stays" if file is None else f"saved to {file}")


def _print(found: Tuned, profile: Profile) -> None:
    rows = [
        (
            str(trial.round or "pair"), ", ".join(f"{name} {value:,}" for name, value in trial.settings.items()),
            str(trial.documents), "" if trial.tokens_per_second is None else f"{trial.tokens_per_second:,.0f}",
            f"{trial.reference_tokens_per_second:,.0f}", trial.verdict,
        )
        for trial in found.trials
    ]  # fmt: skip
    print_table(("round", "settings", "documents", "tok/s", "own choice", ""), rows, right=("documents", "tok/s"))
    print_line("")
    if found.settings:
        print_line(f"fastest: {profile.in_words()}, {found.ratio:.2f} times the engine's own choice (median of pairs)")
    else:
        print_line("nothing tried is surely faster than the engine's own choice, which stands")


def _as_json(found: Tuned, file: str | None) -> dict[str, object]:
    return {
        "settings": dict(found.settings),
        "ratio": found.ratio,
        "pairs": list(found.ratios),
        "trials": [
            {
                "round": trial.round,
                "settings": dict(trial.settings),
                "documents": trial.documents,
                "tokens_per_second": trial.tokens_per_second,
                "reference_tokens_per_second": trial.reference_tokens_per_second,
                "verdict": trial.verdict,
            }
            for trial in found.trials
        ],
        "profile": file,
    }
