"""What each role may do to a complaint (product.md §6, §7): the right one can, every other is refused by the permission and by the database, a key is one
act, the slower is told who was faster, and what is out of scope does not exist."""
from datetime import datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from dashboard import permissions
from queries import acts, connect, db
from queries.viewer import Role
from tests import makers

NOW = datetime.now(ZoneInfo("Asia/Shanghai"))
RECEIVED = NOW - timedelta(days=60)
PHONE = "13800001111"
SAID = f"已联系客户 {PHONE} 核实"

ACCOUNTS = (("sup", "supervisor", True, False, ()), ("sup2", "supervisor", True, False, ()), ("named", "supervisor", True, True, ()), ("sup_b", "supervisor", False, False, ("b",)),
            ("named_b", "supervisor", False, True, ("b",)), ("lead", "leader", True, False, ()), ("lead_b", "leader", False, False, ("b",)), ("a", "unit", False, False, ("a",)),
            ("b", "unit", False, False, ("b",)), ("svc", "service", False, False, ("svc",)), ("svc_b", "service", False, False, ("svc_b",)),
            ("dep", "department", False, False, ("product",)), ("dep_b", "department", False, False, ("b",)), ("disc", "discipline", True, False, ()),
            ("disc_b", "discipline", False, False, ("b",)), ("reg", "regulator", True, False, ()), ("aud", "auditor", True, False, ()), ("adm", "admin", True, False, ()),
            ("王五", "unit", False, False, ("a",)))


class Office:
    """总行 with 甲行 (below it 甲一), 乙行, two service centres and a department; an account of every role."""

    def __init__(self, urls):
        self.urls = urls
        self.u = self.owner(self._build)

    def _build(self, conn):
        u = {"head": makers.make_unit(conn, "总行", kind="head")}
        for key, name, above in (("a", "甲行", "head"), ("b", "乙行", "head"), ("svc", "客服中心", "head"), ("svc_b", "二中心", "head"), ("product", "产品部", "head"), ("a1", "甲一支行", "a")):
            u[key] = makers.make_unit(conn, name, u[above])
        for login, role, whole, crime, units in ACCOUNTS:
            id_ = conn.execute(text("insert into app_user (login, name, role, all_units, sees_restricted) values (:l, :l, :r, :w, :c) returning user_id"),
                               {"l": login, "r": role, "w": whole, "c": crime}).scalar_one()
            for unit in units:
                conn.execute(text("insert into user_scope values (:i, :u)"), {"i": id_, "u": u[unit]})
        return u

    def owner(self, work, **params):
        return connect.as_owner(self.urls["admin"], work, **params)

    def run(self, sql, **params):
        return self.owner(lambda conn: conn.execute(text(sql), params))

    def rows(self, sql, **params):
        return self.owner(lambda conn: [dict(row) for row in conn.execute(text(sql), params).mappings()])

    def row(self, sql, **params):
        return self.rows(sql, **params)[0]

    def complaint(self, unit="a1", done=False, **columns):
        columns = {name: self.u.get(value, value) if name.endswith("unit_id") else value for name, value in columns.items()}
        one = self.owner(lambda conn: makers.make_complaint(conn, received=RECEIVED, unit=self.u[unit], **columns))
        if done:
            self.owner(lambda conn: makers.reply(conn, one, RECEIVED + timedelta(days=2)))
        return one

    def act(self, login, name, complaint, **params):
        with db.writing(self.urls, db.viewer_of(self.urls, login)) as conn:
            return getattr(acts, name)(conn, **{"key": uuid4().hex, "complaint_id": complaint, **params})

    def possible(self, login, complaint):
        with db.reading(self.urls, db.viewer_of(self.urls, login)) as conn:
            return acts.possible(conn, complaint)

    def version(self, complaint):
        return self.row("select version from complaint where complaint_id = :c", c=complaint)["version"]

    def events(self, complaint, code):
        return self.rows("select reason, params, who_is(user_id) as who from event where complaint_id = :c and code = :code order by event_id", c=complaint, code=code)

    def told(self, complaint):
        number = self.row("select complaint_no from complaint where complaint_id = :c", c=complaint)["complaint_no"]
        return [(row["kind"], row["unit_id"]) for row in self.rows("select kind, unit_id from outbox where params -> 'complaints' ? :n order by outbox_id", n=number)]

    def state(self, complaint):
        return self.row("select state from state(clock_timestamp()) where complaint_id = :c and clock = 'r'", c=complaint)["state"]

    # -- a complaint for which an act is possible, and what the act needs
    def urged(self, **columns):
        one = self.complaint(**columns)
        with db.writing(self.urls, db.viewer_of(self.urls, "sup")) as conn:
            acts.urge(conn, key=uuid4().hex, complaints=[one], level=2, note="请办理")
        return one, self.row("select max(urge_id) as n from urge where complaint_id = :c", c=one)["n"]

    def contested(self):
        one = self.complaint()
        self.act("a", "contest", one, words=SAID)
        return one, 1

    def withdrawn(self, **columns):
        one = self.complaint(**{"accepting_unit_id": "svc"} | columns)
        self.owner(lambda conn: makers.withdraw(conn, one, RECEIVED + timedelta(days=1)))
        return one, 1

    def directed(self):
        one = self.complaint()
        self.act("lead", "directive", one, words="请分管领导牵头办理")
        return one, 1

    def to_rectify(self):
        one = self.complaint()
        self.run("insert into rectification (complaint_id, rectification_no, unit_id, measure) values (:c, 1, :u, '修订流程')", c=one, u=self.u["product"])
        return one, 1

    def undispatched(self, **columns):
        return self.complaint("svc", **{"accepting_unit_id": "svc", "about_unit_id": "a1"} | columns)

    def case(self, name):
        """(complaint, parameters) with which the act `name` succeeds."""
        say = {"words": SAID}
        if name in ("sign", "answer"):
            one, no = self.urged()
            return one, {"no": no} | (say if name == "answer" else {})
        if name in ("delay", "contest", "directive", "note", "mark"):
            return self.complaint(), say
        if name == "unmark":
            one = self.complaint()
            self.act("sup", "mark", one)
            return one, say
        if name == "decide":
            one, no = self.contested()
            return one, {"no": no, "choice": "upheld", "version": self.version(one)} | say
        if name == "withdrawal":
            one, no = self.withdrawn()
            return one, {"no": no, "choice": "voluntary"} | say
        if name == "call_back":
            return self.complaint(done=True), {"choice": "answered", "score": "satisfied"} | say
        if name == "send_back":
            one = self.complaint(done=True)
            return one, {"version": self.version(one)} | say
        if name == "directive_answer":
            one, no = self.directed()
            return one, {"no": no} | say
        if name == "dispatch":
            one = self.undispatched()
            return one, {"unit_id": self.u["a1"], "handler": None, "version": 1}
        if name == "rectify":
            one, no = self.to_rectify()
            return one, {"no": no} | say
        return self.complaint(category="financial_crime"), say       # handle


@pytest.fixture(scope="module")
def office(desk_module):
    return Office(desk_module)


# act: who can, who sees the complaint of the case and still may not, who does not see it, the event it leaves
ACTS = {
    "sign": ("a", "sup", "b", "urge_acknowledged"), "answer": ("a", "sup", "b", "urge_answered"), "delay": ("a", "lead", "b", "delay_reported"),
    "contest": ("a", "sup", "b", "contested"), "decide": ("sup", "a", "sup_b", "contest_decided"), "call_back": ("sup", "a", "sup_b", "called_back"),
    "send_back": ("sup", "lead", "sup_b", "returned"), "withdrawal": ("svc", "a", "svc_b", "withdrawal_verified"), "mark": ("sup", "lead", "sup_b", "marked"),
    "unmark": ("sup", "a", "sup_b", "marked"), "note": ("sup", "a", "sup_b", "noted"), "directive": ("lead", "sup", "lead_b", "directive"),
    "directive_answer": ("a", "lead", "b", "directive_answered"), "dispatch": ("svc", "sup", "svc_b", "hop_sent"), "rectify": ("dep", "a", "dep_b", "rectified"),
    "handle": ("disc", "named", "disc_b", "handled"),
}


def refused(office, login, name, complaint, **params):
    with pytest.raises(acts.Refused) as found:
        office.act(login, name, complaint, **params)
    return found.value


@pytest.mark.parametrize("name", ACTS)
def test_the_right_role_can_and_an_event_and_an_audit_row_are_left(office, name):
    login, _, _, code = ACTS[name]
    one, params = office.case(name)
    assert name in office.possible(login, one)
    before = len(office.events(one, code))
    assert office.act(login, name, one, **params).done == [one]
    events = office.events(one, code)
    assert len(events) == before + 1 and events[-1]["who"] == login
    trail = office.row("select act, who_is(user_id) as who, params::text as params from audit where complaint_id = :c order by audit_id desc limit 1", c=one)
    assert (trail["act"], trail["who"]) == (name, login) and SAID not in trail["params"] and PHONE not in trail["params"]


@pytest.mark.parametrize("name", ACTS)
def test_another_role_is_refused_by_the_permission_and_by_the_database(office, name):
    _, wrong, _, code = ACTS[name]
    one, params = office.case(name)
    before = len(office.events(one, code))
    assert not permissions.may(db.viewer_of(office.urls, wrong).role, name) and name not in office.possible(wrong, one)
    for login in (wrong, "reg", "aud", "adm"):
        with pytest.raises(DBAPIError) as error:
            office.act(login, name, one, **params)
        assert error.value.orig.pgcode == "42501", login
    assert len(office.events(one, code)) == before


@pytest.mark.parametrize("name", ACTS)
def test_an_account_that_takes_another_role_of_its_login_is_refused_by_its_account(office, name):
    right, wrong, _, _ = ACTS[name]
    one, params = office.case(name)
    borrowed, viewer = db.viewer_of(office.urls, right), db.viewer_of(office.urls, wrong)
    with pytest.raises(DBAPIError) as error, db.writing(office.urls, borrowed) as conn:
        conn.execute(text("select set_config('app.user_id', :u, true)"), {"u": str(viewer.user_id)})
        getattr(acts, name)(conn, key=uuid4().hex, complaint_id=one, **params)
    assert error.value.orig.pgcode == "42501"


@pytest.mark.parametrize("name", ACTS)
def test_out_of_scope_is_not_there(office, name):
    _, _, elsewhere, code = ACTS[name]
    one, params = office.case(name)
    before = len(office.events(one, code))
    assert office.possible(elsewhere, one) == {}
    assert refused(office, elsewhere, name, one, **params).code == refused(office, elsewhere, name, 10**12, **params).code == "not_there"
    assert len(office.events(one, code)) == before


@pytest.mark.parametrize("name", ACTS)
def test_the_same_key_is_one_act_and_with_other_words_it_is_refused(office, name):
    login, _, _, code = ACTS[name]
    one, params = office.case(name)
    key, before = uuid4().hex, len(office.events(one, code))
    first, again = (office.act(login, name, one, key=key, **params) for _ in range(2))
    assert again.replayed and not first.replayed and again.done == first.done == [one]
    assert len(office.events(one, code)) == before + 1
    other = params | ({"words": "别的话"} if "words" in params else {"no": 10**6} if "no" in params else {"handler": "张三"})
    assert refused(office, login, name, one, key=key, **other).code == "key_reused"


@pytest.mark.parametrize("name", ["sign", "answer", "contest", "decide", "withdrawal", "send_back", "mark", "unmark", "directive_answer", "dispatch", "rectify", "handle"])
def test_the_second_is_told_who_was_faster(office, name):
    login, code = ACTS[name][0], ACTS[name][3]
    one, params = office.case(name)
    office.act(login, name, one, **params)
    late = refused(office, login, name, one, **params)
    assert late.code == ("changed_meanwhile" if "version" in params else "not_now")
    assert late.params["who"] == login and isinstance(late.params["at"], datetime) and late.params["what"]
    assert len(office.events(one, code)) == (2 if name == "unmark" else 1)


@pytest.mark.parametrize("name", ["decide", "send_back", "dispatch"])
def test_whoever_decides_on_what_has_changed_meanwhile_is_refused(office, name):
    one, params = office.case(name)
    office.owner(lambda conn: makers.change(conn, one, NOW, handler="李四"))
    late = refused(office, ACTS[name][0], name, one, **params)
    assert (late.code, late.params["what"]) == ("changed_meanwhile", "handler_changed")


@pytest.mark.parametrize(("name", "params", "code"), [
    ("answer", {"words": " "}, "no_words"), ("answer", {"promised": (NOW - timedelta(days=1)).date()}, "bad_day"), ("delay", {"words": ""}, "no_reason"),
    ("delay", {"told_at": NOW + timedelta(days=1)}, "bad_moment"), ("delay", {"told_at": RECEIVED - timedelta(days=1)}, "bad_moment"), ("contest", {"words": ""}, "no_reason"),
    ("decide", {"words": ""}, "no_reason"), ("decide", {"choice": None}, "no_choice"), ("call_back", {"choice": None}, "no_choice"), ("call_back", {"score": None}, "no_score"),
    ("send_back", {"words": ""}, "no_reason"), ("withdrawal", {"choice": None}, "no_choice"), ("note", {"words": ""}, "no_words"), ("directive", {"words": ""}, "no_words"),
    ("directive", {"answer_by": (NOW - timedelta(days=1)).date()}, "bad_day"), ("directive_answer", {"words": ""}, "no_words"), ("dispatch", {"unit_id": None}, "no_unit"),
    ("rectify", {"words": ""}, "no_words"), ("handle", {"words": ""}, "no_words")])
def test_what_an_act_needs(office, name, params, code):
    one, right = office.case(name)
    before = office.row("select count(*) as n from event where complaint_id = :c", c=one)
    assert refused(office, ACTS[name][0], name, one, **right | params).code == code
    assert office.row("select count(*) as n from event where complaint_id = :c", c=one) == before


def test_the_permissions_are_those_of_the_database(office):
    for role in Role:
        said = set(office.row("select acts_of(:r) as acts", r=role)["acts"])
        assert said == {name for name in ACTS if permissions.may(role, name)}, role


# -- what comes of each

def test_an_answer_signs_and_promises(office):
    one, no = office.urged()
    day = (NOW + timedelta(days=2)).date()
    office.act("a", "answer", one, no=no, words="正在办理", promised=day)
    assert office.row("select answer, promised_on, acknowledged_at = answered_at as signed, moved_at = answered_at as moved from urge where complaint_id = :c", c=one) == {
        "answer": "正在办理", "promised_on": day, "signed": True, "moved": True}
    assert "sign" not in office.possible("a", one)


def test_only_who_has_it_now_answers(office):
    one, no = office.urged()
    about, _ = office.urged(unit="b", about_unit_id="a1")
    assert office.possible("a", about) == {} and refused(office, "a", "delay", about, words=SAID).code == "not_now", "complained about, and not theirs to handle"
    office.owner(lambda conn: makers.move(conn, one, office.u["b"], NOW))
    assert refused(office, "a", "sign", one, no=no).code == "not_now" and "sign" not in office.possible("b", one), "not the urge of another unit"


def test_nobody_acts_on_a_complaint_about_themselves(office):
    one, no = office.urged(person="王 五")
    assert office.possible("王五", one) == {} and refused(office, "王五", "sign", one, no=no).code == "not_there"
    assert "sign" in office.possible("a", one)


def test_a_delay_report_leaves_the_limit(office):
    one = office.complaint()
    before = office.row("select due_at, state from state(clock_timestamp()) where complaint_id = :c and clock = 'r'", c=one)
    office.act("a", "delay", one, words=SAID, told_at=NOW - timedelta(days=1))
    assert office.row("select due_at, state from state(clock_timestamp()) where complaint_id = :c and clock = 'r'", c=one) == before
    assert office.row("select kind, customer_told_at is not null as told from delay where complaint_id = :c", c=one) == {"kind": "report", "told": True}


def test_a_contest_upheld_excludes_and_one_refused_does_not(office):
    for choice, state in (("upheld", "X"), ("refused", "E")):
        one, no = office.contested()
        office.act("sup", "decide", one, no=no, choice=choice, words="情况属实" if choice == "upheld" else "理由不充分", version=office.version(one))
        assert office.state(one) == state and office.told(one) == [("decided", office.u["a1"])]
        assert office.row("select exclusion from complaint where complaint_id = :c", c=one)["exclusion"] == ("contest" if choice == "upheld" else None)


def test_three_attempts_to_call_back_and_no_more(office):
    one = office.complaint(done=True)
    for _ in range(3):
        office.act("sup", "call_back", one, choice="unreachable", score="satisfied")
    assert "call_back" not in office.possible("sup", one) and refused(office, "sup", "call_back", one, choice="unreachable").code == "not_now"
    assert {row["score"] for row in office.rows("select score from call_back where complaint_id = :c", c=one)} == {None}, "who was not reached has no score"
    answered = office.complaint(done=True)
    office.act("sup", "call_back", answered, choice="answered", score="dissatisfied", words="没有解决")
    assert "call_back" not in office.possible("sup", answered)
    assert "call_back" not in office.possible("sup", office.complaint()), "not before there is a reply"
    assert "call_back" not in office.possible("sup", office.complaint(done=True, category="anonymous"))


def test_sent_back_for_redo_the_clock_never_stopped(office):
    one, params = office.case("send_back")
    assert office.state(one) == "A"
    office.act("sup", "send_back", one, **params)
    assert office.state(one) == "E" and office.told(one) == [("returned", office.u["a1"])]
    assert office.events(one, "returned")[0]["reason"] == SAID


def test_a_withdrawal_is_verified_by_whom_accepted_it_and_never_by_the_unit_complained_about(office):
    voluntary, no = office.withdrawn()
    office.act("svc", "withdrawal", voluntary, no=no, choice="voluntary")
    pressured, no = office.withdrawn()
    office.act("svc", "withdrawal", pressured, no=no, choice="pressured", words="客户称被要求撤诉")
    assert (office.state(voluntary), office.state(pressured)) == ("X", "E")
    assert office.events(pressured, "withdrawal_verified")[0]["reason"] == "客户称被要求撤诉"
    centre, no = office.withdrawn()
    assert "withdrawal" not in office.possible("sup", centre), "the service centre's"
    own, no = office.withdrawn(about_unit_id="svc")
    assert "withdrawal" not in office.possible("svc", own) and refused(office, "svc", "withdrawal", own, no=no, choice="voluntary").code == "not_now"
    assert office.act("sup", "withdrawal", own, no=no, choice="voluntary").done == [own]
    union, no = office.withdrawn(accepting_unit_id="head")
    assert office.act("sup", "withdrawal", union, no=no, choice="voluntary").done == [union]


def test_a_directive_is_answered_by_the_unit_or_the_office(office):
    for login in ("a", "sup"):
        one, no = office.directed()
        assert office.told(one) == [("directive", office.u["a1"])] and office.events(one, "directive")[0]["reason"] == "请分管领导牵头办理"
        office.act(login, "directive_answer", one, no=no, words="已办理")
        assert office.row("select answer, answered_at is not null as done from directive where complaint_id = :c", c=one) == {"answer": "已办理", "done": True}
        assert office.events(one, "directive_answered")[0] == {"reason": "已办理", "params": {"directive": 1}, "who": login}


def test_what_was_dispatched_is_the_units_and_not_the_service_centres_any_more(office):
    one = office.undispatched(person="李 四")
    for handler in ("李四", " 李 四"):
        assert refused(office, "svc", "dispatch", one, unit_id=office.u["a1"], handler=handler, version=1).code == "conflict_of_interest"
    assert refused(office, "svc", "dispatch", one, unit_id=office.u["svc"], handler=None, version=1).code == "same_unit"
    office.act("svc", "dispatch", one, unit_id=office.u["a1"], handler="张三", version=1)
    now = office.row("select unit_id, handler, dispatched_at is not null as sent from complaint where complaint_id = :c", c=one)
    assert now == {"unit_id": office.u["a1"], "handler": "张三", "sent": True} and office.told(one) == [("dispatched", office.u["a1"])]
    hop = office.row("select h.unit_id, h.sent_at = c.dispatched_at as same from hop h join complaint c using (complaint_id) where complaint_id = :c", c=one)
    assert hop == {"unit_id": office.u["a1"], "same": True}
    assert "dispatch" not in office.possible("svc", one) and "delay" in office.possible("a", one)


def test_a_mark_is_there_until_it_is_taken_away(office):
    one = office.complaint()
    for name, other in (("mark", "unmark"), ("unmark", "mark")):
        office.act("sup", name, one)
        assert other in office.possible("sup", one) and name not in office.possible("sup", one)


def test_a_rectification_is_answered_by_its_department(office):
    one, no = office.to_rectify()
    office.act("dep", "rectify", one, no=no, words="流程已修订")
    assert office.row("select feedback, done_at is not null as done from rectification where complaint_id = :c", c=one) == {"feedback": "流程已修订", "done": True}


@pytest.mark.parametrize(("columns", "replied"), [({}, True), ({"anonymous": True}, False), ({"source_unit_id": "head"}, True), ({"source_unit_id": "head", "anonymous": True}, False)])
def test_a_report_of_financial_crime_is_handled_by_discipline_alone(office, columns, replied):
    one = office.complaint(category="financial_crime", **columns)
    office.act("disc", "note", one, words="已立案")
    office.act("disc", "handle", one, words="查实并移送")
    now = office.row("select ended_at is not null as ended, customer_replied_at is not null as replied from complaint where complaint_id = :c", c=one)
    assert now == {"ended": True, "replied": replied}
    assert office.possible("disc", office.complaint()) == {}, "nothing else is discipline's"


# -- messages

def test_a_message_about_financial_crime_says_nothing_and_goes_to_those_who_may_see_it(office):
    one = office.complaint(category="financial_crime", title="举报甲行行长")
    number = office.row("select complaint_no from complaint where complaint_id = :c", c=one)["complaint_no"]
    start = office.row("select coalesce(max(outbox_id), 0) as n from outbox")["n"]
    with db.writing(office.urls, db.viewer_of(office.urls, "named")) as conn:
        assert acts.urge(conn, key=uuid4().hex, complaints=[one], level=2, note=SAID).messages == 0
    with db.writing(office.urls, db.viewer_of(office.urls, "named")) as conn:
        assert acts.reassign(conn, key=uuid4().hex, complaint_id=one, version=1, unit_id=office.u["b"], handler=None, reason=SAID).messages == 0
    office.act("disc", "note", one, words=SAID)
    office.act("disc", "handle", one, words=SAID)
    sent = office.rows("select kind, unit_id, params, u.login, o::text as whole from outbox o left join app_user u using (user_id) where outbox_id > :n order by outbox_id", n=start)
    assert sent and {row["kind"] for row in sent} == {"look"} and all(row["unit_id"] is None and row["params"] == {} for row in sent)
    assert not any(word in row["whole"] for row in sent for word in (number, PHONE, "举报", "核实"))
    assert {row["login"] for row in sent[:1]} <= {"disc", "disc_b"}
    assert {row["login"] for row in sent} == {"disc", "disc_b", "named", "named_b"}, "the report has been at 乙行 since"
    assert "disc_b" not in {row["login"] for row in sent[:1]}, "when it was urged it was out of their scope"


def test_a_message_names_what_was_just_done_and_holds_no_text(office):
    foreign = office.complaint()
    for params, expected in (("{}", 0), ('{"note": "13800001111"}', None)):
        with db.writing(office.urls, db.viewer_of(office.urls, "sup")) as conn:
            statement = text("select tell('urge', :u, array[cast(:c as bigint)], cast(:p as jsonb))")
            if expected is None:
                with pytest.raises(DBAPIError, match="codes and numbers"):
                    conn.execute(statement, {"u": office.u["b"], "c": foreign, "p": params})
                break
            conn.execute(statement, {"u": office.u["b"], "c": foreign, "p": params})
        assert office.told(foreign) == [], "nothing was done to it in this transaction"


@pytest.mark.parametrize("sql", [
    "insert into outbox (kind, unit_id) values ('urge', 1)", "update urge set answer = 'x' where complaint_id = :c", "update contest set upheld = true where complaint_id = :c",
    "insert into event (complaint_id, at, code) values (:c, clock_timestamp(), 'noted')", "insert into delay (complaint_id, delay_no, reported_at, reason) values (:c, 9, clock_timestamp(), 'x')",
    "update directive set answer = 'x' where complaint_id = :c", "update complaint set excluded_at = clock_timestamp() where complaint_id = :c",
    "insert into call_back (complaint_id, call_no, at, by_whom, outcome) values (:c, 9, clock_timestamp(), 'office', 'refused')"])
@pytest.mark.parametrize("login", ["sup", "lead", "a", "svc", "dep", "disc"])
def test_no_role_gets_past_the_acts_to_the_tables(office, login, sql):
    one = office.complaint()
    with pytest.raises(DBAPIError) as error, db.writing(office.urls, db.viewer_of(office.urls, login)) as conn:
        conn.execute(text(sql), {"c": one})
    assert error.value.orig.pgcode == "42501"


# -- who configures reads no case

SECRETS = ("张三丰", PHONE, "柜台被拒绝办理", "投诉标题甲乙", SAID)


@pytest.fixture(scope="module")
def told_everything(office):
    """A complaint whose identity and text are known, with everything done to it that writes a text, and a row of it that did not land."""
    one = office.complaint(title="投诉标题甲乙")
    office.run("insert into complaint_text (complaint_id, text, demand) values (:c, '柜台被拒绝办理', '柜台被拒绝办理')", c=one)
    office.run("select keep_persons(array[:c], array['张三丰'], array[:p])", c=one, p=PHONE)
    with db.writing(office.urls, db.viewer_of(office.urls, "sup")) as conn:
        acts.urge(conn, key=uuid4().hex, complaints=[one], level=2, note=SAID)
        acts.reveal(conn, complaint=one, reason=f"核实 {PHONE}")
        acts.release(conn, complaint=one, shown=True, reason=f"检查 {PHONE}")
    for name in ("delay", "contest"):
        office.act("a", name, one, words=SAID)
    office.act("sup", "note", one, words=SAID)
    office.act("sup", "mark", one, words=SAID)
    with db.writing(office.urls, db.viewer_of(office.urls, "sup")) as conn:
        acts.reassign(conn, key=uuid4().hex, complaint_id=one, version=1, unit_id=office.u["b"], handler="李四", reason=SAID)
    office.run("""with b as (insert into import_batch (source_id, file, digest, mapping) select source_id, 'a.csv', 'd', 'm' from source limit 1 returning batch_id)
                  insert into quarantine (batch_id, line, field, value, reason) select batch_id, 1, '', '张三丰 柜台被拒绝办理', 'malformed_row' from b""")
    return one


def test_no_parameter_of_the_audit_holds_an_identity_or_a_text(office, told_everything):
    trail = " ".join(row["whole"] for row in office.rows("select a::text as whole from audit a"))
    assert all(act in trail for act in ("reveal", "release", "urge", "reassign", "delay", "note"))
    assert [word for word in SECRETS if word in trail] == []


def test_an_administrator_reads_no_identity_and_no_text_wherever_they_look(office, told_everything):
    relations = [row["name"] for row in office.rows("select relname::text as name from pg_class where relnamespace = 'desk'::regnamespace and relkind in ('r', 'v', 'm')")]
    functions = [row["call"] for row in office.rows("""select p.proname || '(' || (select coalesce(string_agg('null::' || format_type(t, null), ', '), '') from unnest(p.proargtypes) t) || ')' as call
        from pg_proc p where p.pronamespace = 'desk'::regnamespace and p.prorettype <> 'trigger'::regtype and has_function_privilege('r_admin', p.oid, 'execute')
         and p.proname not in ('tick_now', 'refuse') order by 1""")]
    assert {"quarantine", "complainant", "outbox", "request"} <= set(relations) and "admin_users()" in functions and "admin_sources()" in functions
    read, said = [], ""
    for what in [*relations, *functions]:
        with db.writing(office.urls, db.viewer_of(office.urls, "adm")) as conn:
            try:
                said += " ".join(conn.execute(text(f"select x::text from {what} x")).scalars().all() or [""]) if "(" not in what else str(conn.execute(text(f"select * from {what}")).all())
                read.append(what)
            except DBAPIError:
                conn.rollback()
                continue
            conn.rollback()
    assert {"unit", "source", "request", "admin_users()", "admin_sources()"} <= set(read) and not {"quarantine", "complaint", "audit", "outbox", "event"} & set(read)
    assert [word for word in SECRETS if word in said] == []
