"""Urge and reassign: once, by one, with everything they leave behind, whoever clicks how often."""
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from queries import acts, connect, db
from tests import makers

SUPERVISORS = tuple(f"supervisor-{n}" for n in range(8))


class Office:
    """A head office with two branches, eight supervisors, a regulator, and late complaints at will."""

    def __init__(self, urls):
        self.urls, now = urls, datetime.now(ZoneInfo("Asia/Shanghai"))
        self.received = now - timedelta(days=60)
        self.units = self.owner(self._build)

    def _build(self, conn):
        head = makers.make_unit(conn, "总行")
        units = {"head": head, "ningbo": makers.make_unit(conn, "宁波分行", head),
                 "shenzhen": makers.make_unit(conn, "深圳分行", head)}
        contact = "insert into unit_contact (unit_id, rank, name, phone) values (:u, 1, '陈立', '0574-87201162')"
        conn.execute(text(contact), {"u": units["ningbo"]})
        account = text("insert into app_user (login, name, role, all_units) values (:l, :n, :r, true)")
        for login in SUPERVISORS:
            conn.execute(account, {"l": login, "n": f"王敏{login[-1]}", "r": "supervisor"})
        conn.execute(account, {"l": "regulator", "n": "检查组", "r": "regulator"})
        conn.execute(text("insert into app_user (login, name, role) values ('elsewhere', '外地', 'supervisor')"))
        conn.execute(text("""insert into user_scope select user_id, :u from app_user where login = 'elsewhere'"""),
                     {"u": units["shenzhen"]})
        return units

    def owner(self, work, **params):
        return connect.as_owner(self.urls["admin"], work, **params)

    def complaint(self, unit="ningbo", **columns):
        return self.owner(lambda conn: makers.make_complaint(conn, received=self.received, unit=self.units[unit],
                                                             **columns))

    def act(self, act, login=SUPERVISORS[0], **params):
        with db.writing(self.urls, db.viewer_of(self.urls, login)) as conn:
            return act(conn, **{"key": uuid4().hex, **params})

    def reassign(self, complaint, login=SUPERVISORS[0], **params):
        return self.act(acts.reassign, login, **{"complaint_id": complaint, "version": 1,
                                                 "unit_id": self.units["shenzhen"], "handler": None,
                                                 "reason": "归口办理", **params})

    def count(self, table, where="true", **params):
        return self.owner(lambda conn: conn.execute(text(f"select count(*) from {table} where {where}"),
                                                    params).scalar_one())

    def row(self, sql, **params):
        return self.owner(lambda conn: conn.execute(text(sql), params).mappings().one())


@pytest.fixture
def office(desk):
    return Office(desk)


def test_an_urge_leaves_an_event_an_audit_row_and_one_message_a_unit(office):
    ids = [office.complaint(), office.complaint(), office.complaint("shenzhen")]
    outcome = office.act(acts.urge, complaints=ids, level=2, note="请于周五前办结")
    assert (outcome.done, outcome.skipped, outcome.messages, outcome.replayed) == (sorted(ids), [], 2, False)
    assert office.count("urge") == office.count("event", "code = 'urged'") == office.count("audit", "act = 'urge'") == 3
    assert office.count("outbox", "kind = 'urge'") == 2
    assert office.row("select contact, phone, user_name, level from urge where complaint_id = :id", id=ids[0]) == {
        "contact": "陈立", "phone": "0574-87201162", "user_name": "王敏0", "level": 2}


def test_the_same_key_is_one_urge_and_the_second_answer_is_the_first(office):
    one, key = office.complaint(), uuid4().hex
    first = office.act(acts.urge, key=key, complaints=[one], level=2)
    again = office.act(acts.urge, key=key, complaints=[one], level=2)
    assert again.replayed and (again.done, again.skipped, again.messages) == (first.done, first.skipped, first.messages)
    assert office.count("urge") == office.count("outbox") == office.count("audit", "act = 'urge'") == 1


def test_the_same_key_with_another_content_is_refused(office):
    one, key = office.complaint(), uuid4().hex
    office.act(acts.urge, key=key, complaints=[one], level=2)
    for other in ({"level": 3}, {"level": 2, "note": "别的"}, {"level": 2, "complaints": [office.complaint()]}):
        with pytest.raises(acts.Refused) as refused:
            office.act(acts.urge, key=key, **{"complaints": [one], **other})
        assert refused.value.code == "key_reused"
    assert office.count("urge") == 1


def test_the_key_of_somebody_else_is_refused(office):
    one, key = office.complaint(), uuid4().hex
    office.act(acts.urge, key=key, complaints=[one], level=2)
    with pytest.raises((acts.Refused, DBAPIError)):
        office.act(acts.urge, SUPERVISORS[1], key=key, complaints=[one], level=2)


def test_a_second_urge_on_the_same_working_day_is_skipped_with_who_and_when(office):
    one, other = office.complaint(), office.complaint()
    office.act(acts.urge, complaints=[one], level=2)
    outcome = office.act(acts.urge, SUPERVISORS[1], complaints=[one, other], level=2)
    assert outcome.done == [other]
    skipped = outcome.skipped[0]
    assert (skipped["id"], skipped["code"], skipped["who"]) == (one, "already_urged", "王敏0")
    assert datetime.fromisoformat(skipped["at"]) == office.row("select sent_at from urge where complaint_id = :id",
                                                               id=one)["sent_at"]
    assert office.act(acts.urge, complaints=[one],
                      level=3).done == [one], "the next step of the ladder is another matter"


def test_eight_clicks_at_once_urge_once(office):
    one = office.complaint()
    outcomes = together(lambda n: office.act(acts.urge, SUPERVISORS[n], complaints=[one], level=2))
    assert sorted(len(o.done) for o in outcomes) == [0] * 7 + [1]
    assert all(o.skipped[0]["who"].startswith("王敏") for o in outcomes if o.skipped)
    assert office.count("urge") == office.count("outbox") == 1


def test_eight_times_the_same_click_urges_once(office):
    one, key = office.complaint(), uuid4().hex
    outcomes = together(lambda n: office.act(acts.urge, key=key, complaints=[one], level=2))
    assert all(o.done == [one] for o in outcomes) and sum(not o.replayed for o in outcomes) == 1
    assert office.count("urge") == 1


def test_done_and_foreign_complaints_are_not_urged(office):
    done, foreign, mine = office.complaint("shenzhen"), office.complaint("ningbo"), office.complaint("shenzhen")
    office.owner(lambda conn: makers.reply(conn, done, office.received + timedelta(days=1)))
    outcome = office.act(acts.urge, "elsewhere", complaints=[done, foreign, mine], level=2)
    assert outcome.done == [mine]
    assert {one["id"]: one["code"] for one in outcome.skipped} == {done: "already_done", foreign: "not_there"}


def test_a_call_is_on_record_and_sends_nothing(office):
    one = office.complaint()
    with pytest.raises(acts.Refused) as refused:
        office.act(acts.urge, complaints=[one], level=2, via="telephone", spoke_to=" ")
    assert refused.value.code == "no_contact_name"
    outcome = office.act(acts.urge, complaints=[one], level=2, via="telephone", spoke_to="陈立",
                         promised=datetime.now().date())
    assert outcome.done == [one] and outcome.messages == 0 and office.count("outbox") == 0
    sql = "select via, spoke_to, promised_on is not null as promised, acknowledged_at = sent_at as heard from urge"
    assert office.row(sql) == {
        "via": "telephone", "spoke_to": "陈立", "promised": True, "heard": True}


@pytest.mark.parametrize(("params", "code"), [({"level": 0}, "bad_level"), ({"complaints": []}, "nothing_chosen")])
def test_an_urge_without_level_or_complaint_is_refused(office, params, code):
    with pytest.raises(acts.Refused) as refused:
        office.act(acts.urge, **{"complaints": [office.complaint()], "level": 2, **params})
    assert refused.value.code == code


def test_a_reassignment_changes_the_unit_keeps_the_limit_and_tells_both(office):
    one = office.complaint()
    sql = """select due_at, state, unit_id, charged_unit_id from state(clock_timestamp())
              where complaint_id = :id and clock = 'r'"""
    before = office.row(sql, id=one)
    outcome = office.reassign(one, handler="张三", reason="业务归口")
    after = office.row(sql, id=one)
    assert outcome.done == [one] and outcome.messages == 2
    assert (after["due_at"], after["state"], after["unit_id"]) == (before["due_at"], "E", office.units["shenzhen"])
    assert after["charged_unit_id"] == office.units["ningbo"], "whoever had it when the limit passed stays accountable"
    event = office.row("select reason, unit_from, unit_to, who_is(user_id) as who from event where code = 'reassigned'")
    assert event == {"reason": "业务归口", "unit_from": office.units["ningbo"], "unit_to": office.units["shenzhen"],
                     "who": "王敏0"}
    assert office.count("audit", "act = 'reassign'") == 1 and office.count("outbox", "kind = 'reassigned'") == 2


def test_the_same_key_reassigns_once(office):
    one, key = office.complaint(), uuid4().hex
    office.reassign(one, key=key)
    assert office.reassign(one, key=key).replayed
    assert office.count("event", "code = 'reassigned'") == 1


def test_eight_supervisors_reassign_at_once_and_seven_are_told_who_was_faster(office):
    one = office.complaint()

    def attempt(n):
        try:
            return office.reassign(one, SUPERVISORS[n], reason=f"第{n}个")
        except acts.Refused as refused:
            return refused

    results = together(attempt)
    winners = [n for n, result in enumerate(results) if isinstance(result, acts.Outcome)]
    assert len(winners) == 1
    for result in results:
        if isinstance(result, acts.Refused):
            assert (result.code, result.params["who"], result.params["what"]) == ("changed_meanwhile",
                                                                                  f"王敏{winners[0]}", "reassigned")
    assert office.count("event", "code = 'reassigned'") == office.count("audit", "act = 'reassign'") == 1


def test_the_loser_is_told_of_the_reassignment_even_if_it_was_urged_since(office):
    one = office.complaint()
    office.reassign(one, SUPERVISORS[1])
    office.act(acts.urge, SUPERVISORS[2], complaints=[one], level=2)
    with pytest.raises(acts.Refused) as refused:
        office.reassign(one)
    assert (refused.value.params["who"], refused.value.params["what"]) == ("王敏1", "reassigned")


@pytest.mark.parametrize(("params", "code"), [
    ({"reason": "  "}, "no_reason"), ({"handler": " 李 四 "}, "conflict_of_interest"),
    ({"version": 7}, "changed_meanwhile"),
    ({"unit_id": "ningbo"}, "same_unit"), ({"complaint_id": 10**12}, "not_there")])
def test_what_a_reassignment_may_not_be(office, params, code):
    one = office.complaint(person="李四")
    params = {name: office.units.get(value, value) if name == "unit_id" else value for name, value in params.items()}
    with pytest.raises(acts.Refused) as refused:
        office.reassign(one, **params)
    assert refused.value.code == code
    left = [office.count("event", "code = 'reassigned'"), office.count("outbox"), office.count("request")]
    assert left == [0, 0, 0], "nothing is left of it"


def test_a_done_complaint_is_not_reassigned_but_a_reopened_one_is(office):
    one = office.complaint()
    office.owner(lambda conn: makers.reply(conn, one, office.received + timedelta(days=1)))
    version = office.row("select version from complaint where complaint_id = :id", id=one)["version"]
    with pytest.raises(acts.Refused) as refused:
        office.reassign(one, version=version)
    assert refused.value.code == "already_done"
    office.owner(lambda conn: makers.reopen(conn, one, office.received + timedelta(days=2)))
    assert office.reassign(one, version=version).done == [one]


def test_a_complaint_out_of_scope_does_not_exist_for_the_act(office):
    with pytest.raises(acts.Refused) as refused:
        office.reassign(office.complaint("ningbo"), "elsewhere")
    assert refused.value.code == "not_there"


@pytest.mark.parametrize("sql", [
    "insert into urge (complaint_id, level, work_day, unit_id) values (:id, 2, current_date, :unit)",
    "update complaint set unit_id = :unit, handler = '某某' where complaint_id = :id",
    "insert into request (key, user_id, act, payload) values ('12345678', 1, 'urge', :unit)",
    "insert into outbox (kind, unit_id) values ('urge', :unit)",
    "insert into event (complaint_id, at, code) values (:id, now(), 'urged')",
    "select audit_add('urge', :id, '{}'::jsonb)", "delete from urge where complaint_id = :id"])
def test_a_regulators_write_is_denied_by_the_database(office, sql):
    one = office.complaint()
    with pytest.raises(DBAPIError) as error, db.writing(office.urls, db.viewer_of(office.urls, "regulator")) as conn:
        conn.execute(text(sql.replace("'{}'::jsonb", "cast('{}' as jsonb)")),
                     {"id": one, "unit": office.units["ningbo"]})
    assert error.value.orig.pgcode == "42501"


def test_the_acts_themselves_are_denied_to_a_regulator(office):
    one = office.complaint()
    with pytest.raises(DBAPIError) as error:
        office.act(acts.urge, "regulator", complaints=[one], level=2)
    assert error.value.orig.pgcode == "42501"
    with pytest.raises(DBAPIError) as error:
        office.reassign(one, "regulator")
    assert error.value.orig.pgcode == "42501"


def together(work, n=8):
    """The same work n times at the same moment."""
    gate = Barrier(n)

    def one(k):
        gate.wait()
        return work(k)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(one, range(n)))
