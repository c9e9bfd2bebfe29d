"""What a page sends goes out in few writes, whole and in order, and nothing stays behind."""
import asyncio

import uvicorn
from streamlit.web.server.starlette.starlette_server import _get_websocket_protocol

from dashboard import frames


class Wire:
    """A transport that notes what it was given."""

    def __init__(self):
        self.written, self.closed = [], False

    def write(self, data):
        self.written.append(data)

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def get_extra_info(self, name):
        return f"the {name}"


def on_a_loop(work):
    async def run():
        wire = Wire()
        await work(wire, frames.Gathered(wire, asyncio.get_running_loop()))
        return wire
    return asyncio.run(run())


def test_many_small_messages_are_one_write():
    async def work(wire, gathered):
        for number in range(250):
            gathered.write(b"%d," % number)
        assert wire.written == []
        await asyncio.sleep(5 * frames.WAIT)
        gathered.write(b"later")
        await asyncio.sleep(5 * frames.WAIT)
    assert on_a_loop(work).written == [b"".join(b"%d," % number for number in range(250)), b"later"]


def test_what_is_large_does_not_wait_nor_overtake():
    async def work(wire, gathered):
        gathered.write(b"small")
        gathered.write(b"x" * frames.MOST)
        assert wire.written == [b"small" + b"x" * frames.MOST]
        await asyncio.sleep(5 * frames.WAIT)
    assert len(on_a_loop(work).written) == 1


def test_a_connection_that_is_closed_has_sent_what_was_held():
    async def work(wire, gathered):
        gathered.write(b"goodbye")
        gathered.close()
        gathered.write(b"too late")
        await asyncio.sleep(5 * frames.WAIT)
        assert gathered.get_extra_info("peername") == "the peername"
    wire = on_a_loop(work)
    assert wire.written == [b"goodbye"] and wire.closed


def test_uvicorn_takes_it_for_what_streamlit_asks_for(monkeypatch):
    monkeypatch.setattr(uvicorn.config, "WS_PROTOCOLS", dict(uvicorn.config.WS_PROTOCOLS))
    frames.use()
    config = uvicorn.Config(lambda: None, ws=_get_websocket_protocol())
    config.load()
    assert config.ws_protocol_class is frames.Gathering
