"""Opens the engine ``llamacpp``: library, memory plan, model, tokenizer."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from thresher.engines.base import EngineInfo, EngineOptions
from thresher.engines.llamacpp.binding import Binding, open_binding
from thresher.engines.llamacpp.engine import LlamaCppEngine
from thresher.engines.llamacpp.loaded_model import LoadedModel
from thresher.engines.llamacpp.memory import model_memory
from thresher.engines.llamacpp.session import Session
from thresher.engines.llamacpp.sizing import SETTINGS, Plan, plan_sizes
from thresher.engines.llamacpp.tokenizers import choose_tokenizer
from thresher.engines.llamacpp.vocabulary import LlamaTokenizer
from thresher.errors import EngineUnavailableError, ModelFormatError, UsageError
from thresher.hardware import GpuFacts
from thresher.models.model import Model

logger = logging.getLogger(__name__)

#: ``score`` is given this many micro-batches, so that like lengths can be found among the documents.
_MICRO_BATCHES_PER_CALL = 16
_DOCUMENTS_PER_CALL = 128


class LlamaCpp:
    """How the registry opens it."""

    @staticmethod
    def open(model: Model, options: EngineOptions) -> LlamaCppEngine:
        """See :func:`open_llamacpp`."""
        return open_llamacpp(model, options)

    @staticmethod
    def version() -> str:
        """Package and build. Raises ``EngineUnavailableError`` when no library can be used here."""
        return open_binding(want_gpu=True).library.title

    @staticmethod
    def about() -> str:
        """The devices it would compute on."""
        binding = open_binding(want_gpu=True)
        return ", ".join(gpu.description for gpu in binding.gpus()) or binding.system_info()

    @staticmethod
    def gpus(device: str | None) -> tuple[GpuFacts, ...]:
        """What is free on the GPUs it would compute on."""
        _check_device(device)
        binding = open_binding(want_gpu=device != "cpu")
        found = binding.gpus() if _wants_gpu(binding, device) else ()
        return tuple(
            GpuFacts(name=gpu.description, memory_bytes=gpu.free_bytes, free_bytes=gpu.free_bytes, in_use=True)
            for gpu in found
        )

    @staticmethod
    def settings() -> Mapping[str, tuple[int, int]]:
        """What a profile may hold."""
        return SETTINGS

    @staticmethod
    def unsuited(model: Model) -> str:
        """A checkpoint is no GGUF file."""
        return "" if model.checkpoint is None else "llama.cpp reads GGUF files only"


def open_llamacpp(model: Model, options: EngineOptions) -> LlamaCppEngine:
    """Load ``model`` with llama.cpp.

    Raises:
        UsageError: an option that this engine or model cannot serve.
        EngineUnavailableError: no usable library, or no GPU where one is asked for.
        EngineCapacityError: the model or the context asked for does not fit the memory.
        ModelFormatError: llama.cpp cannot read this model.
    """
    _check_format(model)
    _check_precision(model, options.precision)
    _check_device(options.device)
    if options.weights_memory_bytes is not None:
        raise UsageError("--weights-memory: llama.cpp keeps all weights in memory; use --engine native")
    binding = open_binding(want_gpu=options.device != "cpu")
    on_gpu = _wants_gpu(binding, options.device)
    plan = plan_sizes(model.facts, model_memory(model.headers), binding, options, on_gpu=on_gpu)
    loaded = LoadedModel(binding, model.files.path, on_gpu=on_gpu)
    try:
        tokenizer = choose_tokenizer(model.tokenizer, LlamaTokenizer(binding, loaded), model.facts.name)
        session = Session(binding, loaded, plan.shape, plan.largest_cells)
        info = _info(model, binding, plan, on_gpu=on_gpu)
        return LlamaCppEngine(loaded, session, tokenizer, info, plan.pack_limits)
    except BaseException:
        loaded.close()
        raise


def _check_format(model: Model) -> None:
    if model.checkpoint is not None:
        raise ModelFormatError(
            f"{model.files.path}: a checkpoint, and llama.cpp reads GGUF files only; use --engine native, fetch a GGUF "
            "of the model, or convert it with llama.cpp's convert_hf_to_gguf.py"
        )


def _check_precision(model: Model, precision: str) -> None:
    stored = model.facts.quantization
    if precision.lower() not in {"auto", stored.lower()}:
        raise UsageError(
            f"--precision {precision}: llama.cpp computes with the precision that the file is stored in, {stored}; "
            "leave the option out, or give another file"
        )


def _check_device(device: str | None) -> None:
    if device not in {None, "cpu", "gpu"}:
        raise UsageError(f"--device {device}: the engine llamacpp knows the devices cpu and gpu")


def _wants_gpu(binding: Binding, device: str | None) -> bool:
    usable = binding.library.supports_gpu and bool(binding.gpus())
    if device == "gpu" and not usable:
        raise EngineUnavailableError(
            f"--device gpu: {binding.library.title} finds no GPU; install a build of llama-cpp-python for yours "
            "(CUDA: CMAKE_ARGS=-DGGML_CUDA=on pip install llama-cpp-python), or use --device cpu"
        )
    return usable and device != "cpu"


def _info(model: Model, binding: Binding, plan: Plan, *, on_gpu: bool) -> EngineInfo:
    gpus = ", ".join(gpu.description for gpu in binding.gpus())
    return EngineInfo(
        engine="llamacpp",
        model=model.facts.name,
        model_fingerprint=model.facts.fingerprint,
        precision=model.facts.quantization,
        version=binding.library.title,
        device=gpus if on_gpu else f"cpu, {plan.shape.threads} threads",
        largest_request_tokens=plan.largest_request_tokens,
        batch_tokens=_MICRO_BATCHES_PER_CALL * plan.shape.micro_batch,
        batch_requests=_DOCUMENTS_PER_CALL,
        exact_probabilities=True,
        shares_prefix=True,
    )
