"""``/v1/models``: which models a server has, and the one that is meant."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from thresher.engines.servers.client.transport import Client
from thresher.engines.servers.fault import BadAnswerError
from thresher.errors import UsageError
from thresher.suggestions import did_you_mean


async def model_cards(client: Client, path: str = "/v1/models") -> list[Mapping[str, Any]]:
    """What the server says of each of its models. Raises ``ServerError``."""
    answer = await client.get(path)
    cards = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(cards, list) or not all(isinstance(card, dict) and "id" in card for card in cards):
        raise BadAnswerError(f"{client.address}: {path} gave no list of models")
    return cards


async def wanted_card(client: Client, path: str = "/v1/models") -> Mapping[str, Any]:
    """The model named behind ``#`` in the address, else the only one that is no adapter of another.

    Raises:
        UsageError: there is no such model, or none is named and there are several.
        ServerError: the server cannot be asked.
    """
    cards = await model_cards(client, path)
    names = [str(card["id"]) for card in cards]
    wanted = client.address.model
    if wanted is not None:
        found = next((card for card in cards if card["id"] == wanted), None)
        if found is None:
            raise UsageError(
                f"--model {client.address.given}: the server has no model {wanted!r}, only {_named(names)}"
                f"{did_you_mean(wanted, names)}"
            )
        return found
    whole = [card for card in cards if not card.get("parent")]
    if len(whole) != 1:
        raise UsageError(
            f"{client.address} has {len(whole)} models ({_named(names)}); name one: --model {client.address}#NAME"
        )
    return whole[0]


def fingerprint_of(*facts: object) -> str:
    """Of what a server says of its model."""
    return hashlib.sha256("\0".join(map(str, facts)).encode("utf-8", "replace")).hexdigest()


def _named(names: list[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "") if names else "none"
