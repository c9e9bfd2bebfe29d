"""The gate before everything that is served: who may pass, under which name, and with which headers an answer leaves.

An ASGI middleware, so that it stands before pages, WebSocket and downloads alike. It looks the session up anew at every request (nothing is
cached: an account that is disabled is out at the next one) and tells Streamlit who it is in two headers whose names are
random for this process, after taking everything away that a client sent under them.
"""
from dataclasses import dataclass
from hmac import compare_digest
from secrets import token_hex
from typing import Any
from urllib.parse import quote, urlsplit

from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.session import LOGIN, SESSION
from queries import accounts

COOKIE = "sid"
SECRET, PROXIED = "x-desk-proxy-secret", "desk.proxied"     # the header with the proxy's secret; in the scope: whom it named
# Open to all: the way in, whether the server is up, and Streamlit's own scripts and fonts, which are public and the same for everybody.
OPEN = ("/sign-in", "/set-up/", "/_stcore/health", "/static/", "/favicon")
# Streamlit writes styles and one script into its page; nothing of another host is ever loaded, framed or sent to.
POLICY = "; ".join(("default-src 'self'", "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval' blob:", "worker-src 'self' blob:",
                    "style-src 'self' 'unsafe-inline'", "img-src 'self' data: blob:", "font-src 'self' data:", "connect-src 'self'",
                    "frame-ancestors 'none'", "object-src 'none'", "base-uri 'self'", "form-action 'self'"))
HEADERS = {"content-security-policy": POLICY, "x-content-type-options": "nosniff", "referrer-policy": "same-origin",
           "x-frame-options": "DENY", "cross-origin-opener-policy": "same-origin", "permissions-policy": "camera=(), microphone=(), geolocation=()"}


def names() -> dict[str, str]:
    """{header: key in st.user}, as server.trustedUserHeaders wants it: nobody outside knows the headers' names."""
    secret = token_hex(16)
    return {f"x-desk-{key}-{secret}": key for key in (LOGIN, SESSION)}


@dataclass
class Gate:
    """The middleware. `urls()` gives the database's logins; `hosts` are the names under which browsers may ask."""

    app: ASGIApp
    urls: Any
    hosts: tuple[str, ...]
    names: dict[str, str]
    proxy: tuple[str, str] | None = None        # secret, and the header in which the proxy says who it is

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = MutableHeaders(scope=scope)
        scope[PROXIED] = self._proxied(headers)
        for name in {name for name in headers if name.startswith("x-desk-")}:
            del headers[name]
        request = HTTPConnection(scope)
        answer = self._stranger(scope, request) or await self._unknown(scope, request)
        if answer is None:
            await self.app(scope, receive, _leaving(send) if scope["type"] == "http" else send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})           # before it is accepted: the client sees 403
        else:
            await answer(scope, receive, _leaving(send))

    def _proxied(self, headers: MutableHeaders) -> str | None:
        """The login that the proxy names. Without its secret the header is nobody's word, and it is taken away in any case."""
        if self.proxy is None:
            return None
        secret, header = self.proxy
        said, login = headers.get(SECRET, ""), headers.get(header, "")
        if header in headers:
            del headers[header]
        return login.strip().lower() or None if compare_digest(said.encode(), secret.encode()) else None

    def _stranger(self, scope: Scope, request: HTTPConnection) -> Response | None:
        """Another host's name, or a page of another origin that wants a WebSocket or to write."""
        host = request.headers.get("host", "").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if name not in self.hosts and scope["path"] != "/_stcore/health":
            return PlainTextResponse("unknown host", 400)
        origin = request.headers.get("origin")
        writes = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        if writes and (urlsplit(origin).netloc.lower() != host if origin else scope["type"] == "websocket"):
            return PlainTextResponse("another origin", 403)
        return None

    async def _unknown(self, scope: Scope, request: HTTPConnection) -> Response | None:
        """No live session, for what is not open to all; otherwise says who it is."""
        if scope["path"].startswith(OPEN):
            return None
        token, found = request.cookies.get(COOKIE), None
        try:
            if token:
                found = await run_in_threadpool(accounts.find, self.urls(), token)
        except (OperationalError, PoolTimeout):
            return PlainTextResponse("数据库暂时无法连接，请稍后重试。The database does not answer, please try again.", 503, {"retry-after": "5"})
        if found is not None and scope[PROXIED] in (None, found.login):     # the proxy's word goes before an older session
            said = {LOGIN: found.login, SESSION: str(found.session_id)}
            headers = MutableHeaders(scope=scope)            # anew: whatever has read the headers since has put a copy into the scope
            for name, key in self.names.items():
                headers[name] = said[key]
            return None
        if scope["type"] == "http" and scope["method"] == "GET" and _is_page(request.headers):
            asked = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
            return RedirectResponse(f"/sign-in?next={quote(asked, safe='')}", 303)
        return PlainTextResponse("sign in first", 401)


def _is_page(headers: Headers) -> bool:
    """A person opens an address; everything else (images, scripts, fetches) is not to be led to the sign-in page."""
    kind = headers.get("sec-fetch-dest")
    return kind == "document" if kind else "text/html" in headers.get("accept", "")


def _leaving(send: Send) -> Send:
    async def out(message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
        await send(message)
    return out
