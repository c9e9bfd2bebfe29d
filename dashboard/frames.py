"""How messages go out: a page is some 250 small ones, and to write each to the socket by itself costs more than to make it.

This is uvicorn's own protocol for WebSockets, whose writes wait a few milliseconds for those that follow and then go out as one, in their order.
`use` puts it where `streamlit run` asks uvicorn for it, before uvicorn looks.
"""
import asyncio

import uvicorn.config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

WAIT = 0.004          # seconds
MOST = 64 * 1024      # bytes that are not held back


class Gathered:
    """A transport whose writes wait for those that follow. All else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop, self._held, self._size, self._timer = transport, loop, [], 0, None

    def __getattr__(self, name: str):
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._held.append(data)
        self._size += len(data)
        if self._size > MOST:
            self._flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(WAIT, self._flush)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        held, self._held, self._size, self._timer = self._held, [], 0, None
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))


class Gathering(WebSocketsSansIOProtocol):
    """As uvicorn's, on such a transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(Gathered(transport, self.loop))


def use() -> None:
    """For servers that this process starts from now on."""
    uvicorn.config.WS_PROTOCOLS["websockets-sansio"] = f"{__name__}:{Gathering.__name__}"
