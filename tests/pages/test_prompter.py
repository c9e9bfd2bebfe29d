"""Who is told that the tick moved on: whoever shows an older one, who waited longest first, few at a time, nobody twice at once."""
import asyncio
from threading import Event, Thread

import pytest
from streamlit.proto.ClientState_pb2 import ClientState

from dashboard import prompter as module
from dashboard.prompter import AGAIN, TOGETHER, Page, Prompter


@pytest.fixture
def told(monkeypatch):
    """A prompter with ten open pages at version 1; `told.asked`: which were asked, in order."""
    one = Prompter()
    one.on, one.asked = True, []
    monkeypatch.setattr(one, "_ask", lambda session, page: one.asked.append(session))
    for number in range(10):
        one._open[f"s{number}"] = Page(ClientState(), "viewer", 1, 0.0)
    return one


def test_those_that_show_an_older_tick_in_the_order_they_came(told):
    told._open["s1"].shows = 2
    assert told._next(2, 10.0) == ["s0", "s2", "s3"][:TOGETHER]
    assert told._next(1, 10.0) == ["s1"]


def test_no_more_than_a_few_run_at_a_time(told):
    told._running = {"x": 9.0, "y": 9.0}
    assert len(told._next(2, 10.0)) == TOGETHER - 2
    told._running["z"] = 9.0
    assert told._next(2, 10.0) == []


def test_a_page_that_did_not_follow_is_asked_again_only_later(told):
    for page in told._open.values():
        page.not_before = 10.0 + AGAIN
    assert told._next(2, 10.0) == [] and len(told._next(2, 10.0 + AGAIN)) == TOGETHER


def test_a_page_that_is_lost_makes_room_for_others(told, monkeypatch):
    monkeypatch.setattr(module, "LOST", 0.2)
    monkeypatch.setattr(module, "LOOK", 0.02)

    async def watch():
        stop = Event()
        thread = Thread(target=told.run, args=(lambda viewer: 2, asyncio.get_running_loop(), stop))
        thread.start()
        for _ in range(300):
            await asyncio.sleep(0.02)
            if len(told.asked) == 10:
                break
        stop.set()
        thread.join(2)

    asyncio.run(watch())
    assert told.asked == [f"s{number}" for number in range(10)] and not told._open, "each once, though none ever answered"
