"""``thresher plan``: will it fit, and how fast can it be."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from thresher.cli.console import LiveProgress, print_json
from thresher.cli.planned import as_json, print_plan
from thresher.cli.sizes import parse_size
from thresher.errors import UsageError
from thresher.hardware import gpu_names
from thresher.pipeline import ClassifyOptions, MachineWishes, plan_model
from thresher.planning import ENGINES, Wishes


def _complete_gpu(incomplete: str) -> list[str]:
    return [name for name in gpu_names() if name.startswith(incomplete)]


def _complete_engine(incomplete: str) -> list[str]:
    return [name for name in ENGINES if name.startswith(incomplete)]


def command(
    model: Annotated[
        str,
        typer.Option(
            metavar="REF",
            envvar="THRESHER_MODEL",
            help="As for classify; also a folder with just a config.json, or the address of a .gguf file. "
            "Only headers are read, also over the network.",
        ),
    ],
    gpu: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Plan for this GPU instead of this machine's: rtx-4090, h100, ...",
            autocompletion=_complete_gpu,
        ),
    ] = None,
    vram: Annotated[
        str | None, typer.Option(metavar="GIB", help="Memory of each GPU: a number of GiB, or a size such as 24GB.")
    ] = None,
    gpus: Annotated[int | None, typer.Option(metavar="N", help="How many such GPUs.")] = None,
    ram: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Host memory (default: what is free on this machine).")
    ] = None,
    device: Annotated[str | None, typer.Option(metavar="D", help="cpu: plan without this machine's GPUs.")] = None,
    engine: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this engine; may be repeated.", autocompletion=_complete_engine),
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(metavar="P", help="Only this precision or quantization; may be repeated."),
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Largest prompt in tokens (default: the model's own, cut in each row to what fits)."
        ),
    ] = None,
    slots: Annotated[
        int | None, typer.Option(metavar="N", help="Requests at a time of servers (default: as many as fit).")
    ] = None,
    weights_memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory for weights on each device; native streams what does not fit."),
    ] = None,
    documents: Annotated[
        list[str] | None,
        typer.Option(metavar="INPUT", help="Count the tokens of these documents, for the time to expect; repeatable."),
    ] = None,
    text_column: Annotated[str | None, typer.Option(metavar="C", help="Table column with the text.")] = None,
    as_json_: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Say whether a model fits, and how fast it can be.

    From a model's headers alone: what its weights, its context and its work take on this machine or on another, for
    each engine and precision; what would fit where it does not; tokens per second, and the time for given documents.

    Example: thresher plan --model unsloth/Qwen3.5-27B-GGUF:UD-Q5_K_XL --gpu rtx-5090 --context 16384 --slots 8
    """
    if device not in {None, "cpu"}:
        raise UsageError(f"--device {device}: only cpu; GPUs are named with --gpu, --vram and --gpus")
    machine = MachineWishes(
        gpu=_only_gpu(gpu or []),
        vram_bytes=None if vram is None else _vram_bytes(vram),
        gpus=gpus,
        ram_bytes=None if ram is None else parse_size(ram, "--ram"),
        on_cpu=device == "cpu",
    )
    wishes = Wishes(
        engines=tuple(engine or ()),
        precisions=tuple(precision or ()),
        context_tokens=context,
        slots=slots,
        weights_memory_bytes=None if weights_memory is None else parse_size(weights_memory, "--weights-memory"),
    )
    options = ClassifyOptions(text_column=text_column)
    with LiveProgress() as progress:
        plan = plan_model(model, machine, wishes, tuple(documents or ()), options, progress)
    if as_json_:
        print_json(as_json(plan))
    else:
        print_plan(plan)


def _only_gpu(names: list[str]) -> str | None:
    """A plan is for GPUs of one kind, which is what engines divide a model over."""
    if len(set(names)) > 1:
        raise UsageError(f"--gpu {' --gpu '.join(names)}: give one name, and with --gpus how many there are of it")
    if len(names) > 1:
        raise UsageError(f"--gpu {names[0]} is given {len(names)} times; for so many write --gpus {len(names)}")
    return names[0] if names else None


def _vram_bytes(text: str) -> int:
    """A number alone is GiB, as cards are sold."""
    return parse_size(f"{text}GiB" if re.fullmatch(r"\d+(\.\d+)?", text.strip()) else text, "--vram")
