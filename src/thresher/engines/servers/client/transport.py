"""HTTP to one server: one attempt a call, JSON in and out, every accident a typed fault.

Nothing is followed: an answer that sends the caller elsewhere is a fault, so that neither the key nor a document leaves
for a host that the user did not name.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx2 as httpx

from thresher.engines.servers.client.address import Address
from thresher.engines.servers.client.patience import Patience
from thresher.engines.servers.client.refusal import Refusal, Translate, fault_of
from thresher.engines.servers.fault import (
    BadAnswerError,
    DeadlineError,
    RedirectError,
    ServerError,
    UnreachableError,
    UntrustedError,
)

_CONNECT_TIMEOUT_S = 10.0
#: Shorter than the 5 s after which llama-server and uvicorn hang up on idle connections, so that we do it first.
_KEEP_ALIVE_S = 4.0
_LARGEST_ANSWER_BYTES = 64 * 1024 * 1024


class Client:
    """Speaks with one server. Used within one event loop; ``close`` at the end."""

    def __init__(
        self, address: Address, *, patience: Patience | None = None, translate: Translate = lambda _: None
    ) -> None:
        self.address = address
        self.patience = patience or Patience()
        self.deadline_s = self.patience.deadline_s
        self._translate = translate
        key = address.key()
        # no limit on connections: the engine's own limit says how many requests there are at once
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=_CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=None, keepalive_expiry=_KEEP_ALIVE_S),
            # a proxy for the outside has no business with this machine
            mounts={"http://": None, "https://": None} if address.is_loopback else None,
        )

    def understanding(self, translate: Translate) -> None:
        """From now on refusals are first shown to ``translate``."""
        self._translate = translate

    async def get(self, path: str, *, deadline_s: float | None = None) -> Any:
        """The JSON that ``path`` answers with; an address in full is taken as it is. Raises ``ServerError``."""
        return await self._ask("GET", path, None, deadline_s)

    async def post(self, path: str, body: Any, *, deadline_s: float | None = None) -> Any:
        """The JSON that ``path`` answers ``body`` with. Raises ``ServerError``."""
        return await self._ask("POST", path, body, deadline_s)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def _ask(self, method: str, path: str, body: Any, deadline_s: float | None) -> Any:
        deadline_s = deadline_s or self.deadline_s
        url = path if "://" in path else f"{self.address.url}{path}"
        try:
            async with asyncio.timeout(deadline_s):
                status, headers, content = await self._exchange(method, url, body)
        except TimeoutError as error:
            raise DeadlineError(f"{self.address}: no answer from {path} within {deadline_s:g} s") from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise self._not_connected(error) from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            reason = f"{self.address}: the connection was cut ({type(error).__name__})"
            raise UnreachableError(reason, in_flight=True) from error
        return self._read(path, status, headers, content)

    async def _exchange(self, method: str, url: str, body: Any) -> tuple[int, Mapping[str, str], bytes]:
        """One exchange.

        A server that hangs up before it says anything may only have been tired of a kept connection, so it is asked
        once more on a new one; where nobody answers there, it died, and this request may be why.
        """
        content = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            return await self._send(method, url, content, headers)
        except httpx.RemoteProtocolError:
            try:
                return await self._send(method, url, content, {**headers, "Connection": "close"})
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                reason = f"{self.address}: the server hung up, and does not answer any more"
                raise UnreachableError(reason, in_flight=True) from error

    async def _send(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        async with self._http.stream(method, url, content=content, headers=headers) as response:
            parts, size = list[bytes](), 0
            async for part in response.aiter_bytes():
                parts.append(part)
                size += len(part)
                if size > _LARGEST_ANSWER_BYTES:
                    raise BadAnswerError(f"{self.address}: an answer of more than {_LARGEST_ANSWER_BYTES:,} bytes")
            return response.status_code, response.headers, b"".join(parts)

    def _read(self, path: str, status: int, headers: Mapping[str, str], content: bytes) -> Any:
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            raise self._sent_elsewhere(headers)
        try:
            body = json.loads(content)
        except (ValueError, RecursionError) as error:
            if status < HTTPStatus.MULTIPLE_CHOICES:
                raise BadAnswerError(f"{self.address}: the answer of {path} is no JSON") from error
            body = None
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return body
        is_json = body is not None or not content.strip()
        refusal = Refusal(status, body, headers, path, is_json)
        raise self._translate(refusal) or fault_of(refusal, self.address)

    def _not_connected(self, error: httpx.TransportError) -> ServerError:
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
            return UntrustedError(
                f"{self.address}: its certificate cannot be verified; add the authority that signed it to the system's "
                "trusted ones, or name its file in SSL_CERT_FILE"
            )
        return UnreachableError(f"{self.address}: no server answers there; start it, or mend the address")

    def _sent_elsewhere(self, headers: Mapping[str, str]) -> RedirectError:
        try:
            target = str(httpx.URL(headers.get("location", "")).copy_with(query=None, fragment=None, userinfo=b""))
        except httpx.InvalidURL:
            target = "an address that is none"
        return RedirectError(
            f"{self.address}: the server sends its callers to {target}; documents and keys go to no other host than "
            "the one named: give that address to --model, if you trust it"
        )


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found
