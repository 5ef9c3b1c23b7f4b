"""Where a server is, and the key it wants."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from thresher.errors import UsageError

#: The key for every server; a server's own is ``THRESHER_API_KEY_<HOST>_<PORT>`` or ``THRESHER_API_KEY_<HOST>``.
KEY_VARIABLE = "THRESHER_API_KEY"


@dataclass(frozen=True, slots=True)
class Address:
    """An ``http(s)://`` URL, with ``#name`` behind it where the server has several models.

    Raises:
        UsageError: it is no such URL, or carries a password.
    """

    given: str
    url: str = ""  # without "/v1", a slash at the end, and the model's name
    model: str | None = None  # the model wanted, None for the only one
    secret: str | None = field(default=None, repr=False)  # its key, where we made it; else the environment's

    def __post_init__(self) -> None:
        parts = urlsplit(self.given.strip())
        try:
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise UsageError(f"--model {self.given}: not an address: {error}") from error
        if parts.scheme.lower() not in {"http", "https"} or not host:
            raise UsageError(f"--model {self.given}: an address is http://HOST:PORT or https://HOST:PORT")
        if parts.username is not None or parts.password is not None or parts.query:
            raise UsageError(
                f"--model {parts.scheme}://{host}: an address with a name, a password or a query in it would be stored "
                f"with the job; set {KEY_VARIABLE} instead"
            )
        path = parts.path.rstrip("/").removesuffix("/v1")
        place = f"[{host}]" if ":" in host else host
        netloc = place if port is None else f"{place}:{port}"
        object.__setattr__(self, "url", urlunsplit((parts.scheme.lower(), netloc, path, "", "")))
        object.__setattr__(self, "model", parts.fragment or None)

    @property
    def openai_url(self) -> str:
        """Where ``/chat/completions`` and ``/models`` of an OpenAI-compatible endpoint are: a path given is kept."""
        path = urlsplit(self.given.strip()).path.rstrip("/")
        return self.url if path and not path.endswith("/v1") else f"{self.url}/v1"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def key(self) -> str | None:
        """The one it was given, else that of the environment: its own, else the common one.

        Raises:
            UsageError: it has characters that no key has; it is not shown.
        """
        if self.secret:
            return self.secret
        for name in self.key_variables():
            key = os.environ.get(name, "").strip()  # a file's end of line, mostly
            if not (key.isascii() and key.isprintable()):
                raise UsageError(f"{name}: a key has ASCII letters, digits and signs only; set it anew")
            if key:
                return key
        return None

    def key_variables(self) -> tuple[str, ...]:
        """The variables that may hold the key, the nearest first."""
        parts = urlsplit(self.url)
        host = re.sub(r"\W", "_", parts.hostname or "").upper()
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return f"{KEY_VARIABLE}_{host}_{port}", f"{KEY_VARIABLE}_{host}", KEY_VARIABLE

    def __str__(self) -> str:
        return self.url
