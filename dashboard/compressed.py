"""Streamlit's own scripts and styles, compressed once a process: two thirds of a first visit's bytes.

Static files only: they are public and the same for everybody. Pages and downloads may hold what was asked for beside what is
secret, and their compressed length would tell of it (BREACH), so they are left alone, and so is the WebSocket.
"""

import gzip
import mimetypes
from functools import lru_cache
from pathlib import Path

import streamlit
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

HOME = Path(streamlit.__file__).parent / "static"
KINDS = {".js", ".css", ".svg", ".json"}  # fonts and pictures are compressed already
FIRST = ("index.", "PlotlyChart.", "protobuf.", "DataFrame.", "arrowFormatUtils.")  # what every first visit asks for
HEADERS = {"content-encoding": "gzip", "vary": "accept-encoding", "cache-control": "public, immutable, max-age=31536000"}  # names carry a hash of the content


class Compressed:
    """The middleware. Only files that lay in the folder at the start are known, so no address leads out of it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        file = files().get(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        headers = Headers(scope=scope) if file else {}
        if "range" in headers or "gzip" not in headers.get("accept-encoding", ""):
            await self.app(scope, receive, send)
            return
        body = await run_in_threadpool(small, file)
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        await Response(body, media_type="text/javascript" if file.suffix == ".js" else kind, headers=HEADERS)(scope, receive, send)


@lru_cache(maxsize=1)
def files() -> dict[str, Path]:
    """The files that are sent compressed, by their addresses: whose names carry a hash, and large enough to be worth it."""
    found = [one for one in (HOME / "static").rglob("*") if one.suffix in KINDS and one.name.count(".") > 1 and one.stat().st_size > 1000]
    return {f"/{one.relative_to(HOME).as_posix()}": one for one in found}


@lru_cache(maxsize=1000)
def small(file: Path) -> bytes:
    """The file compressed with gzip."""
    return gzip.compress(file.read_bytes(), 6, mtime=0)


def warm() -> None:
    """Compress what the first visitor will ask for."""
    for file in files().values():
        if file.name.startswith(FIRST):
            small(file)
