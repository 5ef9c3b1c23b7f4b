"""Answers with a status of 400 or more, and the faults that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from thresher.engines.servers.client.address import Address
from thresher.engines.servers.client.retry import retry_after_seconds
from thresher.engines.servers.fault import (
    AbsentError,
    BadRequestError,
    BusyError,
    DeniedError,
    GatewayError,
    LoadingError,
    ServerError,
    ServerFailedError,
)

#: Of gateways that got no answer, or none in time; those above 511 are Cloudflare's own.
_NO_ANSWER = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT, *range(520, 525)})
_NOT_IN_TIME = frozenset({HTTPStatus.GATEWAY_TIMEOUT, 524})


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with a status of 400 or more."""

    status: int
    body: Any  # the JSON, None where it is none
    headers: Mapping[str, str]
    path: str
    is_json: bool = True  # or nothing at all; gateways answer for themselves in HTML or plain text

    def error_field(self, name: str) -> Any:
        """``name`` of the object ``error`` in the body, where servers put their typed fields; else of the body.

        None where it is a list or an object.
        """
        body = self.body if isinstance(self.body, dict) else {}
        error = body.get("error")
        value = (error if isinstance(error, dict) else body).get(name)
        return value if isinstance(value, str | int | float) else None


#: What an adapter knows of its server's typed errors; None leaves the refusal to its status.
Translate = Callable[[Refusal], ServerError | None]


def fault_of(refusal: Refusal, address: Address) -> ServerError:
    """What its status means."""
    status, where = refusal.status, f"{address}: status {refusal.status} from {refusal.path}"
    retry_after_s = retry_after_seconds(refusal.headers.get("retry-after"))
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return DeniedError(f"{where}: {_about_the_key(address)}")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return BusyError(f"{where}: the server takes no more requests for now", retry_after_s)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        if retry_after_s is not None:
            return BusyError(f"{where}: the server takes no more requests for now", retry_after_s)
        if not refusal.is_json:
            return GatewayError(f"{where}: what answers there is a gateway, and it reaches no server")
        return LoadingError(f"{where}: the server is not ready")
    if status in _NO_ANSWER:
        too_slow = status in _NOT_IN_TIME
        what = (
            "got no answer from its server in time (the limit is the gateway's own, and may be too low)"
            if too_slow
            else "gets no answer from its server"
        )
        return GatewayError(f"{where}: a gateway {what}{_its_words(refusal)}", retry_after_s, too_slow=too_slow)
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}:
        reason = f"{where}: the server has no such route or model{_its_words(refusal)}"
        return AbsentError(reason, by_page=not refusal.is_json)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerFailedError(f"{where}: the server failed{_its_words(refusal)}")
    return BadRequestError(f"{where}: the server refuses the request{_its_words(refusal)}")


def _about_the_key(address: Address) -> str:
    own, _, common = address.key_variables()
    if address.key() is None:
        return f"the server wants a key; set {common} (or {own}, for this server alone)"
    return f"the server does not accept the key of {common} (or {own})"


def _its_words(refusal: Refusal) -> str:
    """The first line of what the server says, for people; nothing is decided by it."""
    message = refusal.error_field("message") or refusal.error_field("detail")
    return f": {message.splitlines()[0][:300]}" if isinstance(message, str) and message.strip() else ""
