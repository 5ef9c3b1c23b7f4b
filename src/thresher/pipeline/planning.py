"""Plans: of a model on a machine, and of each run before its engine is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from thresher.engines import EngineOptions, engine_gpus
from thresher.errors import EngineCapacityError, ModelFormatError, UsageError
from thresher.hardware import HardwareFacts, probe_hardware
from thresher.models import Model, ModelOutline, outline, outline_of_model
from thresher.models.tokenizer import Tokenizer
from thresher.pipeline.counting import count_documents
from thresher.pipeline.machine import MachineWishes, find_machine
from thresher.pipeline.options import ClassifyOptions
from thresher.pipeline.progress import Progress, SilentProgress
from thresher.planning import Fit, Plan, Setting, Wishes, automatic_precision, least_context, make_plan, plan_one

_GIB = 1 << 30


def plan_model(
    reference: str,
    machine: MachineWishes,
    wishes: Wishes,
    documents: Sequence[str] = (),
    options: ClassifyOptions | None = None,
    progress: Progress | None = None,
) -> Plan:
    """The plan for the model that ``reference`` names; of ``documents`` the tokens are counted.

    Raises:
        UsageError: a GPU, an engine, a precision or a context that there is not, or documents and no tokenizer.
        ModelError: the model is not there, or its files do not say what it is.
        InputError: an input is wrong.
    """
    hardware = find_machine(machine)
    found = outline(reference)
    counts = None
    if documents:
        tokenizer = _tokenizer(found)
        counts = count_documents(documents, tokenizer, options or ClassifyOptions(), progress or SilentProgress())
    return make_plan(found, hardware, wishes, counts)


def check_memory(engine: str, model: Model, options: EngineOptions) -> Fit | None:
    """The plan of a run before its engine is opened; None where the memory is not this process's, or is not known.

    Raises:
        EngineCapacityError: it cannot fit; names what would.
    """
    gpus = engine_gpus(engine, options.device)
    if gpus is None:
        return None
    try:
        found = outline_of_model(model)
    except ModelFormatError:  # of a family that plans know nothing of: the engine will see
        return None
    hardware = replace(probe_hardware(), gpus=gpus)
    fit = _fit(engine, found, hardware, options)
    if not fit.fits:
        raise EngineCapacityError(_refusal(fit, found))
    return fit


def describe(fit: Fit) -> str:
    """A line for people: what a run will take, and of what."""
    where = "GPU memory" if fit.setting.gpus else "memory"
    each = " on each GPU" if fit.setting.gpus > 1 else ""
    return (
        f"plan: {fit.setting.precision} takes about {fit.bytes / _GIB:.2f} GiB{each}, weights "
        f"{fit.parts['weights'] / _GIB:.2f}; {fit.available_bytes / _GIB:.1f} GiB of {where} are free"
    )


def _tokenizer(found: ModelOutline) -> Tokenizer:
    tokenizer = found.load_tokenizer()
    if tokenizer is None:
        raise UsageError(
            f"--documents: {found.reference} comes without a tokenizer that Thresher can read ({found.source}); put "
            "the model's tokenizer.json beside its config.json, or give a GGUF file or a hub name"
        )
    return tokenizer


def _fit(engine: str, found: ModelOutline, hardware: HardwareFacts, options: EngineOptions) -> Fit:
    """On one GPU or, where the user left it open and one does not do, on all of them."""
    precision = options.precision.lower()
    if engine != "native":
        precision = found.quantization or precision
    elif precision == "auto":
        precision = automatic_precision(found, hardware)
    open_choice = options.device is None and options.weights_memory_bytes is None and engine == "native"
    setting = Setting(
        engine=engine,
        precision=precision,
        context_tokens=options.context_tokens or least_context(found),
        gpus=min(1, len(hardware.gpus)) if open_choice else len(hardware.gpus),
        weights_memory_bytes=options.weights_memory_bytes,
        pack_tokens=options.settings.get("pack_tokens"),
    )
    fit = plan_one(found, hardware, setting)
    if not fit.fits and len(hardware.gpus) > setting.gpus:
        over_all = plan_one(found, hardware, replace(setting, gpus=len(hardware.gpus)))
        return over_all if over_all.fits else fit
    return fit


def _refusal(fit: Fit, found: ModelOutline) -> str:
    setting = fit.setting
    what_would = f"what would fit: {fit.remedy}" if fit.remedy else "nothing that was tried would fit on this machine"
    if fit.problem:
        return f"{fit.problem}; {what_would}"
    return (
        f"{found.name} does not fit: {setting.engine} in {setting.precision} with a context of "
        f"{setting.context_tokens:,} tokens takes {fit.bytes / _GIB:.2f} GiB"
        f"{' on each GPU' if setting.gpus > 1 else ''}, and {fit.available_bytes / _GIB:.2f} GiB are free; {what_would}"
    )
