"""What llama-server is sent and what it answers, as of b11549 (its ``tools/server/README.md`` has the fields)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thresher.engines.servers.client.refusal import Refusal
from thresher.engines.servers.fault import BadAnswerError, LoadingError, ServerError, TooLongError

#: Added to the logits of the valid tokens, so that all others together weigh less than can be written down.
_BIAS = 100.0
#: More for a token that is to be drawn whatever the model says; the others' ratios survive in 32 bits.
_DRAWN_BIAS = 140.0
#: A probability of 0 is one too small for 32 bits.
_SMALLEST = 1e-45
#: Nothing but the bias may come between the logits and the probabilities, whatever the server was started with.
_PLAIN_SAMPLING: Mapping[str, Any] = {
    "samplers": ["temperature"], "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "mirostat": 0,
    "dynatemp_range": 0.0, "repeat_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0,
    "dry_multiplier": 0.0, "xtc_probability": 0.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reading cost, and the logarithms of the tokens' probabilities in the order in which they were asked for.

    The probabilities are those of a softmax over these tokens alone. None: the server left them out.
    """

    computed_tokens: int
    reused_tokens: int
    logs: tuple[float, ...] | None


def completion(
    tokens: Sequence[int], slot: int | None, candidates: Sequence[int] = (), drawn: int | None = None
) -> dict[str, Any]:
    """The body of ``/completion`` that reads ``tokens`` and asks how likely each of ``candidates`` is to follow.

    ``drawn`` is a token, beside the candidates, that the server is to draw (see :func:`read_completion`).
    """
    body: dict[str, Any] = {
        "prompt": list(tokens), "n_predict": 1, "cache_prompt": True, "stream": False,
        "response_fields": ["timings", "completion_probabilities"], **_PLAIN_SAMPLING,
    }  # fmt: skip
    if slot is not None:
        body["id_slot"] = slot
    if candidates:
        bias = [[token, _BIAS] for token in candidates]
        if drawn is not None:
            bias.append([drawn, _DRAWN_BIAS])
        body |= {"logit_bias": bias, "n_probs": len(bias), "post_sampling_probs": True}
    return body


def read_completion(answer: Any, candidates: Sequence[int], where: str) -> Reading:
    """What ``/completion`` answered.

    The server leaves the probabilities out when the token that it drew ends within a character.

    Raises:
        BadAnswerError: fields are missing, or a candidate is.
    """
    try:
        timings = answer["timings"]
        computed, reused = int(timings["prompt_n"]), int(timings.get("cache_n", 0))
        found = answer.get("completion_probabilities")
        if not candidates or not found:
            return Reading(computed, reused, None)
        of_token = {int(entry["id"]): float(entry["prob"]) for entry in found[0]["top_probs"]}
        logs = tuple(math.log(max(of_token[token], _SMALLEST)) for token in candidates)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise BadAnswerError(f"{where}: the answer of /completion lacks what was asked for ({error!r})") from error
    if not all(map(math.isfinite, logs)):
        raise BadAnswerError(f"{where}: a probability in the answer of /completion is not a number")
    return Reading(computed, reused, logs)


def translate(refusal: Refusal) -> ServerError | None:
    """Its typed errors."""
    kind = refusal.error_field("type")
    if kind == "exceed_context_size_error":
        prompt, context = refusal.error_field("n_prompt_tokens"), refusal.error_field("n_ctx")
        return TooLongError(
            f"the prompt has {prompt:,} tokens, and the server's context holds {context:,}"
            if isinstance(prompt, int) and isinstance(context, int)
            else "the prompt is longer than the server's context",
            prompt if isinstance(prompt, int) else None,
            context if isinstance(context, int) else None,
        )
    if kind == "unavailable_error":
        return LoadingError("the server is loading its model")
    return None
