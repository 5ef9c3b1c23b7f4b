"""From what a user calls a model to an engine that has it open."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from thresher.engines import Engine, EngineOptions, ServedModelEngine, choose_engine, open_engine, server_command
from thresher.errors import UsageError
from thresher.jobs import RunFacts
from thresher.models import ChatFormat, Model, ServedModel, open_model, resolve, served_addresses
from thresher.pipeline.options import ClassifyOptions
from thresher.pipeline.planning import check_memory, describe
from thresher.pipeline.profile import with_profile

#: A reference of files, or addresses of servers that hold the same model.
References = str | os.PathLike[str] | Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opened:
    """An engine, and what its prompts need of the model."""

    engine: Engine
    chat: ChatFormat
    notices: tuple[str, ...]  # what a user should know of the model before trusting its labels


def find_model(references: References, options: ClassifyOptions) -> Model | ServedModel:
    """The model in files (downloaded where need be), or where it is served.

    Raises:
        UsageError: references that do not go together, or options that this model does not take.
        ModelError: it cannot be found or read.
    """
    names = [os.fspath(references)] if isinstance(references, (str, os.PathLike)) else list(references)
    if not names:
        raise UsageError("--model is missing; give a model's files or the address of a server")
    if addresses := served_addresses(names):
        tokenizer = None if options.tokenizer is None else open_model(resolve(options.tokenizer))
        return ServedModel(addresses=addresses, tokenizer=tokenizer)
    if options.tokenizer is not None:
        raise UsageError(f"--tokenizer {options.tokenizer}: a model in files brings its own; leave the option out")
    return open_model(resolve(names[0]))


def open_chosen(
    model: Model | ServedModel,
    options: ClassifyOptions,
    latest_run: RunFacts | None = None,
    message: Callable[[str], None] = lambda _: None,
    job_folder: Path | None = None,
) -> Opened:
    """Choose the engine for ``model`` and open it; ``message`` is told what was chosen and why, and, also from another
    thread, how a server that is started does. Its log is kept in ``job_folder``.

    With no context asked for, a job goes on with the context of its latest run of the same model and engine: what
    memory allows may differ from day to day, and rows of one run should not.

    Raises:
        UsageError, EngineError, ModelError: it cannot be opened.
    """
    name, reason = choose_engine(options.engine, model)
    message(f"engine: {name} ({reason})")
    if isinstance(model, Model):
        options, profile = with_profile(name, model, options)
        if profile:
            message(profile)
    context = options.context_tokens
    if context is None and isinstance(model, Model):
        context = _context_of(latest_run, model.facts.fingerprint, name)
    wanted = replace(engine_options(options, context), job_folder=job_folder, say=message)
    if isinstance(model, Model) and (fit := check_memory(name, model, wanted)) is not None:
        message(describe(fit))
    engine = open_engine(name, model, wanted)
    if context is None:
        context = _context_of(latest_run, engine.info.model_fingerprint, name)
        if context is not None and context < engine.info.largest_request_tokens:
            engine.close()
            engine = open_engine(name, model, replace(wanted, context_tokens=context))
    if isinstance(model, Model):
        return Opened(engine=engine, chat=model.chat, notices=model.notices)
    if not isinstance(engine, ServedModelEngine):
        raise TypeError(f"the engine {name} opened a served model and has no chat template")
    return Opened(engine=engine, chat=engine.chat, notices=())


def launch_command(references: References, options: ClassifyOptions) -> str:
    """The command line, quoted for a shell, that starts the server which ``options.engine`` names.

    Raises:
        UsageError: the engine is none that is started, or an option that it cannot serve.
        EngineError, ModelError: it cannot be started with this model.
    """
    model = find_model(references, options)
    name, _ = choose_engine(options.engine, model)
    if isinstance(model, Model):
        options, _ = with_profile(name, model, options)
    return server_command(name, model, engine_options(options, options.context_tokens))


def engine_options(options: ClassifyOptions, context_tokens: int | None) -> EngineOptions:
    """What the options say to an engine."""
    return EngineOptions(
        precision=options.precision,
        context_tokens=context_tokens,
        threads=options.threads,
        device=options.device,
        weights_memory_bytes=options.weights_memory_bytes,
        deadline_s=options.deadline_s,
        settings=options.settings,
    )


def _context_of(latest_run: RunFacts | None, model_fingerprint: str, engine: str) -> int | None:
    if latest_run is None or latest_run.model_fingerprint != model_fingerprint or latest_run.engine != engine:
        return None
    return latest_run.context_tokens or None
