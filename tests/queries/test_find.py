"""The index over pairs of characters finds what reading every complaint finds, for every role, and keeps it as complaints change."""
from random import Random

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from queries import complaints, db
from tests import makers
from tests.makers import cn

# How words were looked for before there was an index (0007): every text is read. What decides is what is shown, so masked.
ORACLE = r"""
create function pg_temp.read_all(words text[]) returns setof bigint language plpgsql stable as $$
declare word text; shown text; begins text; about int[]; now_at int[]; found bigint[] := array(select complaint_id from complaint);
begin
    foreach word in array words loop
        word := translate(word, '０１２３４５６７８９＠', '0123456789@');
        shown := '%' || regexp_replace(word, '([\\%_])', '\\\1', 'g') || '%';
        begins := case when length(word) < 4 then substr(shown, 2) else shown end;
        about := array(select u.unit_id from unit u where concat_ws(chr(1), u.name, u.short, u.name_en, u.short_en) ilike shown);
        now_at := about || array(select k.unit_id from unit_contact k where k.rank = 1 and k.name ilike shown);
        found := array(select c.complaint_id from complaint c left join complaint_text t using (complaint_id)
                        where c.complaint_id = any (found)
                          and (c.unit_id = any (now_at) or c.about_unit_id = any (about) or c.complaint_no ilike begins or c.handler ilike shown
                               or mask_text(c.title) ilike shown or mask_text(t.text) ilike shown or mask_text(t.demand) ilike shown));
    end loop;
    return query select visible(found);
end $$"""
LOGINS = {"sup": ("supervisor", None), "lead": ("leader", None), "unit_a": ("unit", "a"), "unit_c": ("unit", "c"), "sup_b": ("supervisor", "b"),
          "svc": ("service", "a"), "dep": ("department", "b"), "disc": ("discipline", None)}
COMMON = ["客户", "服务", "贷款", "信用卡", "征信", "ATM", "Visa卡", "120元", "手续费", "％", "%", "_", "\\", "'", "'':*", "&", "３月５日", "e招贷", "ΣΑΣ", "İ", "，", "（", "）", "🙂"]
PERSONAL = ["13812341111", "１３９００００２２２２", "330203198503121234", "zhang.san@example.com", "0574-87654321", "138 1234 1111"]
MOMENT = cn("2026-03-20 10:00")


def matter(rng: Random, words: int) -> str:
    """A text of common words, rare characters and what has to be masked."""
    return "".join(rng.choice(PERSONAL) if rng.random() < 0.06 else rng.choice(COMMON) if rng.random() < 0.5 else chr(0x4E00 + int(300 * rng.random() ** 3))
                   + rng.choice(["", "", "。", " ", "\n", "a", "7"]) for _ in range(words))


@pytest.fixture(scope="module")
def office(desk_module):
    """400 complaints with random texts over two years and three branches, some changed after they came; an account for each role."""
    rng = Random(7)
    with create_engine(desk_module["admin"], poolclass=NullPool).begin() as conn:
        conn.execute(text("set local role desk_owner"))
        conn.execute(text("set local search_path = desk"))
        head = makers.make_unit(conn, "总行", kind="head")
        units = {name: makers.make_unit(conn, f"{place}分行", head, short=place, name_en=english)
                 for name, place, english in (("a", "甲城", "Jiacheng"), ("b", "乙城", "Yicheng"), ("c", "丙城", "Bingcheng"))}
        units["outlet"] = makers.make_unit(conn, "甲城卡部网点", units["a"])
        conn.execute(text("insert into unit_contact (unit_id, rank, name) values (:u, 1, '欧阳锋'), (:v, 2, '贷一')"), {"u": units["b"], "v": units["a"]})
        ids = []
        for n in range(400):
            place = rng.choice(["a", "a", "b", "b", "b", "outlet", "c"])
            ids.append(makers.make_complaint(
                conn, received=cn(f"{rng.choice((2024, 2025, 2026))}-0{rng.randint(1, 3)}-{rng.randint(1, 19):02} 0{rng.randint(1, 9)}:00"), unit=units[place],
                about_unit_id=units[rng.choice(list(units))], complaint_no=f"{rng.choice(['Zx', '2026', ''])}{n:04}-{rng.randrange(10 ** 6)}",
                category=rng.choice(["violation"] * 9 + ["financial_crime"]), title=matter(rng, 3), handler=rng.choice([None, "王小明", "Li Ming"])))
            if rng.random() < 0.9:
                conn.execute(text("insert into complaint_text (complaint_id, text, demand) values (:i, :b, :d)"),
                             {"i": ids[-1], "b": matter(rng, rng.choice((0, 5, 40))), "d": matter(rng, 2)})
        for one in rng.sample(ids, 30):
            makers.move(conn, one, units[rng.choice(list(units))], cn("2026-03-19 12:00"))
            conn.execute(text("update complaint_text set text = :b where complaint_id = :i"), {"i": one, "b": matter(rng, 20)})
            makers.change(conn, one, cn("2026-03-19 13:00"), title=matter(rng, 2), handler="欧阳丙")
        for login, (role, place) in LOGINS.items():
            user = conn.execute(text("insert into app_user (login, name, role, all_units) values (:l, :l, :r, :w) returning user_id"),
                                {"l": login, "r": role, "w": place is None}).scalar_one()
            if place:
                conn.execute(text("insert into user_scope values (:u, :n)"), {"u": user, "n": units[place]})
        written = conn.execute(text("""select translate(concat_ws(' ', c.complaint_no, c.title, c.handler, t.text, t.demand), chr(10), ' ')
                                         from complaint c left join complaint_text t using (complaint_id) order by 1""")).scalars().all()
    return desk_module, units, written


def questions(written: list[str]) -> list[list[str]]:
    """Words cut from what was written, some masked away, some that stand nowhere; one to three at once."""
    rng = Random(11)
    asked = [[word] for word in (*COMMON, *PERSONAL, "138****1111", "z***@example.com", "甲城", "jiacheng", "欧阳", "城", "卡", "丙城", "贷一", "zx", "ZX0", "20", "2026", "不存在的词", "****")]
    for _ in range(30):
        line = rng.choice(written)
        at = rng.randrange(len(line))
        word = line[at:at + rng.choice((1, 2, 2, 2, 3, 4, 6))].strip() or "客"
        asked.append([word, *rng.sample(["客户", "卡", "甲城", "服务", "zx", "一"], rng.choice((0, 0, 1, 2)))])
    return [[word for one in words for word in one.split()] for words in asked]


@pytest.mark.parametrize("login", LOGINS)
def test_the_index_finds_what_reading_everything_finds(office, login):
    urls, _, written = office
    viewer = db.viewer_of(urls, login)
    asked, found = questions(written), 0
    with create_engine(urls["admin"], poolclass=NullPool).connect() as conn:
        conn.execute(text("set search_path = desk"))
        conn.execute(text(ORACLE))
        conn.execute(text("select set_config('app.user_id', :u, false)"), {"u": str(viewer.user_id)})
        for words in asked:
            expected = set(conn.execute(text("select pg_temp.read_all(:w)"), {"w": words}).scalars())
            every = list(conn.execute(text("select find_words(:w)"), {"w": words}).scalars())
            assert set(every) == expected and len(every) == len(expected), words
            order = list(conn.execute(text("select complaint_id from complaint where complaint_id = any (:i) order by received_at desc, complaint_id desc"),
                                      {"i": every}).scalars())
            for most in (7, 10_000):
                some, more = conn.execute(text("select ids, more from find_newest(:w, :m)"), {"w": words, "m": most}).one()
                assert some == order[:most] and (more or len(some) == len(order)) and (not more or len(some) == most), (words, most)
            assert set(conn.execute(text("select find_among(array(select complaint_id from complaint), :w)"), {"w": words}).scalars()) == expected, words
            found += len(expected)
    assert found > 100


def test_the_ways_through_the_index_find_the_same(office):
    """With every way forced: the newest read one by one, weeks, eight weeks, all; between two moments."""
    urls, _, written = office
    viewer = db.viewer_of(urls, "sup")
    with create_engine(urls["admin"], poolclass=NullPool).connect() as conn:
        conn.execute(text("set search_path = desk"))
        conn.execute(text(ORACLE))
        conn.execute(text("select set_config('app.user_id', :u, false)"), {"u": str(viewer.user_id)})
        since, until = cn("2025-01-05 00:00"), cn("2026-02-03 05:00")
        body = conn.execute(text("select pg_get_functiondef('find_newest'::regproc)")).scalar_one()
        ways = {"walk": body.replace("hits >= 400", "hits >= 0"), "weeks": body.replace("hits >= 20", "hits >= 0").replace("hits >= 400", "hits >= 999999"),
                "eights": body.replace("hits >= 20", "hits >= 999999").replace("hits >= 3 ", "hits >= 0 ").replace("hits >= 400", "hits >= 999999"),
                "all": body.replace("hits >= 20", "hits >= 999999").replace("hits >= 3 ", "hits >= 999999 ").replace("hits >= 400", "hits >= 999999")}
        assert len({*ways.values(), body}) == 5
        for way, changed in ways.items():
            conn.execute(text(changed.replace("walk constant int := 4000", "walk constant int := 50").replace(":", "\\:")))
            for words in questions(written)[::5]:
                expected = set(conn.execute(text("select r from pg_temp.read_all(:w) r join complaint c on c.complaint_id = r where c.received_at between :s and :u"),
                                            {"w": words, "s": since, "u": until}).scalars())
                ids, more = conn.execute(text("select ids, more from find_newest(:w, 5000, :s, :u)"), {"w": words, "s": since, "u": until}).one()
                assert set(ids) == expected and not more, (way, words)
        conn.rollback()


def test_what_cannot_be_read_cannot_be_asked(office):
    urls, _, _ = office
    for login in ("sup", "unit_a"):
        viewer = db.viewer_of(urls, login)
        for statement in ("select * from search_doc", "select search_terms(array['x'])", "select search_write(array[1])"):
            with pytest.raises(Exception, match="permission denied"), db.reading(urls, viewer) as conn:
                conn.execute(text(statement))


def test_beyond_the_cap_the_newest_stand_for_all_and_filters_stay_exact(office, monkeypatch):
    urls, _, _ = office
    where = dict(as_of=MOMENT, start=cn("2026-03-01 00:00"), end=MOMENT)
    with db.reading(urls, db.viewer_of(urls, "sup")) as conn:
        whole = complaints.listing(conn, "found", search="客户", sort="newest", limit=None, **where)
        monkeypatch.setattr(complaints, "CAP", 60)
        rows = complaints.listing(conn, "found", search="客户", sort="newest", limit=50, **where)
        assert len(whole) > 61 and not whole.more.any()
        assert rows.more.all() and set(rows.total) == {60} and list(rows.complaint_id) == list(whole.complaint_id[:50])
        again = complaints.listing(conn, "found", search="客户", sort="newest", limit=50, offset=50, **where)
        assert list(again.complaint_id) == list(whole.complaint_id[50:60]), "figure and list end together"
        for narrow in ({"mark": "regulator"}, {"state": "E"}, {"category": int(whole.category_id.iloc[0])}):
            few = complaints.listing(conn, "found", search="客户", sort="newest", **narrow, **where)
            assert list(few.complaint_id) == list(complaints.listing(conn, "found", search="客户", sort="newest", limit=None, **narrow, **where).complaint_id), narrow
        assert complaints.ids(conn, "found", search="客户", **where) is None


@pytest.mark.parametrize("login", ["sup", "unit_a", "svc", "dep"])
def test_a_list_by_date_counts_up_to_the_cap(office, monkeypatch, login):
    urls, _, _ = office
    where = dict(as_of=MOMENT, start=cn("2024-01-01 00:00"), end=MOMENT)
    with db.reading(urls, db.viewer_of(urls, login)) as conn:
        for code in ("found", "received", "backlog"):
            for sort in complaints.SORTS:
                whole = complaints.listing(conn, code, sort=sort, limit=None, **where)
                rows = complaints.listing(conn, code, sort=sort, limit=20, offset=3, **where)
                assert list(rows.complaint_id) == list(whole.complaint_id[3:23]) and set(rows.total) <= {len(whole)} and not rows.more.any()
    monkeypatch.setattr(complaints, "CAP", 10)
    with db.reading(urls, db.viewer_of(urls, login)) as conn:
        rows = complaints.listing(conn, "found", sort="newest", limit=20, **where)
        assert rows.more.all() and set(rows.total) == {10}
        assert complaints.ids(conn, "found", **where) is None


def test_a_persons_index_holds_hashes_that_nobody_can_make(office):
    urls, _, _ = office
    with create_engine(urls["admin"], poolclass=NullPool).begin() as conn:
        conn.execute(text("set local role desk_owner"))
        conn.execute(text("set local search_path = desk"))
        one, other = conn.execute(text("select complaint_id from complaint order by 1 limit 2")).scalars()
        conn.execute(text("select keep_persons(:i, array['张三', '张 三'], array['13800001111', '+86 138-0000-1111'])"), {"i": [one, other]})
        rows = conn.execute(text("select phone_hash, name_hash, id_hash from complainant where complaint_id = any (:i)"), {"i": [one, other]}).all()
        assert rows[0] == rows[1] and rows[0].id_hash is None and len(rows[0].phone_hash) == 16 and rows[0].phone_hash != rows[0].name_hash
        indexed = conn.execute(text("select string_agg(indexdef, ' ') from pg_indexes where tablename = 'complainant'")).scalar_one()
        assert "phone)" not in indexed and "name)" not in indexed
        conn.execute(text("update complainant set phone = '13900002222' where complaint_id = :i"), {"i": one})
        assert conn.execute(text("select count(distinct phone_hash) from complainant where complaint_id = any (:i)"), {"i": [one, other]}).scalar_one() == 2
    for statement in ("select * from search_key", "select person_key('phone', '13800001111')"):
        with pytest.raises(Exception, match="permission denied"), db.reading(urls, db.viewer_of(urls, "sup")) as conn:
            conn.execute(text(statement))
