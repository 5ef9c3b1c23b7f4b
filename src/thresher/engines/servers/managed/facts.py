"""What a launch is made for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFacts:
    """Everything that decides the arguments of a server."""

    model_path: str  # as the server sees it
    model_name: str  # to be used in requests
    host: str
    port: int
    context_tokens: int  # of the largest request, answer included
    slots: int  # requests served at the same time, each with a context of its own
    on_gpu: bool
    gpus: int = 1  # that weights are split over
    threads: int | None = None
    micro_batch_tokens: int  # prompt tokens computed in one go
    full_precision: bool = False  # the weights are float32, so keys and values are, too
    recurrent: bool  # the model keeps a state beside, or instead of, a KV cache
    scratch_folder: str | None = None  # where slots may be saved; as the server sees it
    api_key: str | None = None  # only for servers that take it as an argument alone
    key_file: str | None = None  # that holds it as such an argument; as the server sees it

    def __post_init__(self) -> None:
        for name in ("context_tokens", "slots", "gpus", "micro_batch_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
