"""The command line: one file per command, each parses, delegates and prints."""

from __future__ import annotations

import shlex
import sys

import typer

from thresher.cli import bench, classify, engines, evaluate, export, plan, report, review, status, tune
from thresher.cli.console import print_error
from thresher.errors import ThresherError, UsageError

EXIT_OK, EXIT_COULD_NOT_RUN, EXIT_USAGE, EXIT_SOME_FAILED, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

app = typer.Typer(
    name="thresher",
    help="Label large piles of documents with a language model on your own hardware.\n\n"
    "Exit codes: 0 every document has its label; 3 finished, and some documents failed; 2 wrong usage; "
    "1 could not run; 4 evaluate: below --min-accuracy; 130 interrupted (what was done is kept).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
app.command("classify")(classify.command)
app.command("status")(status.command)
app.command("export")(export.command)
app.command("evaluate")(evaluate.command)
app.command("plan")(plan.command)
app.command("bench")(bench.command)
app.command("tune")(tune.command)
app.command("report")(report.command)
app.command("review")(review.command)
app.command("engines")(engines.command)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.", is_eager=True)) -> None:
    if version:
        import thresher

        typer.echo(f"thresher {thresher.__version__}")
        raise typer.Exit


def _as_typed(arguments: list[str] | None) -> str:
    return shlex.join(["thresher", *(sys.argv[1:] if arguments is None else arguments)])


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    try:
        result = app(arguments, prog_name="thresher", standalone_mode=True, obj=_as_typed(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else EXIT_COULD_NOT_RUN
    except UsageError as error:
        print_error(str(error))
        return EXIT_USAGE
    except ThresherError as error:
        print_error(str(error))
        return EXIT_COULD_NOT_RUN
    except KeyboardInterrupt:
        print_error("interrupted; what was stored is kept: run the same command again to go on")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_COULD_NOT_RUN
    return result if isinstance(result, int) else EXIT_OK
