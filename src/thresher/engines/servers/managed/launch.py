"""One start of a server: what is run, with which secrets, and where it will listen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a server of ours listens, and the key it was started with; None where it takes none."""

    host: str
    port: int
    api_key: str | None = field(repr=False)

    @property
    def url(self) -> str:
        """Of the server's root."""
        return f"http://{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What the watcher needs to start a server."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # beside ours; holds the key
    cleanup: tuple[str, ...] = ()  # run when it has ended
    listens_itself: bool = True  # false in a container, where docker holds the port


#: How the server is started at a place; called anew for every start.
Prepare = Callable[[Place], Launch]
