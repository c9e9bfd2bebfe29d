"""What another page has drawn for a later tick comes to those that show the same, and to nobody else: without a run, but never without asking who may see it."""
import asyncio
from dataclasses import replace

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_cache import populate_hash_if_needed

from dashboard import live, still
from dashboard.session import Ticket
from dashboard.still import Drawn, Kept, Sent
from queries.viewer import Role, Viewer

READER = Viewer(1, "reader", "读", Role("supervisor"), False, (1,), ())


def kept(*elements):
    """As drawn: (place, text) of a line of text; without a text a container."""
    found = Kept()
    found.sent = []
    for place, said in elements:
        message = ForwardMsg()
        if said is None:
            message.delta.add_block.flex_container.border = True
        else:
            message.delta.new_element.markdown.body = said
        populate_hash_if_needed(message)
        found.sent.append(Sent(place, message.SerializeToString()))
    return found


BEFORE = (((0,), "本周受理 7 件"), ((1,), None), ((1, 0), "逾期 2 件"), ((1, 1), "统计口径"))


class Page:
    """An open page that rests, and what it was sent."""

    def __init__(self, version=7, elements=BEFORE, reader=READER, part=("zh", ("review", 1)), form=None):
        self.session_state = {still.DRAWN: Drawn(part, version, kept(*elements), (0, 3), "script"), "viewer": reader, "ticket": Ticket(reader.login, id(self), None), "forms.open": form}
        self._scriptrunner, self.sent = None, []

    def _enqueue_forward_msg(self, message):
        self.sent.append((tuple(message.metadata.delta_path), message.delta.new_element.markdown.body, message.metadata.active_script_hash, bool(message.hash)))

    @property
    def drawn(self):
        return self.session_state[still.DRAWN]


@pytest.fixture
def pass_on(monkeypatch):
    """pass_on(ran, others): what was asked of whom, and then of the pages what they were sent."""
    def run(ran, *others, may=lambda ticket: READER, meanwhile=lambda: None):
        asked = []

        def redeem_all(tickets):
            asked.append(set(tickets))
            meanwhile()
            return {one: viewer for one in tickets if (viewer := may(one))}
        monkeypatch.setattr(live.session, "redeem_all", redeem_all)
        monkeypatch.setattr(live.prompter, "rests", lambda page: page._scriptrunner is None)
        asyncio.run(live.pass_on(ran, list(others)))
        return asked
    return run


AFTER = (((0,), "本周受理 8 件"), ((1,), None), ((1, 0), "逾期 3 件"), ((1, 1), "统计口径"))


def test_what_changed_is_sent_to_where_it_stands_and_nothing_else(pass_on):
    ran, others = Page(8, AFTER), [Page(), Page()]
    others[1].drawn.place = (0, 5)
    assert pass_on(ran, *others) == [{one.session_state["ticket"] for one in others}], "all by one question"
    assert others[0].sent == [((0, 3, 0), "本周受理 8 件", "script", True), ((0, 3, 1, 0), "逾期 3 件", "script", True)]
    assert [place for place, *_ in others[1].sent] == [(0, 5, 0), (0, 5, 1, 0)]
    assert ran.sent == [] and {one.drawn.version for one in others} == {8}
    assert pass_on(Page(9, BEFORE), others[0]) and [said for _, said, *_ in others[0].sent[2:]] == ["本周受理 7 件", "逾期 2 件"], "and from there on to the next"


@pytest.mark.parametrize("page", [Page(8), Page(9), Page(part=("en", ("review", 1))), Page(part=("zh", ("review", 2))), Page(form={"kind": "urge"}),
                                  *(Page(reader=replace(READER, **other))
                                    for other in ({"scope": (2,)}, {"role": Role("leader")}, {"sees_restricted": True}, {"apart": (5,)}))])
def test_another_question_another_scope_a_form_or_nothing_newer_gets_nothing(pass_on, page):
    version = page.drawn.version
    assert pass_on(Page(8, AFTER), page) == [] and page.sent == [] and page.drawn.version == version


def test_a_page_that_shows_none_of_it_and_one_that_nobody_opened_are_passed_by(pass_on):
    bare = Page()
    del bare.session_state[still.DRAWN]
    assert pass_on(Page(8, AFTER), bare) == [] and pass_on(bare, Page()) == []


@pytest.mark.parametrize("now", [None, replace(READER, scope=(2,)), replace(READER, role=Role("auditor"))])
def test_whoever_may_not_any_more_gets_nothing(pass_on, now):
    """Signed out, disabled or of another scope since the page was drawn."""
    page, other = Page(), Page()
    pass_on(Page(8, AFTER), page, other, may=lambda ticket: now if ticket == page.session_state["ticket"] else READER)
    assert page.sent == [] and page.drawn.version == 7 and len(other.sent) == 2


def test_a_page_that_began_to_run_meanwhile_is_left_alone(pass_on):
    page, drew = Page(), Page()

    def clicks():
        page._scriptrunner = object()
        drew.session_state[still.DRAWN] = Drawn(("zh", ("review", 1)), 9, kept(*AFTER), (0, 3), "script")
    pass_on(Page(8, AFTER), page, drew, meanwhile=clicks)
    assert page.sent == drew.sent == []


@pytest.mark.parametrize("after", [AFTER[:3], (*AFTER, ((2,), "又一行")), (AFTER[0], ((1,), "一行"), *AFTER[2:]), (((0,), None), *AFTER[1:])])
def test_where_other_elements_stand_the_page_runs_itself(pass_on, after):
    page = Page()
    pass_on(Page(8, after), page)
    assert page.sent == [] and page.drawn.version == 7
