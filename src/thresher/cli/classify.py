"""``thresher classify``: give every document its label."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thresher.cli.console import LiveProgress, print_line, print_note
from thresher.cli.environment import model_references, variables_named
from thresher.cli.outcome import print_dry_run, print_run
from thresher.cli.sizes import parse_size
from thresher.engines import engine_names
from thresher.errors import UsageError
from thresher.jobs import JobView, check_target, export
from thresher.pipeline import ClassifyOptions, LongPolicy, Run, RunSummary, dry_run, launch_command, run_classify
from thresher.tasks import Task, load_task


def _complete_engine(incomplete: str) -> list[str]:
    return [name for name in engine_names() if name.startswith(incomplete)]


def command(
    invocation: typer.Context,
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Files, folders, globs; .jsonl, .csv and .parquet named here are tables. Batch JSONL brings its own "
            "labels.",
        ),
    ],
    model: Annotated[
        list[str],
        typer.Option(
            metavar="REF",
            envvar="THRESHER_MODEL",
            help="'demo' (shipped with Thresher), a .gguf file, a checkpoint folder, owner/repo[:QUANT] on the hub, or "
            "the http(s):// address of a server; several addresses share the work.",
        ),
    ],
    task: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A task file (YAML) with labels, descriptions, instructions.")
    ] = None,
    labels: Annotated[str | None, typer.Option(metavar="A,B,C", help="The labels, instead of a task file.")] = None,
    engine: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What reads the documents; see 'thresher engines'.",
            envvar="THRESHER_ENGINE",
            autocompletion=_complete_engine,
        ),
    ] = "auto",
    precision: Annotated[
        str, typer.Option(metavar="P", help="What the engine computes in: fp32, bf16, fp8, int8, nvfp4.")
    ] = "auto",
    job: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the job is kept (default: thresher-jobs/<task>-<hash>). Running again resumes it.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the rows to a .csv, .jsonl or .parquet file.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file of --out if it exists.")] = False,
    text_column: Annotated[str | None, typer.Option(metavar="C", help="Table column with the text.")] = None,
    id_column: Annotated[str | None, typer.Option(metavar="C", help="Table column with the documents' ids.")] = None,
    gold_column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="C", help="Table column with right labels, kept beside the predictions; of several questions Q=C."
        ),
    ] = None,
    content_free: Annotated[
        bool,
        typer.Option(
            "--content-free", help="Also read three texts without content, for 'evaluate --calibrate contextual'."
        ),
    ] = False,
    attachments: Annotated[
        bool, typer.Option("--attachments", help="Attachments of mails are documents of their own, too.")
    ] = False,
    ocr: Annotated[
        bool, typer.Option("--ocr", help="Read scanned PDFs and pictures, too (slow; needs thresher[ocr]).")
    ] = False,
    context: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Largest prompt in tokens (default: the model's own, cut to what memory allows).",
            envvar="THRESHER_CONTEXT",
        ),
    ] = None,
    long: Annotated[
        LongPolicy,
        typer.Option(
            help="Longer documents: keep start and end, keep the start, score in windows, or set aside.",
            envvar="THRESHER_LONG",
        ),
    ] = "head-tail",
    limit: Annotated[int | None, typer.Option(metavar="N", help="Only the first N documents.")] = None,
    dry: Annotated[
        bool,
        typer.Option("--dry-run", help="Only read and tokenize: counts, what will not fit, the time to expect."),
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try failures of earlier runs again.")] = False,
    no_store_text: Annotated[
        bool,
        typer.Option(
            "--no-store-text", help="Do not keep the documents' text in the job.", envvar="THRESHER_NO_STORE_TEXT"
        ),
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", help="CPU threads of the engine (default: the cores).", envvar="THRESHER_THREADS"),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="D",
            help="Where the engine computes: cpu or gpu; native: also cuda:0,cuda:1.",
            envvar="THRESHER_DEVICE",
        ),
    ] = None,
    weights_memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory for weights, such as 12GiB; what does not fit is streamed."),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(metavar="REF", help="Of a served model: files with its tokenizer.", envvar="THRESHER_TOKENIZER"),
    ] = None,
    deadline: Annotated[
        float | None,
        typer.Option(metavar="S", help="Seconds a server may take for a document.", envvar="THRESHER_DEADLINE"),
    ] = None,
    print_command: Annotated[
        bool,
        typer.Option(
            "--print-command",
            help="Only print the command line of the server that --engine llama-server, vllm or sglang starts.",
        ),
    ] = False,
    no_profile: Annotated[
        bool, typer.Option("--no-profile", help="Leave out the settings that 'thresher tune' saved.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Say at the end how long each stage was busy; with --json as 'stages'."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Give every document its label.

    Each document gets its label and the exact probabilities of all labels, or its failure with the reason, on the disk
    as the run goes. Running the same command again resumes it. Ctrl-C finishes the batch in flight first.

    Example: thresher classify inbox/ --labels invoice,contract,other --model demo --out labels.csv
    """
    if out is not None:
        check_target(out, overwrite=overwrite)
    with variables_named(invocation):
        options = ClassifyOptions(
            engine=engine, precision=precision, job=job,
            text_column=text_column, id_column=id_column, gold_columns=tuple(gold_column or ()),
            content_free=content_free, attachments=attachments, ocr=ocr, context_tokens=context, long_policy=long,
            limit=limit, retry_failed=retry_failed, store_text=not no_store_text, threads=threads, device=device,
            weights_memory_bytes=None if weights_memory is None else parse_size(weights_memory, "--weights-memory"),
            use_profile=not no_profile,
            tokenizer=tokenizer, deadline_s=deadline,
        )  # fmt: skip
        models = model_references(invocation, model)
        if print_command:
            print_line(launch_command(models, options))
            return
        chosen = _task(task, labels)
        exclude = [] if out is None else [out]
        with LiveProgress() as progress:
            if dry:
                report = dry_run(inputs, chosen, models, options, exclude=exclude, progress=progress)
            else:
                run = run_classify(
                    inputs, chosen, models, options, exclude=exclude, progress=progress, command=invocation.obj or ""
                )
    if dry:
        print_dry_run(report, as_json=as_json, verbose=verbose)
        return
    _finish(run, out, overwrite=overwrite, as_json=as_json, verbose=verbose)


def _task(file: Path | None, labels: str | None) -> Task | None:
    """The task asked for; None where the inputs must bring it."""
    if file is not None and labels is not None:
        raise UsageError("give either --task FILE or --labels a,b,c")
    if file is not None:
        return load_task(file)
    return None if labels is None else Task([name.strip() for name in labels.split(",") if name.strip()])


def _finish(run: Run, out: Path | None, *, overwrite: bool, as_json: bool, verbose: bool) -> None:
    print_run(run, as_json=as_json, verbose=verbose)
    summary = run.summary
    if summary.interrupted:
        _say_how_to_go_on(summary, out)
        raise typer.Exit(130)
    if out is not None:
        with JobView.open(run.job) as view:
            rows = export(view, out, overwrite=overwrite)
        print_note(f"{rows:,} rows written to {out}")
    if summary.failed:
        where = f"'thresher export {summary.job} --to FILE.csv' lists" if out is None else f"{out} has"
        print_note(f"{summary.failed:,} of {sum(summary.statuses.values()):,} rows failed; {where} the reasons")
        raise typer.Exit(3)


def _say_how_to_go_on(summary: RunSummary, out: Path | None) -> None:
    """The file of ``--out`` is not begun, because the same command could not write it again."""
    unwritten = "" if out is None else f"; {out} is written when all are done"
    print_note(
        f"interrupted: {summary.documents - summary.left:,} of {summary.documents:,} documents are done and kept in "
        f"{summary.job}; run the same command again to go on{unwritten}"
    )
