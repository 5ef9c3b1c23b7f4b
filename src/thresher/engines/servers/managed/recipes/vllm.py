"""vLLM's server.

- A large batch of tokens: under 70 GB of memory its default is 2,048.
- On models with recurrent layers no prefix cache: its blocks are larger than a task's prefix, and long unique documents
  defeat it (vLLM issues 25874, 40696, 45238). Other models share the prefix through it.
- No vision encoder, no log line per request.
"""

from __future__ import annotations

from thresher.engines.servers.managed.facts import LaunchFacts
from thresher.engines.servers.managed.options import Wish, wish

_BATCH_TOKENS = 16_384
#: Log probabilities a request may ask for; the default of 20 is fewer than many tasks have labels.
_LOGPROBS = 1024


def wishes(facts: LaunchFacts) -> list[Wish]:
    """What ``vllm serve MODEL`` is asked for; the model itself is a positional argument."""
    return [
        wish(facts.model_name, "--served-model-name"),
        wish(facts.host, "--host", needed=True),
        wish(facts.port, "--port", needed=True),
        wish(facts.context_tokens, "--max-model-len", needed=True),
        wish(max(_BATCH_TOKENS, facts.micro_batch_tokens), "--max-num-batched-tokens"),
        wish(facts.slots, "--max-num-seqs"),
        wish("throughput", "--performance-mode"),
        wish(None, "--language-model-only"),
        *_caching(facts),
        *([wish(facts.gpus, "--tensor-parallel-size", needed=True)] if facts.gpus > 1 else []),
        wish('{"enable_thinking":false}', "--default-chat-template-kwargs"),
        wish(_LOGPROBS, "--max-logprobs"),
        wish(None, "--no-enable-log-requests", "--disable-log-requests"),
        wish(None, "--disable-uvicorn-access-log"),
    ]


def _caching(facts: LaunchFacts) -> list[Wish]:
    if not facts.recurrent:
        return [wish(None, "--enable-prefix-caching")]
    return [wish(None, "--no-enable-prefix-caching"), wish("flashinfer", "--gdn-prefill-backend")]
