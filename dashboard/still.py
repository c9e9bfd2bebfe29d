"""What a page shows and nobody can change in it (no widgets): drawn once for a scope, tick and language, then sent again as it was.

Most of a rerun of a page of figures is Streamlit making the same two hundred messages once more; to send them again costs a fifth of
that. The first drawing is sent in the same way as all later ones, so there is one way only. What another page has drawn of it for a later tick is passed
on without a run: of the two hundred the few that changed (``pass_on``).
"""
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import NamedTuple, TypeVar

import streamlit as st
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.forward_msg_cache import populate_hash_if_needed
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_run_context import ThreadState

from dashboard import data, words

SHOWS = {"heading", "markdown", "metric", "page_link", "plotly_chart", "space", "table"}     # and nothing that a session must know of
HOLDS = {"column", "flex_container", "grid_container"}
DRAWN = "still.drawn"       # session_state: what the page shows of it
Made = TypeVar("Made")


class Sent(NamedTuple):
    """A message as it was sent, and its place below the container."""

    place: tuple[int, ...]
    message: bytes


class Kept:
    """What a part sends and returns, once somebody has drawn it."""

    def __init__(self) -> None:
        self.lock, self.sent, self.made = Lock(), None, None


@dataclass
class Drawn:
    """What an open page shows: which part in which language, as of which version of the tick, where it stands."""

    part: tuple
    version: int
    kept: Kept
    place: tuple[int, ...]
    script: str


def draw(part: Callable[[], Made], *key: object) -> Made:
    """What ``part()`` draws, in a container of its own, and what it returns, which nobody may change. ``key`` names the part and says what it
    depends on beside the viewer's scope, the tick and the language. A page that stays with its moment (``data.hold``) has a drawing of its own."""
    run, container = get_script_run_ctx(), st.container()
    if run is None:                             # without a server nothing is sent
        return part()
    place = container._cursor.delta_path[:-1]
    kept = data.derived(Kept, key=key)
    with kept.lock:                             # of many who follow one tick the first draws, the others wait
        if kept.sent is None:
            kept.sent, kept.made = _record(run, part, container, len(place))
    for one in kept.sent:
        run.enqueue(_message(one, place))
    if st.session_state.get("held") is None and "tick" in st.session_state:
        st.session_state[DRAWN] = Drawn((words.language(), key), st.session_state.tick[0], kept, tuple(place), ThreadState.get().active_script_hash)
    return kept.made


def pass_on(page: AppSession, shows: Drawn, newer: Drawn) -> bool:
    """Send an open page that rests what changed of its part, which another page of the same scope has drawn for a later tick. False: other elements
    than it has, so it has to run. On the loop that takes what browsers send."""
    changed = _changed(shows.kept, newer.kept)
    if changed is None:
        return False
    for one in changed:
        message = _message(one, shows.place)
        message.metadata.active_script_hash = shows.script
        page._enqueue_forward_msg(message)
    shows.version, shows.kept = newer.version, newer.kept
    return True


@lru_cache(maxsize=64)
def _changed(before: Kept, after: Kept) -> list[Sent] | None:
    """The elements that are others; None where they do not stand in the same places of the same containers."""
    if [one.place for one in before.sent] != [one.place for one in after.sent]:
        return None
    changed = [(old, new) for old, new in zip(before.sent, after.sent) if old.message != new.message]
    return [new for _, new in changed] if all(_is_element(one) for pair in changed for one in pair) else None


def _is_element(one: Sent) -> bool:
    return ForwardMsg.FromString(one.message).delta.WhichOneof("type") == "new_element"


def _message(one: Sent, place: tuple[int, ...]) -> ForwardMsg:
    """As it was sent, in a container that stands there."""
    message = ForwardMsg.FromString(one.message)
    message.metadata.delta_path[:] = (*place, *one.place)
    return message


def _record(run, part: Callable[[], object], container, depth: int) -> tuple[list[Sent], object]:
    """What ``part()`` would send into the container, without sending it, and what it returns."""
    found: list[ForwardMsg] = []
    run.enqueue = found.append                  # of this run alone: it hides the method
    try:
        with container:
            made = part()
    finally:
        del run.enqueue
    for message in found:
        _check(message.delta)
        populate_hash_if_needed(message)
    return [Sent(tuple(message.metadata.delta_path[depth:]), message.SerializeToString()) for message in found], made


def _check(delta) -> None:
    """Raises TypeError for what has to be known to every run of every session that shows it: widgets, dialogs, fragments."""
    if delta.WhichOneof("type") == "add_block":
        kind, known = delta.add_block.WhichOneof("type"), HOLDS
    else:
        kind, known = delta.new_element.WhichOneof("type"), SHOWS
        if kind == "plotly_chart" and delta.new_element.plotly_chart.selection_mode:
            kind = "a chart that can be clicked"
    if kind not in known:
        raise TypeError(f"{kind} cannot be sent again")
