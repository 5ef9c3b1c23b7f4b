"""llama.cpp's server.

- A KV cache of its own per slot: with a unified one, long requests slow each other down (llama.cpp issue 28495) and one
  that is too long fails them all (23652). ``--ctx-size`` is then divided across the slots.
- No prompt cache in host memory and no saving of idle slots: documents come once, and the prefix would be lost.
- Prompts longer than the micro-batch gain nothing from more slots.
"""

from __future__ import annotations

from thresher.engines.servers.managed.facts import LaunchFacts
from thresher.engines.servers.managed.options import Wish, wish


def wishes(facts: LaunchFacts) -> list[Wish]:
    """What llama-server is asked for; ``facts.scratch_folder`` must exist where it is given."""
    return [
        wish(facts.model_path, "--model", needed=True),
        wish(facts.model_name, "--alias"),
        wish(facts.host, "--host", needed=True),
        wish(facts.port, "--port", needed=True),
        wish(facts.slots, "--parallel", needed=True),
        wish(facts.slots * facts.context_tokens, "--ctx-size", needed=True),
        wish(None, "--no-kv-unified"),
        wish(max(2 * facts.micro_batch_tokens, 2048), "--batch-size"),
        wish(facts.micro_batch_tokens, "--ubatch-size"),
        *_attention(facts),
        *_placement(facts),
        *([] if facts.threads is None else [wish(facts.threads, "--threads")]),
        *([] if facts.scratch_folder is None else [wish(facts.scratch_folder, "--slot-save-path")]),
        wish(0, "--cache-ram"),
        wish(None, "--no-cache-idle-slots"),
        wish(None, "--no-context-shift"),
        wish(None, "--no-mmproj"),
        Wish(spellings=(("--reasoning", "off"), ("--reasoning-budget", "0"))),
        wish(None, "--no-ui", "--no-webui"),
        wish(None, "--offline"),
    ]


def _attention(facts: LaunchFacts) -> list[Wish]:
    """Flash attention rounds keys and values to half precision."""
    if facts.full_precision:
        return [wish("off", "--flash-attn"), wish("f32", "--cache-type-k"), wish("f32", "--cache-type-v")]
    return [wish("on", "--flash-attn")]


def _placement(facts: LaunchFacts) -> list[Wish]:
    if facts.on_gpu:
        return [wish(99, "--n-gpu-layers", "--gpu-layers", needed=True)]
    return [wish(0, "--n-gpu-layers", "--gpu-layers"), wish("none", "--device")]
