"""SGLang's server.

- Prompts go through in chunks of 32,768 tokens.
- On models with recurrent layers no radix cache, as with vLLM's prefix cache, and their state in bfloat16.
- The key comes in a YAML file of ``--config`` (its docs/advanced_features/server_arguments.md): no variable holds it
  (issue 36346), and what stands in the file does not stand in the list of processes.
"""

from __future__ import annotations

from thresher.engines.servers.managed.facts import LaunchFacts
from thresher.engines.servers.managed.options import Wish, wish

_BATCH_TOKENS = 32_768
_MEMORY_SHARE = 0.85


def wishes(facts: LaunchFacts) -> list[Wish]:
    """What SGLang's ``serve`` or ``launch_server`` is asked for."""
    return [
        wish(facts.model_path, "--model-path", "--model", needed=True),
        wish(facts.model_name, "--served-model-name"),
        wish(facts.host, "--host", needed=True),
        wish(facts.port, "--port", needed=True),
        wish(facts.context_tokens, "--context-length", needed=True),
        wish(_BATCH_TOKENS, "--chunked-prefill-size"),
        wish(_BATCH_TOKENS, "--max-prefill-tokens"),
        wish(facts.slots, "--max-running-requests"),
        wish(_MEMORY_SHARE, "--mem-fraction-static"),
        *_recurrence(facts),
        *([wish(facts.gpus, "--tp-size", "--tensor-parallel-size", needed=True)] if facts.gpus > 1 else []),
        *_key(facts),
        wish("warning", "--log-level-http"),
    ]


def _key(facts: LaunchFacts) -> list[Wish]:
    """From a file of arguments where there is one: other users see the list of processes."""
    if facts.key_file is not None:
        return [wish(facts.key_file, "--config")]
    return [] if facts.api_key is None else [wish(facts.api_key, "--api-key")]


def _recurrence(facts: LaunchFacts) -> list[Wish]:
    if not facts.recurrent:
        return []
    return [
        wish(None, "--disable-radix-cache"),
        wish("flashinfer", "--linear-attn-prefill-backend"),
        wish("bfloat16", "--mamba-ssm-dtype"),
    ]
