"""What can go wrong with a server, told apart by status codes and typed fields, never by the text of a message.

    ServerError                  an EngineError, so that one which escapes is still told to the user
    ├── UnreachableError         no connection, or it was cut                     the server's  · passes
    ├── GatewayError             502, 504 and the like: only a gateway answers    the server's  · passes
    ├── DeadlineError            no answer within the deadline                    in doubt      · passes
    ├── LoadingError             503: the model is being loaded                   the server's  · passes
    ├── BusyError                429, or 503 that says when to come again         the server's  · passes
    ├── ServerFailedError        any other 5xx                                    in doubt      · passes
    ├── BadAnswerError           an answer that is no JSON or lacks what was asked for    in doubt · passes
    ├── TooLongError             the server says the prompt is too long for it    the request's
    ├── BadRequestError          any other 4xx                                    the request's
    ├── DeniedError              401, 403: the key is missing or wrong            the server's
    ├── AbsentError              404, 405, 501: no such route or no such model    the server's
    ├── RedirectError            3xx: the server lives elsewhere                  the server's
    └── UntrustedError           its certificate cannot be verified               the server's

``passes``: the same request may succeed later. ``of_server``: what fails is the server rather than this request, so it
is not tried with another request in the meantime; what is the server's and does not pass makes it useless for the run,
but for a route that was there before and of which a gateway says 404 while the server starts anew.
"""

from __future__ import annotations

from typing import ClassVar

from thresher.errors import EngineError


class ServerError(EngineError):
    """Base of the faults. ``str(fault)`` names the server and the remedy, and never a key or a document's text."""

    passes: ClassVar[bool] = False
    of_server: ClassVar[bool] = False
    retry_after_s: float | None = None  # when to come again, by its own word; None where it names no time


class UnreachableError(ServerError):
    """No connection, or it was cut before the answer was whole (``in_flight``: the server had the request)."""

    passes = True
    of_server = True

    def __init__(self, message: str, *, in_flight: bool = False) -> None:
        super().__init__(message)
        self.in_flight = in_flight


class GatewayError(ServerError):
    """What answers stands in front of the server, and has no answer from it; ``too_slow``: not in its time."""

    passes = True
    of_server = True

    def __init__(self, message: str, retry_after_s: float | None = None, *, too_slow: bool = False) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.too_slow = too_slow


class DeadlineError(ServerError):
    """The answer was not there within the deadline."""

    passes = True


class LoadingError(ServerError):
    """The server is up and its model is not."""

    passes = True
    of_server = True


class BusyError(ServerError):
    """The server has more work than it takes."""

    passes = True
    of_server = True

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ServerFailedError(ServerError):
    """The server says that it failed."""

    passes = True


class BadAnswerError(ServerError):
    """An answer that cannot be used: no JSON, or without what was asked for."""

    passes = True


class TooLongError(ServerError):
    """The prompt does not fit the server's context. Tokens are None where the server does not say."""

    def __init__(self, message: str, prompt_tokens: int | None = None, limit_tokens: int | None = None) -> None:
        super().__init__(message)
        self.prompt_tokens = prompt_tokens
        self.limit_tokens = limit_tokens


class BadRequestError(ServerError):
    """The server refuses this request."""


class DeniedError(ServerError):
    """The server wants another key."""

    of_server = True


class AbsentError(ServerError):
    """The server has no such route or no such model; ``by_page``: so says a page, as a gateway has them."""

    of_server = True

    def __init__(self, message: str, *, by_page: bool = False) -> None:
        super().__init__(message)
        self.by_page = by_page


class RedirectError(ServerError):
    """The server sends its callers elsewhere; the key does not go with them."""

    of_server = True


class UntrustedError(ServerError):
    """The server's certificate cannot be verified."""

    of_server = True
