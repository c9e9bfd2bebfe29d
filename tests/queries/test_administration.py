"""What an administrator changes: done once, in the audit with old and new value, refused to everybody else by the database."""
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from threading import Barrier
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from queries import accounts, acts, administration, calendars, connect, db
from queries.viewer import Role
from tests import makers
from tests.makers import CN

ZONE = ZoneInfo(CN)


class Office:
    """A tree of three levels with a few complaints, two administrators, and an account of every other role."""

    def __init__(self, urls):
        self.urls, self.now = urls, datetime.now(ZONE)
        self.today = self.now.date()
        self.units = self.owner(self._build)

    def _build(self, conn):
        head = makers.make_unit(conn, "总行", kind="head")
        north, south = (makers.make_unit(conn, name, head, kind="branch1") for name in ("北行", "南行"))
        city = makers.make_unit(conn, "北城", north, kind="branch2")
        first, second = (makers.make_unit(conn, name, city, kind="outlet") for name in ("一所", "二所"))
        for login, role in [("boss", "admin"), ("deputy", "admin")] + [(role.value, role.value) for role in Role if role not in ("admin", "intake")]:
            conn.execute(text("insert into app_user (login, name, role, all_units) values (:l, :l, :r, true)"), {"l": f"a.{login}", "r": role})
        return {"head": head, "north": north, "south": south, "city": city, "first": first, "second": second}

    def owner(self, work, **params):
        return connect.as_owner(self.urls["admin"], work, **params)

    def sql(self, statement, **params):
        return self.owner(lambda conn: conn.execute(text(statement), params).all())

    def one(self, statement, **params):
        (row,) = self.sql(statement, **params)
        return row[0]

    def complaint(self, unit="first", days=5, **columns):
        return self.owner(lambda conn: makers.make_complaint(conn, received=self.now - timedelta(days=days), unit=self.units[unit], **columns))

    def act(self, act, login="a.boss", **params):
        with db.writing(self.urls, db.viewer_of(self.urls, login)) as conn:
            return act(conn, **{"key": uuid4().hex, **params})

    def try_(self, preview, **params):
        with db.writing(self.urls, db.viewer_of(self.urls, "a.boss")) as conn:
            return preview(conn, **params)

    def read(self, query, *args, login="a.boss", **params):
        with db.reading(self.urls, db.viewer_of(self.urls, login)) as conn:
            return query(conn, *args, **params)

    def refused(self, act, login="a.boss", **params):
        with pytest.raises(acts.Refused) as refused:
            self.act(act, login, **params)
        return refused.value

    def audited(self, act):
        """user's login and params of the latest audit row of this act."""
        row = self.sql("select u.login, a.params from audit a left join app_user u using (user_id) where a.act = :a order by audit_id desc limit 1", a=act)
        return tuple(row[0]) if row else None

    def id(self, login):
        return self.one("select user_id from app_user where login = :l", l=login)

    def seen(self, login):
        return self.read(administration.user, self.id(login))

    def session(self, login):
        return accounts.begin(self.urls, self.id(login), "password", "127.0.0.1")


@pytest.fixture
def office(desk):
    return Office(desk)


def new(**changes):
    return {"login": "li.min", "name": "李敏", "role": "supervisor", "all_units": False, "units": [], "sees_restricted": False,
            "valid_from": None, "valid_until": None} | changes


def spans_are_true(office):
    return office.sql("select * from check_spans()") == []


# -- accounts -------------------------------------------------------------------------------------------------------

def test_an_account_is_added_changed_and_in_the_audit_with_old_and_new(office):
    units = [office.units["north"], office.units["south"]]
    made = office.act(administration.user_add, new=new(units=units, sees_restricted=True))
    assert office.audited("user_added") == ("a.boss", {"user": made.id, "login": "li.min", "old": {}, "new": office.seen("li.min")})
    assert db.viewer_of(office.urls, "li.min").scope == tuple(units)
    until = (office.now + timedelta(days=30)).isoformat()
    seen = office.seen("li.min")
    office.act(administration.user_set, id=made.id, seen=seen, new=seen | {"role": "regulator", "units": units[:1], "sees_restricted": False, "valid_until": until})
    who, params = office.audited("user_changed")
    assert (who, params["user"]) == ("a.boss", made.id)
    assert params["old"] == {"role": "supervisor", "units": units, "sees_restricted": True, "valid_until": None}
    assert params["new"].keys() == params["old"].keys() and params["new"]["role"] == "regulator" and params["new"]["units"] == units[:1]
    row = office.read(administration.users).set_index("login").loc["li.min"]
    assert (row.role, row.units, row.active, row.has_password) == ("regulator", units[:1], True, False)
    assert row.valid_until.to_pydatetime() == datetime.fromisoformat(until)


def test_disabling_ends_sessions_and_links(office):
    token, link = office.session("a.leader"), accounts.fresh()
    office.act(administration.user_link, id=office.id("a.leader"), token=link)
    assert accounts.find(office.urls, token) and accounts.link(office.urls, link).login == "a.leader"
    office.act(administration.user_enable, id=office.id("a.leader"), on=False)
    assert accounts.find(office.urls, token) is None and accounts.link(office.urls, link) is None
    who, params = office.audited("user_disabled")
    assert who == "a.boss" and (params["old"], params["new"]) == ({"active": True}, {"active": False})
    assert office.refused(administration.user_enable, id=office.id("a.leader"), on=False).code == "nothing_changed"
    office.act(administration.user_enable, id=office.id("a.leader"), on=True)
    assert office.audited("user_enabled")[1]["new"] == {"active": True}


def test_a_locked_account_is_unlocked_and_its_sessions_ended(office):
    for _ in range(5):
        accounts.check_password(office.urls, "a.leader", "wrong wrong wrong", "10.0.0.1")
    row = office.read(administration.users).set_index("login").loc["a.leader"]
    assert row.failures == 5 and row.locked_until > office.now + timedelta(minutes=4)
    office.act(administration.user_unlock, id=office.id("a.leader"))
    assert office.audited("user_unlocked")[1]["old"] == {"failures": 5}
    assert not office.one("select sign_in_blocked('a.leader', '10.0.0.9')")
    tokens = [office.session("a.leader") for _ in range(2)]
    assert office.read(administration.users).set_index("login").loc["a.leader"].sessions == 2
    assert office.act(administration.sessions_end, id=office.id("a.leader")).n == 2
    assert [accounts.find(office.urls, token) for token in tokens] == [None, None]
    assert office.audited("sessions_ended")[1]["old"] == {"sessions": 2}


def test_a_set_up_link_sets_a_password_and_is_nowhere_to_be_read(office):
    token, key = accounts.fresh(), uuid4().hex
    office.act(administration.user_link, key=key, id=office.id("a.leader"), token=token)
    assert office.act(administration.user_link, key=key, id=office.id("a.leader"), token=token).replayed, "the connection broke, the same form tries again"
    assert office.audited("invite") == ("a.boss", {"user": office.id("a.leader"), "login": "a.leader"})
    assert token not in str(office.sql("select * from audit")) + str(office.sql("select * from request")) + str(office.sql("select * from set_up_link"))
    assert accounts.use_link(office.urls, token, "a.leader", "orange window river 9") == office.id("a.leader")
    assert office.read(administration.users).set_index("login").loc["a.leader"].has_password


def test_the_own_account_is_nobodys_to_change(office):
    boss, seen = office.id("a.boss"), office.seen("a.boss")
    for act, params in ((administration.user_set, {"seen": seen, "new": seen | {"role": "supervisor"}}), (administration.user_enable, {"on": False}),
                        (administration.user_link, {"token": accounts.fresh()}), (administration.sessions_end, {}), (administration.user_unlock, {})):
        assert office.refused(act, id=boss, **params).code == "own_account"
    assert office.seen("a.boss") == seen


def test_two_administrators_who_disable_each_other_leave_one(office):
    barrier = Barrier(2)

    def disable(login, other):
        viewer, id = db.viewer_of(office.urls, login), office.id(other)
        barrier.wait()
        try:
            with db.writing(office.urls, viewer) as conn:
                return administration.user_enable(conn, key=uuid4().hex, id=id, on=False)
        except DBAPIError as error:
            return error.orig.pgcode

    with ThreadPoolExecutor(2) as pool:
        came = list(pool.map(disable, ("a.boss", "a.deputy"), ("a.deputy", "a.boss")))
    assert sorted(isinstance(one, administration.Done) for one in came) == [False, True] and "42501" in came
    assert office.one("select count(*) from app_user where role = 'admin' and active and not builtin") == 1


def test_an_administrator_who_goes_on_without_end_remains(office):
    office.sql("update app_user set valid_until = clock_timestamp() + interval '1 day' where login = 'a.boss' returning 1")
    seen = office.seen("a.deputy")
    assert office.refused(administration.user_enable, id=office.id("a.deputy"), on=False).code == "last_administrator"
    for change in ({"role": "leader"}, {"valid_until": (office.now + timedelta(days=9)).isoformat()}):
        assert office.refused(administration.user_set, id=office.id("a.deputy"), seen=seen, new=seen | change).code == "last_administrator"


def test_who_is_faster_wins_and_the_other_is_told(office):
    seen, id = office.seen("a.leader"), office.id("a.leader")
    office.act(administration.user_set, "a.deputy", id=id, seen=seen, new=seen | {"name": "郑国平"})
    refused = office.refused(administration.user_set, id=id, seen=seen, new=seen | {"name": "别人"})
    assert (refused.code, refused.params["who"]) == ("changed_meanwhile", "a.deputy") and abs(refused.params["at"] - office.now) < timedelta(minutes=5)
    assert office.seen("a.leader")["name"] == "郑国平"


def test_the_same_key_is_one_account(office):
    key = uuid4().hex
    first = office.act(administration.user_add, key=key, new=new())
    again = office.act(administration.user_add, key=key, new=new())
    assert (again.id, again.replayed) == (first.id, True) and office.one("select count(*) from audit where act = 'user_added'") == 1
    assert office.refused(administration.user_add, key=key, new=new(name="别人")).code == "key_reused"


@pytest.mark.parametrize(("changes", "code"), [
    ({"login": "Li Min"}, "bad_login"), ({"login": "a.leader"}, "login_taken"), ({"name": " "}, "no_name"), ({"role": "intake"}, "bad_role"), ({"role": "root"}, "bad_role"),
    ({"role": "leader", "sees_restricted": True}, "not_restricted"), ({"units": [99999]}, "no_unit"),
    ({"valid_from": "2027-01-02T00:00:00+08:00", "valid_until": "2027-01-01T00:00:00+08:00"}, "bad_time")])
def test_what_makes_no_account(office, changes, code):
    assert office.refused(administration.user_add, new=new(**changes)).code == code
    assert office.one("select count(*) from app_user where login = 'li.min'") == 0


def test_the_command_line_makes_accounts_by_the_same_functions(office):
    office.owner(accounts.add, login="zhao.gong", name="赵工", role="unit", unit=office.units["city"])
    assert office.audited("user_added")[1]["new"]["units"] == [office.units["city"]] and office.audited("user_added")[0] is None
    with pytest.raises(ValueError, match="taken"):
        office.owner(accounts.add, login="zhao.gong", name="赵工", role="unit")
    office.owner(accounts.enable, login="zhao.gong", active=False)
    office.owner(accounts.enable, login="zhao.gong", active=False)
    assert office.one("select count(*) from audit where act = 'user_disabled'") == 1
    with pytest.raises(LookupError):
        office.owner(accounts.invite, login="zhao.gong")


# -- nobody else ----------------------------------------------------------------------------------------------------

def _functions(office):
    return office.sql("""select p.proname, array(select format_type(t, null) from unnest(p.proargtypes) t) as types
                           from pg_proc p where p.pronamespace = 'desk'::regnamespace and p.proname like 'admin\\_%' order by 1""")


@pytest.mark.parametrize("role", [role.value for role in Role if role != Role.admin])
def test_no_other_role_may_call_any_of_it(office, role):
    functions = _functions(office)
    assert len(functions) > 20
    viewer = db.viewer_of(office.urls, "intake" if role == "intake" else f"a.{role}")
    for name, types in functions:
        with pytest.raises(DBAPIError, match="permission denied for function"), db.writing(office.urls, viewer) as conn:
            conn.execute(text(f"select {name}({', '.join(f'null::{one}' for one in types)})"))


def test_a_forged_administrator_is_asked_who_it_is(office):
    """The database role alone is not enough: the account behind the transaction must be an administrator's."""
    forged = db.Viewer(office.id("a.leader"), "a.leader", "a.leader", Role.admin, False, (0,))
    for name, types in _functions(office):
        with pytest.raises(DBAPIError, match="only an administrator"), db.writing(office.urls, forged) as conn:
            conn.execute(text(f"select {name}({', '.join(f'null::{one}' for one in types)})"))


@pytest.mark.parametrize("statement", [
    "select hash from credential", "select * from app_user", "select * from set_up_link", "select * from session", "update app_user set role = 'supervisor' where user_id = me()",
    "insert into user_scope values (1, 1)", "update unit set name = 'x'", "update unit_contact set phone = '1'", "update policy_limit set amount = 99", "delete from policy",
    "update workday set working = true", "update source set name = 'x'", "select unit_move(1, 2)", "select recompute_provisional(1)", "select user_put(null, '{}')",
    "select user_state(1)", "select link_make(1, '\\x00', '1 day')", "select policy_make(1, '{}')", "select unit_moved(1, 2, true)", "select calendar_load(1, 2027, '{}', '{}', '{}', '{}', '')",
    "update audit set act = 'x'", "update request set user_id = 1"])
def test_an_administrator_has_no_way_round_the_audit(office, statement):
    with pytest.raises(DBAPIError, match="permission denied"), db.writing(office.urls, db.viewer_of(office.urls, "a.boss")) as conn:
        conn.execute(text(statement))


def test_no_answer_holds_a_hash(office):
    token = accounts.fresh()
    office.act(administration.user_link, id=office.id("a.leader"), token=token)
    accounts.use_link(office.urls, token, "a.leader", "orange window river 9")
    hashed = office.one("select hash from credential")
    assert hashed.startswith("$argon2id$") and hashed not in office.read(administration.users).to_csv() + json.dumps(office.seen("a.leader"))


# -- policies -------------------------------------------------------------------------------------------------------

def draft_of(office, pack="bank", begins=None, **amounts):
    """The latest version of a pack and a draft of the next, its limits by category complexity: s=(amount, target, soon)."""
    base = office.read(administration.versions).query("pack == @pack").iloc[0]
    limits = office.read(administration.limits, int(base.policy_id))
    changed = [{"limit_id": int(row.limit_id), "amount": amounts[row.complexity][0], "target": amounts[row.complexity][1], "soon": amounts[row.complexity][2]}
               for row in limits.itertuples() if row.clock == "r" and row.complexity in amounts]
    return int(base.policy_id), {"from": (begins or office.read(administration.earliest, pack)).isoformat(), "title": "新办法", "title_en": "New rule", "limits": changed}


def test_a_policy_preview_is_what_happens_to_new_complaints(office):
    ids = [office.complaint(days=n, category="violation") for n in (1, 3, 12, 13)] + [office.complaint(days=2, category="service_attitude")]
    crime = office.complaint(days=1, category="financial_crime")
    before = office.sql("select complaint_id, due_at, limit_id from clock_span where clock = 'r' order by 1")
    base, draft = draft_of(office, c=(2, 1, 1))
    told = office.try_(administration.policy_preview, base=base, draft=draft, since=office.now - timedelta(days=30))
    reply = next(row for row in told["clocks"] if row["clock"] == "r")
    assert (reply["n"], reply["earlier"], reply["later"], reply["same"]) == (5, 4, 0, 1) and told["open_kept"] == 5
    assert office.sql("select complaint_id, due_at, limit_id from clock_span where clock = 'r' order by 1") == before and len(before) == 6
    assert office.one("select count(*) from policy where policy_id < 0 or published_at is not null") == 0, "a preview keeps nothing"
    would = {one: office.sql("select l.due_at from complaint c, limit_at(c.policy_id, 'r', c.category_id, 'c', c.channel_id, c.received_at, c.calendar_id, null) l where complaint_id = :c", c=one)
             for one in ids[:4]}
    made = office.act(administration.policy_publish, base=base, draft=draft).id
    assert office.sql("select complaint_id, due_at, limit_id from clock_span where clock = 'r' order by 1") == before, "what is there keeps its version"
    overdue = 0
    for one in ids[:4]:
        was = would[one][0][0]
        now = office.one("select l.due_at from complaint c, limit_at(:p, 'r', c.category_id, 'c', c.channel_id, c.received_at, c.calendar_id, null) l where complaint_id = :c", p=made, c=one)
        assert now < was
        overdue += was >= office.now > now
    assert reply["overdue"] == overdue
    received = datetime.combine(date.fromisoformat(draft["from"]), datetime.min.time(), ZONE) + timedelta(hours=10)
    fresh = office.owner(lambda conn: makers.make_complaint(conn, received=received, unit=office.units["first"], category="violation"))
    (policy, due), = office.sql("select policy_id, due_at from complaint join clock_span using (complaint_id) where complaint_id = :c and clock = 'r'", c=fresh)
    assert policy == made
    assert due == office.one("select due_at from limit_at(:p, 'r', (select category_id from complaint where complaint_id = :c), 'c', null, :r, "
                             "(select calendar_id from complaint where complaint_id = :c), null)", p=made, c=fresh, r=received)
    assert spans_are_true(office) and crime


def test_a_published_version_is_in_the_audit_and_can_be_withdrawn_until_it_is_in_force(office):
    base, draft = draft_of(office, begins=office.today + timedelta(days=10), c=(8, 5, 2))
    made = office.act(administration.policy_publish, base=base, draft=draft).id
    who, params = office.audited("policy_published")
    assert who == "a.boss" and params["policy"] == made
    assert params["old"]["limits"]["r/c"] == {"amount": 10, "target": 7, "soon": 3} and params["new"]["limits"]["r/c"] == {"amount": 8, "target": 5, "soon": 2}
    assert (params["old"]["version"], params["new"]["version"]) == (1, 2)
    assert office.read(administration.versions).query("pack == 'bank'").state.tolist() == ["coming", "active"]
    refused = office.refused(administration.policy_publish, base=base, draft=draft | {"title": "又一个"})
    assert refused.code == "changed_meanwhile" and refused.params["who"] == "a.boss", "a draft of a version that is not the latest"
    office.act(administration.policy_withdraw, id=made)
    who, params = office.audited("policy_withdrawn")
    assert params["old"]["limits"]["r/c"]["amount"] == 8 and params["new"] == {}
    assert office.read(administration.versions).query("pack == 'bank'").version.tolist() == [1]
    assert office.refused(administration.policy_withdraw, id=base).code == "in_force", "the product's own"
    office.act(administration.policy_publish, base=base, draft=draft | {"from": office.today.isoformat()})
    coming = office.read(administration.versions).query("pack == 'bank'").iloc[0]
    assert coming.state == "active" and office.refused(administration.policy_withdraw, id=int(coming.policy_id)).code == "in_force"


def test_a_version_begins_today_or_later_and_after_every_receipt_it_would_touch(office):
    base, draft = draft_of(office, c=(8, 5, 2))
    assert draft["from"] == office.today.isoformat()
    yesterday = (office.today - timedelta(days=1)).isoformat()
    assert office.refused(administration.policy_publish, base=base, draft=draft | {"from": yesterday}).params["earliest"] == office.today.isoformat()
    office.complaint(days=0)
    assert office.refused(administration.policy_publish, base=base, draft=draft).params["earliest"] == (office.today + timedelta(days=1)).isoformat()


@pytest.mark.parametrize(("values", "code"), [((0, None, 0), "bad_limit"), ((8, 8, 2), "bad_limit"), ((8, 5, 9), "bad_limit"), ((None, None, 0), "bad_limit"),
                                              ((10, 7, 3), "nothing_changed")])
def test_limits_that_no_policy_has(office, values, code):
    base, draft = draft_of(office, c=values)
    assert office.refused(administration.policy_publish, base=base, draft=draft).code == code
    foreign = office.one("select min(limit_id) from policy_limit l join policy p using (policy_id) where p.pack = 'city'")
    assert office.refused(administration.policy_publish, base=base, draft=draft | {"limits": [{"limit_id": foreign, "amount": 3, "target": None, "soon": 0}]}).code == "bad_limit"
    assert office.refused(administration.policy_publish, base=base, draft=draft | {"title": ""}).code == "no_title"


# -- calendars ------------------------------------------------------------------------------------------------------

def next_year(office, *off):
    """A year that is not published yet, with these days (month, day) off."""
    year = office.one("select min(year) from calendar_year join calendar using (calendar_id) where code = 'CN' and status = 'estimated' and year > 2020")
    days = calendars.exceptions("day,working,name\n" + "\n".join(f"{year}-{month:02}-{day:02},0,元旦" for month, day in off), year)
    return office.one("select calendar_id from calendar where code = 'CN'"), year, days


def test_a_year_is_loaded_as_previewed_and_provisional_limits_are_computed_again(office):
    cal, year, days = next_year(office, *((1, n) for n in range(1, 9)))
    ids = [office.owner(lambda conn, day=day: makers.make_complaint(conn, received=datetime(year - 1, 12, day, 10, tzinfo=ZONE), unit=office.units["first"]))
           for day in (1, 28, 29)]
    before = dict(office.sql("select complaint_id, due_at from clock_span where clock = 'r'"))
    assert office.one("select count(*) from clock_span where provisional and clock = 'r'") == 2
    told = office.try_(administration.calendar_preview, calendar_id=cal, year=year, days=days)
    assert told["complaints"] == told["later"] == told["final"] == 2 and told["earlier"] == 0 and told["days"] > 4
    assert dict(office.sql("select complaint_id, due_at from clock_span where clock = 'r'")) == before, "a preview keeps nothing"
    seen = office.read(administration.year, cal, year)
    assert seen["status"] == "estimated"
    assert office.act(administration.calendar_load, id=cal, year=year, seen=seen, days=days, origin="notice.csv").n == 2
    after = dict(office.sql("select complaint_id, due_at from clock_span where clock = 'r'"))
    assert [after[one] > before[one] for one in ids] == [False, True, True] and spans_are_true(office)
    assert office.one("select count(*) from clock_span where provisional") == 0
    who, params = office.audited("calendar_loaded")
    assert (who, params["calendar"], params["year"], params["complaints"]) == ("a.boss", cal, year, 2)
    assert (params["old"]["status"], params["new"]["status"], params["new"]["origin"]) == ("estimated", "published", "notice.csv")
    assert len(params["new"]["days"]) == told["days"] and set(params["new"]["days"].values()) == {False}
    refused = office.refused(administration.calendar_load, id=cal, year=year, seen=seen, days=days, origin="again.csv")
    assert refused.code == "changed_meanwhile" and refused.params["who"] == "a.boss"
    row = office.read(administration.years).query("year == @year and calendar_id == @cal")
    assert row.empty or row.iloc[0].status == "published"


def test_provisional_limits_are_computed_again_on_demand(office):
    cal, year, _ = next_year(office, (1, 1))
    office.owner(lambda conn: makers.make_complaint(conn, received=datetime(year - 1, 12, 29, 10, tzinfo=ZONE), unit=office.units["first"]))
    true = office.one("select due_at from clock_span where clock = 'r'")
    office.sql("update clock_span set due_at = due_at + interval '9 days' where clock = 'r' returning 1")
    assert office.act(administration.calendar_recompute, id=cal).n == 1 and office.one("select due_at from clock_span where clock = 'r'") == true
    assert office.audited("calendar_recomputed")[1]["new"] == {"provisional": 1}


@pytest.mark.parametrize(("pasted", "code", "line"), [
    ("", "columns", None), ("day,working\n", "empty", None), ("date,working\n2027-01-01,0", "columns", None), ("day,working\n2027-1-1,0", "day", 2),
    ("day,working\n2027-01-01,no", "working", 2), ("day,working\n2026-01-01,0", "other_year", 2), ("day,working,name\n2027-01-01,0,元旦\n2027-01-01,0,元旦", "twice", 3)])
def test_a_pasted_year_says_what_is_wrong_and_where(pasted, code, line):
    with pytest.raises(calendars.CalendarError) as wrong:
        calendars.exceptions(pasted, 2027)
    assert wrong.value.code == code and wrong.value.params.get("line") == line


def test_a_pasted_year_is_whole():
    days = {day: (working, kind, name) for day, working, kind, name in calendars.exceptions("\ufeffday, working, name\n2027-02-06,1,春节\n2027-02-08,0,春节\n", 2027)}
    assert len(days) == 365 and days[date(2027, 2, 6)] == (True, "makeup", "春节") and days[date(2027, 2, 8)] == (False, "holiday", "春节")
    assert days[date(2027, 3, 6)] == (False, "weekend", "")
    assert calendars.library("CN", 2025)[1].startswith("chinese_calendar") and calendars.library("CN", 2060) is None


# -- units ----------------------------------------------------------------------------------------------------------

def unit(office, name):
    return office.read(administration.unit, office.units[name])


def test_a_unit_is_changed_with_its_contacts(office):
    contacts = {"1": {"name": "徐建", "phone": "0574-87355018", "email": "xu@bank.example", "webhook": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1"}}
    seen = unit(office, "first")
    office.act(administration.unit_set, id=office.units["first"], seen=seen, new={"short": "一", "outlets": 3, "focus": True, "contacts": contacts})
    now = unit(office, "first")
    assert (now["short"], now["outlets"], now["focus"], now["contacts"]) == ("一", 3, True, contacts)
    who, params = office.audited("unit_changed")
    assert params["old"] == {"short": None, "outlets": None, "focus": False, "contacts": {}} and params["new"]["contacts"] == contacts
    office.act(administration.unit_set, id=office.units["first"], seen=now, new={"contacts": {"1": {"name": ""}}})
    assert unit(office, "first")["contacts"] == {}
    assert office.refused(administration.unit_set, id=office.units["first"], seen=seen, new={"short": "二"}).code == "changed_meanwhile"


HOOKS_REFUSED = ("http://example.org/x", "https://localhost/x", "https://127.0.0.1/x", "https://127.1/x", "https://2130706433/x", "https://0x7f000001/", "https://0177.0.0.1/",
                 "https://[::1]/x", "https://[::ffff:127.0.0.1]/", "https://169.254.169.254/latest", "https://[fe80::1]/", "https://0.0.0.0/", "https://a.localhost:8443/",
                 "https://u:p@example.org/", "file:///etc/passwd", "https:///x", "ftp://example.org", "https://localhost./", "https://exa mple.org/")
HOOKS_TAKEN = ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1", "https://10.1.2.3:8443/hook", "https://hooks.bank.example", "https://[2001:db8::1]/x")


@pytest.mark.parametrize("url", HOOKS_REFUSED)
def test_a_webhook_to_this_machine_is_refused_twice(office, url):
    assert not administration.reachable(url)
    assert office.refused(administration.unit_set, id=office.units["first"], seen=unit(office, "first"), new={"contacts": {"1": {"name": "徐建", "webhook": url}}}).code == "bad_webhook"
    assert not office.one("select webhook_ok(:u)", u=url)
    with pytest.raises(DBAPIError, match="unit_contact_webhook"):
        office.sql("insert into unit_contact (unit_id, rank, name, webhook) values (:u, 1, 'x', :w) returning 1", u=office.units["first"], w=url)


@pytest.mark.parametrize("url", HOOKS_TAKEN)
def test_a_webhook_elsewhere_is_taken(office, url):
    assert administration.reachable(url) and office.one("select webhook_ok(:u)", u=url)


def test_a_unit_with_open_complaints_or_units_below_stays_on(office):
    one = office.complaint("second")
    off = dict(new={"active": False})
    refused = office.refused(administration.unit_set, id=office.units["city"], seen=unit(office, "city"), **off)
    assert (refused.code, refused.params) == ("units_below", {"n": 2})
    refused = office.refused(administration.unit_set, id=office.units["second"], seen=unit(office, "second"), **off)
    assert (refused.code, refused.params) == ("open_complaints", {"n": 1})
    office.owner(lambda conn: makers.reply(conn, one, office.now))
    office.act(administration.unit_set, id=office.units["second"], seen=unit(office, "second"), **off)
    assert not unit(office, "second")["active"] and office.audited("unit_changed")[1]["new"] == {"active": False}


def test_a_unit_is_added_where_it_belongs(office):
    made = office.act(administration.unit_add, parent=office.units["south"], new={"name": "南城", "code": "S1"}).id
    row = office.read(administration.units).set_index("unit_id").loc[made]
    assert (row.kind, row.level, row.parent_id) == ("branch2", 2, office.units["south"]) and office.audited("unit_added")[1]["new"]["code"] == "S1"
    assert office.one("select sort_key from unit where unit_id = :u", u=made) == "nan cheng"
    assert office.refused(administration.unit_add, parent=office.units["south"], new={"name": "又一", "code": "S1"}).code == "code_taken"
    assert office.refused(administration.unit_add, parent=99999, new={"name": "无处"}).code == "bad_parent"


def test_a_move_is_what_its_preview_says(office):
    inside = [office.complaint("first"), office.complaint("second"), office.complaint("first", category="financial_crime")]
    office.complaint("south")
    seen, id, places = unit(office, "city"), office.units["city"], "select complaint_id, label, charged_label, about_label from clock_span where clock = 'r' order by 1"
    before, tree = office.sql(places), office.sql("select unit_id, label from unit order by 1")
    told = office.try_(administration.move_preview, id=id, parent=office.units["south"])
    assert told == {"units": 3, "complaints": 2}, "without financial crime"
    assert office.sql(places) == before and office.sql("select unit_id, label from unit order by 1") == tree, "a preview keeps nothing"
    assert office.act(administration.unit_move, id=id, seen=seen, parent=office.units["south"]).n == 2
    moved = {row[0] for row, was in zip(office.sql(places), before) if row != was}
    assert moved == set(inside)
    assert len({row[0] for row in office.sql("select unit_id, label from unit") if tuple(row) not in {tuple(one) for one in tree}}) == 3
    assert office.one("select count(*) from unit u join unit p on p.unit_id = u.parent_id where u.label <= p.label or u.label_end > p.label_end") == 0, "the whole subtree went along"
    assert spans_are_true(office)
    who, params = office.audited("unit_moved")
    assert (params["old"], params["new"]) == ({"parent_id": office.units["north"]}, {"parent_id": office.units["south"]}) and params["units"] == 3
    row = office.read(administration.moves).iloc[0]
    assert (row.unit_id, row.parent_from, row.parent_to, row.who) == (id, office.units["north"], office.units["south"], "a.boss")
    assert office.refused(administration.unit_move, id=id, seen=seen, parent=office.units["north"]).code == "changed_meanwhile"
    back = office.act(administration.unit_move, id=id, seen=unit(office, "city"), parent=office.units["north"])
    assert back.n == 2 and spans_are_true(office)


@pytest.mark.parametrize(("id", "parent", "code"), [("city", "first", "bad_parent"), ("city", "city", "bad_parent"), ("city", "north", "bad_parent"), ("head", "south", "bad_parent"),
                                                    ("north", "second", "bad_parent")])
def test_moves_that_make_no_tree(office, id, parent, code):
    assert office.refused(administration.unit_move, id=office.units[id], seen=unit(office, id), parent=office.units[parent]).code == code


def test_what_an_import_put_aside_is_placed(office):
    def aside(conn):
        source = makers.make_source(conn)
        return conn.execute(text("select unit_id from unit_for(cast(:s as smallint), array['网络金融', '二组'])"), {"s": source}).scalar_one()
    lower = office.owner(aside)
    upper = office.one("select parent_id from unit where unit_id = :u", u=lower)
    office.act(administration.unit_move, id=upper, seen=office.read(administration.unit, upper), parent=office.units["south"])
    assert office.sql("select kind, source_id, level from unit where unit_id in (:a, :b) order by level", a=upper, b=lower) == [("branch2", None, 2), ("outlet", None, 3)]


# -- sources --------------------------------------------------------------------------------------------------------

def test_a_source_is_renamed_and_its_rules_change_only_while_it_is_empty(office):
    id = office.owner(lambda conn: makers.make_source(conn, "热线"))
    seen = office.read(administration.source, id)
    office.act(administration.source_set, id=id, seen=seen, new={"name": "客服热线", "tz": "Asia/Tokyo", "pack": "city"})
    assert office.audited("source_changed")[1]["old"] == {"name": "热线", "tz": CN, "pack": "bank"}
    assert office.refused(administration.source_set, id=id, seen=seen, new=seen).code == "changed_meanwhile"
    full = office.one("select source_id from complaint where complaint_id = :c", c=office.complaint())
    seen = office.read(administration.source, full)
    for change in ({"pack": "city"}, {"tz": "UTC"}):
        assert office.refused(administration.source_set, id=full, seen=seen, new=seen | change).code == "has_complaints"
    office.act(administration.source_set, id=full, seen=seen, new=seen | {"name": "总行热线"})
    row = office.read(administration.sources).set_index("source_id").loc[full]
    assert (row["name"], row.complaints) == ("总行热线", 1)
    for change, code in (({"name": ""}, "no_name"), ({"name": "客服热线"}, "name_taken")):
        assert office.refused(administration.source_set, id=full, seen=office.read(administration.source, full), new=seen | change).code == code
    for change, code in (({"tz": "Mars/Base"}, "bad_zone"), ({"pack": "none"}, "bad_pack")):
        assert office.refused(administration.source_set, id=id, seen=office.read(administration.source, id), new=office.read(administration.source, id) | change).code == code
