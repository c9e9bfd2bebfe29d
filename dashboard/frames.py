"""How messages go out: a page is some 250 small ones, and to hand each to the socket by itself costs more than to make it.

Streamlit's loop is woken for every message twice, rests after every message, and looks at every open page for what it may have to say: here it is woken
for all that wait, rests after some, and pages that are silent are passed by. What the settings say of colours is written once and not at every run. The
socket is uvicorn's own protocol for WebSockets, whose writes wait a few milliseconds for those that follow and then go out as one, in their order.
`use` puts it all in place before Streamlit and uvicorn look; tests/pages/test_frames.py names what of Streamlit it stands on.
"""
import asyncio
from collections import deque
from collections.abc import Callable
from functools import cache, lru_cache

import uvicorn.config
from streamlit.elements.widgets import button_group
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import Runtime, app_session
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.session_manager import ActiveSessionInfo
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

WAIT = 0.004          # seconds
MOST = 64 * 1024      # bytes that are not held back
TOGETHER = 50         # messages after which others have their turn; a client that falls 500 behind is given up


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


def said(session: AppSession) -> list[list[ForwardMsg]]:
    """What a page has to say since it was asked last. The loop rests after each of these as it would after one message."""
    if session._browser_queue.is_empty():
        return []
    found = session._browser_queue.flush()
    return [found[at:at + TOGETHER] for at in range(0, len(found), TOGETHER)]


def send(runtime: Runtime, to: ActiveSessionInfo, some: list[ForwardMsg]) -> None:
    """Some of them to their browser. Raises SessionClientDisconnectedError as Streamlit's own does: the loop knows what that means."""
    for message in some:
        _send(runtime, to, message)


def wake(runtime: Runtime) -> None:
    """There is something to send. A loop that knows it and has not looked yet need not be told again: it clears the mark before it looks."""
    loop = runtime._get_async_objs()
    if not loop.need_send_data.is_set():
        loop.eventloop.call_soon_threadsafe(loop.need_send_data.set)


def soon(session: AppSession, call: Callable[[], None]) -> None:
    """Have the loop make this call, after those that it was told of before: whatever a run does comes this way, from its own thread."""
    waiting = session.__dict__.setdefault("calls_that_wait", deque())
    waiting.append(call)
    if not session.__dict__.get("loop_knows"):
        session.loop_knows = True
        _soon(session, lambda: _make(session, waiting))


def _make(session: AppSession, waiting: deque) -> None:
    session.loop_knows = False                   # before the first: what comes from now on is made in this turn or told anew
    while waiting:
        try:
            waiting.popleft()()
        except Exception as error:               # of one call, as the loop itself would have it
            session._event_loop.call_exception_handler({"message": "A page's call failed.", "exception": error})


def theme(message: CustomThemeConfig, section: str = "theme") -> None:
    """What the settings say of colours and fonts: they do not change while a server runs."""
    if written := _written(section):
        message.MergeFromString(written)


@cache
def _written(section: str) -> bytes:
    message = CustomThemeConfig()
    _theme(message, section)
    return message.SerializeToString()


_send, _soon, _theme = Runtime._send_message, AppSession._call_soon_on_event_loop, app_session._populate_theme_msg
_icon = lru_cache(maxsize=4096)(button_group.extract_leading_icon)     # its pattern of all emoji is hashed anew for every label


def use() -> None:
    """For servers that this process starts from now on."""
    AppSession.flush_browser_queue, Runtime._send_message, Runtime._enqueued_some_message = said, send, wake
    AppSession._call_soon_on_event_loop, app_session._populate_theme_msg, button_group.extract_leading_icon = soon, theme, _icon
    uvicorn.config.WS_PROTOCOLS["websockets-sansio"] = f"{__name__}:{Gathering.__name__}"
