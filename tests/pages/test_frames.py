"""What a page sends goes out in few writes, whole and in order, and nothing stays behind."""
import asyncio
import inspect
from types import SimpleNamespace

import pytest
import uvicorn
from streamlit.elements.widgets import button_group
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.NewSession_pb2 import NewSession
from streamlit.runtime import Runtime, app_session
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue
from streamlit.runtime.session_manager import SessionClientDisconnectedError
from streamlit.string_util import extract_leading_icon
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


def message(number):
    return ForwardMsg(hash=str(number), session_event={"script_changed_on_disk": True})


def test_a_page_hands_over_all_it_has_to_say_in_order_and_some_at_a_time():
    page = SimpleNamespace(_browser_queue=ForwardMsgQueue())
    assert frames.said(page) == []
    for number in range(2 * frames.TOGETHER + 1):
        page._browser_queue.enqueue(message(number))
    some = frames.said(page)
    assert [len(one) for one in some] == [frames.TOGETHER, frames.TOGETHER, 1] and frames.said(page) == []
    heard = []
    to = SimpleNamespace(client=SimpleNamespace(write_forward_msg=heard.append), script_run_count=0)
    for one in some:
        frames.send(None, to, one)
    assert [one.hash for one in heard] == [str(number) for number in range(2 * frames.TOGETHER + 1)]


def test_a_browser_that_is_gone_is_told_to_the_loop():
    def gone(_):
        raise SessionClientDisconnectedError
    with pytest.raises(SessionClientDisconnectedError):
        frames.send(None, SimpleNamespace(client=SimpleNamespace(write_forward_msg=gone), script_run_count=0), [message(1), message(2)])


def test_the_loop_is_woken_once_for_what_it_has_not_looked_at_and_again_for_what_comes_after():
    async def work():
        loop = SimpleNamespace(need_send_data=asyncio.Event(), eventloop=asyncio.get_running_loop())
        runtime, told = SimpleNamespace(_get_async_objs=lambda: loop), []
        loop.eventloop = SimpleNamespace(call_soon_threadsafe=lambda call: (told.append(call), call()))
        for _ in range(250):
            frames.wake(runtime)
        assert loop.need_send_data.is_set() and len(told) == 1
        loop.need_send_data.clear()                 # as the loop does before it looks
        frames.wake(runtime)
        assert loop.need_send_data.is_set() and len(told) == 2
    asyncio.run(work())


def test_calls_for_the_loop_are_made_in_order_by_few_wakings_and_one_that_fails_stops_no_other():
    async def work():
        loop, woken, made, failed = asyncio.get_running_loop(), [], [], []
        loop.set_exception_handler(lambda _, context: failed.append(str(context["exception"])))

        def told(call):
            woken.append(call)
            loop.call_soon_threadsafe(call)
        page = SimpleNamespace(_event_loop=SimpleNamespace(call_soon_threadsafe=told, call_exception_handler=loop.call_exception_handler))

        def break_():
            raise ValueError("this one")

        def run():                                   # as a run does, in a thread of its own
            for number in range(100):
                frames.soon(page, break_ if number == 50 else lambda number=number: made.append(number))
        await asyncio.to_thread(run)
        await asyncio.sleep(0.01)
        frames.soon(page, lambda: (made.append("in the loop"), frames.soon(page, lambda: made.append("by a call"))))
        assert made[-1] == 99, "nothing is made before the loop has its turn"
        await asyncio.sleep(0.01)
        assert made == [*range(50), *range(51, 100), "in the loop", "by a call"] and failed == ["this one"]
        assert 2 <= len(woken) < 100
    asyncio.run(work())


def test_after_the_loop_is_closed_a_call_is_dropped():
    page = SimpleNamespace(_event_loop=asyncio.new_event_loop())
    page._event_loop.close()
    frames.soon(page, lambda: pytest.fail("it was made"))


def test_colours_and_icons_are_what_streamlit_says():
    for section in ("theme", "theme.light", "theme.dark", "theme.sidebar", "theme.dark.sidebar"):
        ours, theirs = NewSession(), NewSession()
        frames.theme(ours.custom_theme, section)
        app_session._populate_theme_msg(theirs.custom_theme, section)
        assert ours == theirs and ours.HasField("custom_theme") == theirs.HasField("custom_theme")
    for text in ("本周", "🚨 坏", ":material/key: x", "", "week"):
        assert frames._icon(text) == extract_leading_icon(text)


def test_it_stands_where_streamlit_and_uvicorn_look(monkeypatch):
    monkeypatch.setattr(uvicorn.config, "WS_PROTOCOLS", dict(uvicorn.config.WS_PROTOCOLS))
    ours = {(AppSession, "flush_browser_queue"): frames.said, (Runtime, "_send_message"): frames.send, (Runtime, "_enqueued_some_message"): frames.wake,
            (AppSession, "_call_soon_on_event_loop"): frames.soon, (app_session, "_populate_theme_msg"): frames.theme, (button_group, "extract_leading_icon"): frames._icon}
    for owner, name in ours:
        monkeypatch.setattr(owner, name, getattr(owner, name))      # as it was, when the test is over; fails where Streamlit has no such thing any more
    frames.use()
    config = uvicorn.Config(lambda: None, ws=_get_websocket_protocol())
    config.load()
    assert config.ws_protocol_class is frames.Gathering
    for (owner, name), own in ours.items():
        assert vars(owner)[name] is own


@pytest.mark.parametrize("asks, what", [
    (Runtime._loop_coroutine, ("need_send_data.clear()", "flush_browser_queue()", "self._send_message(active_session_info, msg)", "SessionClientDisconnectedError")),
    (AppSession._on_scriptrunner_event, ("self._call_soon_on_event_loop(",)),
    (AppSession._create_new_session_message, ("_populate_theme_msg(msg.new_session.custom_theme)",))], ids=("loop", "events", "theme"))
def test_streamlit_still_asks_them(asks, what):
    """A newer Streamlit that goes another way must not pass by in silence."""
    said = inspect.getsource(asks)
    assert [one for one in what if one not in said] == []
    if asks is Runtime._loop_coroutine:
        assert said.index("need_send_data.clear()") < said.index("flush_browser_queue()"), "wake() relies on it"
