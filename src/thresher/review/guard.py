"""Who may talk to the review page: the one who was given its token, from a page that it served itself."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Sent with every answer. Nothing may run or load but what the page brings itself.
SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # no-referrer would make browsers post with the origin "null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def cookie_name(port: int) -> str:
    """The cookie that carries the token. Cookies do not tell ports apart, so its name has the port."""
    return f"thresher-review-{port}"


class Guard:
    """Answers 403 to requests without the token, under another host name, or posted from another origin.

    The token comes in the URL first and then in a cookie.
    """

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self._cookie_name = cookie_name(port)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        brought = self._in_query(scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    answer[name] = value
                if brought and not refusal:
                    answer.append("Set-Cookie", self._cookie())
            await send(message)

        app = PlainTextResponse(refusal, status_code=403) if refusal else self._app
        await app(scope, receive, send_guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> str:
        """Why not; empty for a request that may pass."""
        host = headers.get("host", "")
        if host not in self._hosts:  # a foreign name that was made to lead here
            return "This page answers under 127.0.0.1 and localhost only."
        if not (self._in_query(scope) or self._in_cookie(headers)):
            return "Open the whole address that 'thresher review' printed, with its token."
        if scope["method"] not in ("GET", "HEAD") and headers.get("origin") != f"http://{host}":
            return "This was not sent from the review page."
        return ""

    def _in_query(self, scope: Scope) -> bool:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        return self._is_token(query.get("token", [""])[0])

    def _in_cookie(self, headers: Headers) -> bool:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self._cookie_name)
        except CookieError:
            return False
        return morsel is not None and self._is_token(morsel.value)

    def _is_token(self, value: str) -> bool:
        return secrets.compare_digest(value.encode("utf-8", "replace"), self._token)

    def _cookie(self) -> str:
        return f"{self._cookie_name}={self._token.decode()}; Path=/; HttpOnly; SameSite=Strict"
