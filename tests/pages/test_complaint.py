"""One complaint in words: every state's sentence, the strip of days, the history, the next act. Without a database."""
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from dashboard import charts, complaint, forms, tables, words
from queries import acts

CN = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 3, 9, 8, 30, tzinfo=CN)


def cn(moment):
    return datetime.fromisoformat(moment).replace(tzinfo=CN)


def end(day):
    return cn(f"{day} 23:59:59.999999")


def case(**changes):
    """The complaint of the picture: received on 9 February, limit 28 February, the 10th working day."""
    base = dict(complaint_id=1, complaint_no="20260209-0340", state="E", received_at=cn("2026-02-09 10:42"),
                target_at=end("2026-02-25"),
                due_at=end("2026-02-28"), due_from="p", started_ord=100, due_ord=110, days_late=6, days_used=None,
                days_open=16, ended_at=pd.NaT,
                excluded_at=pd.NaT, exclusion=None, customer_replied_at=pd.NaT, office_replied_at=pd.NaT,
                source_unit_id=3.0, provisional=False,
                major=False, media_level=0, channel_kind=None, repeat_of=None, anonymous=False, complexity=None)
    return pd.Series(base | changes, dtype=object)


def urges(*rows):
    base = dict(urge_id=1, level=2, via="message", sent_at=cn("2026-03-05 14:12"), work_day=date(2026, 3, 5),
                contact="徐建", acknowledged_at=pd.NaT,
                ack_due_at=end("2026-03-06"), answered_at=pd.NaT, answer=None, promised_on=None, spoke_to=None,
                who="王敏")
    return pd.DataFrame([base | row for row in rows], columns=list(base), dtype=object)


@pytest.fixture(autouse=True)
def chinese():
    with words.speaking("zh"):
        yield


# -- the finding ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("changes", "sentence"), [
    ({}, "办理时限**2月28日**（第10个工作日）24时已过 :red[**6个工作日**]；客户和来单部门均未得到答复。"),
    ({"customer_replied_at": cn("2026-03-06 16:20")},
     "办理时限**2月28日**（第10个工作日）24时已过 :red[**6个工作日**]；客户已于3月6日得到答复，**来单部门尚未收到**，因此未办结。"),
    ({"office_replied_at": cn("2026-03-06 16:20")},
     "办理时限**2月28日**（第10个工作日）24时已过 :red[**6个工作日**]；来单部门已于3月6日收到答复，**客户尚未得到答复**，因此未办结。"),
    ({"source_unit_id": float("nan")}, "办理时限**2月28日**（第10个工作日）24时已过 :red[**6个工作日**]；客户尚未得到答复。"),
    ({"days_late": 0}, "办理时限**2月28日**（第10个工作日）24时已过，:red[**逾期不足1个工作日**]；客户和来单部门均未得到答复。"),
    ({"state": "D", "days_open": 8}, "办理时限**2月28日**（第10个工作日）24时，:orange[**还剩2个工作日**]；客户和来单部门均未得到答复。"),
    ({"state": "C", "days_open": 3}, "办理时限**2月28日**（第10个工作日）24时，还剩**7个工作日**；客户和来单部门均未得到答复。"),
    ({"state": "D", "days_open": 10, "due_at": end("2026-03-09")}, "办理时限就是**今天**，**3月9日**（第10个工作日）24时；客户和来单部门均未得到答复。"),
    ({"state": "A", "ended_at": cn("2026-02-26 10:00"), "days_used": 8, "days_late": 0},
     "**2月26日**办结，用时**8个工作日**，在时限**2月28日**（第10个工作日）24时内。"),
    ({"state": "B", "ended_at": cn("2026-03-03 10:00"), "days_used": 12, "days_late": 2},
     "**3月3日**办结，用时**12个工作日**；时限**2月28日**（第10个工作日）24时，:red[**逾期2个工作日**]。"),
    ({"state": "B", "ended_at": cn("2026-03-01 10:00"), "days_used": 10, "days_late": 0},
     "**3月1日**办结，用时**10个工作日**；时限**2月28日**（第10个工作日）24时，:red[**逾期不足1个工作日**]。"),
    ({"state": "X", "exclusion": "withdrawn"}, "已剔除：客户撤诉。不计入各项比率。"),
    ({"state": "N", "due_at": pd.NaT, "days_open": 40}, "规则未设时限，已受理**40个工作日**；列入关注清单，不计入按时率。"),
    ({"state": "N", "due_at": pd.NaT, "ended_at": cn("2026-03-01 10:00"), "days_used": 10},
     "规则未设时限；**3月1日**办结，用时**10个工作日**，不计入按时率。"),
    ({"due_from": "s", "due_at": cn("2026-02-28 10:00")}, "办理时限**2月28日10:00**已过 :red[**6个工作日**]；客户和来单部门均未得到答复。")])
def test_every_state_has_its_sentence(changes, sentence):
    assert complaint.finding(case(**changes), CN, NOW) == sentence


def test_the_sentences_exist_in_english_too():
    with words.speaking("en"):
        for state in "ABCDENX":
            c = case(state=state, ended_at=cn("2026-03-03 10:00") if state in "AB" else pd.NaT, days_used=12,
                     exclusion="contest")
            assert not any("\u4e00" <= character <= "\u9fff" for character in complaint.finding(c, CN, NOW))


def test_badges_say_the_state_with_an_icon_and_a_word():
    text = complaint.badges(case(provisional=True, major=True, complexity="c"), urges({}), False)
    assert text.startswith(":red-badge[:material/schedule: 逾期未办结 6个工作日]")
    assert all(word in text for word in ("重大", "复杂", "催办未签收", "暂定时限"))
    assert "催办未签收" not in complaint.badges(case(), urges({"via": "telephone"}), True)


# -- the strip ------------------------------------------------------------------------------------------------------

def trace(first="2026-02-09", days=29, limit="2026-02-28", target="2026-02-25", today="2026-03-09"):
    """The calendar of the picture: 春节 15 to 23 February, make-up days on the 14th and the 28th."""
    rows, count, late = [], 0, 0
    for n in range(days):
        day = date.fromisoformat(first) + timedelta(days=n)
        holiday = date(2026, 2, 15) <= day <= date(2026, 2, 23)
        makeup = day in (date(2026, 2, 14), date(2026, 2, 28))
        working = makeup or (day.weekday() < 5 and not holiday)
        count += working and n > 0
        late += working and day > date.fromisoformat(limit)
        marks = [name for name, at in (("received", first), ("target", target), ("limit", limit), ("today", today))
                 if str(day) == at]
        rows.append({"day": day, "working": working, "kind": "makeup" if makeup else "holiday" if holiday else "weekday"
                     if working else "weekend",
                     "name": "春节" if holiday or makeup else "", "count": count if working else pd.NA,
                     "late": late if working and late else pd.NA, "marks": ",".join(marks)})
    return pd.DataFrame(rows).astype({"count": "Int64", "late": "Int64"})


def test_the_strip_of_an_overdue_complaint():
    cells, marks = complaint.strip(trace(), CN, day_zero=False, late=6)
    assert [cell["text"] for cell in cells[:6]] == ["0", "1", "2", "3", "4", "5"] and cells[-1]["text"] == "+6"
    assert [cell["kind"] for cell in (cells[0], cells[1], cells[17], cells[19], cells[6])] == [
        charts.NOT_COUNTED, charts.COUNTED, charts.PAST_TARGET, charts.LIMIT, charts.NOT_COUNTED]
    assert cells[0]["label"] == "2月<br>9" and cells[20]["label"] == "3月<br>1"
    said = {text: tone for _, text, tone in marks}
    assert said == {"2月9日受理，当日不计": "", "14日调休上班": "", "春节15日—23日不计": "", "25日预警线（第7日）": "", "2月28日时限（第10日）": "strong",
                    "今天 逾期6个工作日": "late"}


def test_a_done_complaint_is_not_counted_on():
    cells, marks = complaint.strip(trace(), CN, day_zero=False, ended=cn("2026-02-26 10:00"))
    assert len(cells) == 20 and not any(cell["text"].startswith("+") for cell in cells)
    assert any(text.endswith("办结") for _, text, _ in marks) and not any("今天" in text for _, text, _ in marks)


def test_limit_and_today_side_by_side_are_said_together():
    _, marks = complaint.strip(trace(days=22, today="2026-03-02"), CN, day_zero=False, late=1)
    assert marks[-1][1:] == ("2月28日时限（第10日）｜今天 逾期1个工作日", "late")


def test_a_long_stretch_loses_its_middle_and_keeps_receipt_limit_and_today():
    cells, marks = complaint.strip(trace(days=300, today="2026-12-05"), CN, day_zero=False, late=190)
    assert len(cells) <= complaint.WIDEST and [cell["text"] for cell in cells].count("…") == 1
    assert cells[0]["text"] == "0" and any("时限" in text for _, text, _ in marks) and any("今天" in text for _, text,
                                                                                         _ in marks)


# -- the history ----------------------------------------------------------------------------------------------------

def event(code, at, **columns):
    base = dict(event_id=1, code=code, at=cn(at), reason=None, params={}, unit_to=None, unit_to_en=None, unit_from=None,
                unit_from_en=None,
                category_from=None, category_to=None, who=None)
    return base | columns


def history(*events, sent=None, **changes):
    frame = pd.DataFrame(list(reversed(events)), dtype=object)
    return complaint.timeline(frame, urges() if sent is None else sent, case(**changes), CN, NOW,
                              {1: "服务态度", 2: "违规"}.get, trace())


def test_the_clock_makes_rows_of_its_own():
    shown = history(event("received", "2026-02-09 10:42", unit_to="客服中心"))
    assert list(shown["time"]) == ["2月28日24时", "2月25日24时", "2月9日10:42"]
    assert list(shown["event"])[:2] == ["时限已过，转为:red[逾期未办结]", "预警线已过，转为:orange[临期]"]
    assert len(history(event("received", "2026-02-09 10:42", unit_to="客服中心"), ended_at=cn("2026-02-12 09:00"),
                       state="A")) == 1


def test_an_urge_is_one_row_with_its_signature():
    sent = urges({"acknowledged_at": cn("2026-03-05 15:01"), "answer": "正在核查"})
    shown = history(event("received", "2026-02-09 10:42", unit_to="客服中心"),
                    event("urged", "2026-03-05 14:12", params={"urge": 1, "level": 2, "contact": "徐建",
                                                               "via": "message"}, reason="请抓紧"),
                    event("urge_acknowledged", "2026-03-05 15:01", params={"urge": 1}), sent=sent)
    assert list(shown.loc[0]) == ["3月5日14:12", "催办通知（第1次），徐建　:gray[请抓紧]", "3月5日15:01签收，答复：正在核查"]
    assert not shown["event"].str.contains("已签收").any()


def test_an_urge_nobody_signed_for_says_until_when():
    shown = history(event("urged", "2026-03-05 14:12", params={"urge": 1, "level": 2, "contact": "徐建"}), sent=urges({}))
    assert shown["result"][0] == "**未签收**，应于3月6日24时前签收"


@pytest.mark.parametrize(("one", "text"), [
    (event("reassigned", "2026-03-06 10:32", unit_from="宁波分行", unit_to="深圳分行", params={"handler": "张三"}, reason="归口"),
     "由宁波分行改派深圳分行，经办人张三　:gray[归口]"),
    (event("recategorised", "2026-03-06 10:32", category_from=1, category_to=2), "类别由服务态度改为违规"),
    (event("called_back", "2026-03-06 10:32", params={"by": "office", "outcome": "answered", "score": "satisfied"}),
     "督办部门抽查回访：满意"),
    (event("called_back", "2026-03-06 10:32", params={"by": "unit", "outcome": "unreachable"}), "承办单位回访：未接通"),
    (event("withdrawal_verified", "2026-03-06 10:32", params={"result": "pressured"}), "撤诉核实：非自愿，不予认定"),
    (event("urged", "2026-03-06 10:32", params={"via": "telephone", "spoke_to": "徐建", "promised": "2026-03-10"}),
     "电话催办，与徐建通话，承诺3月10日办结"),
    (event("something_new", "2026-03-06 10:32"), "something_new")])
def test_events_in_words(one, text):
    assert history(one)["event"][0] == text


def test_somebodys_text_stays_text():
    shown = history(event("delay_reported", "2026-03-06 10:32", reason="![x](http://e.org) **b**"))
    assert "![x]" not in shown["event"][0] and r"\!\[x\]" in shown["event"][0]


# -- the next act ---------------------------------------------------------------------------------------------------

SIGNED = {"acknowledged_at": cn("2026-03-05 15:01")}


@pytest.mark.parametrize(("changes", "sent", "reported", "act"), [
    ({"state": "A"}, [], False, None), ({"state": "C"}, [], False, None), ({"state": "D"}, [], False, forms.REMINDER),
    ({"days_late": 3}, [], False, forms.NOTICE), ({"days_late": 6}, [], False, forms.LETTER),
    ({"days_late": 6}, [], True, forms.NOTICE),
    ({"days_late": 3}, [{}], False, "telephone"), ({"days_late": 3}, [SIGNED], False, forms.NOTICE),
    ({"days_late": 3}, [SIGNED | {"promised_on": date(2026, 3, 6)}], False, forms.NOTICE),
    ({"days_late": 3}, [{"work_day": date(2026, 3, 9), "ack_due_at": end("2026-03-10")}], False, None)])
def test_the_next_step_of_the_ladder(changes, sent, reported, act):
    assert complaint.advice(case(**changes), urges(*sent), reported, CN, NOW).act == act


def test_the_steps_that_make_sense():
    late = {"state": "E", "late": 8, "reported": False}
    assert forms.levels([{"state": "D", "late": 0, "reported": False}]) == [forms.REMINDER]
    assert forms.levels([late]) == [forms.NOTICE, forms.LETTER, forms.NAMING]
    assert forms.levels([late | {"reported": True}]) == forms.levels([late | {"late": 5}]) == [forms.NOTICE,
                                                                                               forms.LETTER]
    assert (forms.suggested([late]), forms.suggested([{"state": "C"}])) == (forms.NOTICE, forms.REMINDER)


@pytest.mark.parametrize(("days_open", "late"), [(6, False), (7, True), (9, True), (10, True), (11, False)])
def test_arriving_late_is_less_than_a_third_of_the_limit(days_open, late):
    assert forms.arrives_late(case(days_open=days_open)) is late


# -- what came of it ------------------------------------------------------------------------------------------------

def skipped(code, who="王敏", n=1):
    return [{"id": k, "no": str(k), "code": code, "who": who, "at": "2026-03-09T02:32:00+00:00"} for k in range(n)]


def test_what_came_of_an_urge():
    tell = lambda outcome, names={}: forms.outcome_words(outcome, forms.NOTICE, names, CN)
    assert tell(acts.Outcome([1, 2, 3], [], 2)) == ["已催办3件，合并发2条。"]
    assert tell(acts.Outcome([1], [], 1), {1: "已对1发出催办通知"}) == ["已对1发出催办通知"]
    assert tell(acts.Outcome([1, 2, 3], skipped("already_urged"), 2)) == ["已催办3件，合并发2条。", "1件今日已由王敏催办，未重复发送。"]
    assert tell(acts.Outcome([], skipped("already_urged"), 0)) == ["王敏 3月9日10:32 已对本件发出催办通知，同一级别一个工作日只发一次。"]
    assert tell(acts.Outcome([1], skipped("already_done", n=2), 1)) == ["已催办1件，合并发1条。", "2件已在此前办结，未发送。"]


@pytest.mark.parametrize(("refused", "text"), [
    (acts.Refused("changed_meanwhile", who="王敏", at=cn("2026-03-09 10:32"), what="reassigned"),
     "王敏 3月9日10:32 已改派，您的操作没有执行，请刷新后再看。"),
    (acts.Refused("changed_meanwhile", who=None, at=cn("2026-03-09 10:32"), what="corrected"),
     "系统 3月9日10:32 已改动本件，您的操作没有执行。请核对后再办。"),
    (acts.Refused("conflict_of_interest", person="李四"), "李四是当事人，不能经办本件。"), (acts.Refused("no_reason"), "请填写理由。"),
    (acts.Refused("unheard_of"), "没有办成，数据没有改动。请再试一次。")])
def test_a_refusal_says_why_and_who_was_faster(refused, text):
    assert forms.refusal_words(refused, CN) == text


# -- the table ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("about", "unit", "text"), [("鄞州支行", "鄞州支行", "鄞州支行"), ("海曙支行", "个人信贷部", "海曙支行→个人信…"),
                                                     ("卡中心", "风险运营部", "卡中心→风险运营部")])
def test_from_to_fits_its_column(about, unit, text):
    assert tables.from_to(about, unit, 9) == text or tables.width(tables.from_to(about, unit, 9)) <= 18


def test_overdue_columns_fit_the_page():
    assert sum(px for _, px in tables.OVERDUE.values()) <= 1256


def test_elements_of_a_reply():
    reply = pd.Series(dict(facts="属实", person_treated=None, lessons="", satisfaction="满意", handled="3月6日", handler="吴某",
                           telephone="0574",
                           not_applicable=[2], not_applicable_reason="非个人责任"), dtype=object)
    heading, frame = complaint.elements(reply)
    assert heading == "答复要素　7项中有5项，不适用1项，缺1项"
    assert list(frame["check"])[:3] == ["✓ 有", ":gray[不适用]", "**缺**"] and frame["content"][1] == "非个人责任"
    assert complaint.elements(None)[0] == "尚未收到答复。"


def test_whom_to_ring():
    contacts = pd.DataFrame([{"rank": 1, "name": "徐建", "phone": "0574-87355018"}])
    shown = complaint.contact_rows(contacts, "客服中心", None)
    assert list(shown["who"]) == ["第一联系人", "来单部门"] and "tel:0574-87355018" in shown["what"][0]
    assert complaint.contact_rows(contacts.iloc[:0], None, None)["what"][0].startswith("未登记")


def test_the_address_of_a_list_gives_its_period_and_place():
    where = complaint.where({"period": "custom", "from": "2026-02-01", "to": "2026-02-10", "unit": "26",
                             "channel": "x"}, date(2026, 3, 9), CN)
    assert (where["unit"], where["channel"], where["start"], where["end"]) == (26, None, cn("2026-02-01 00:00"),
                                                                               cn("2026-02-11 00:00"))
    assert complaint.where({"period": "never"}, date(2026, 3, 9), CN)["start"] == cn("2026-03-02 00:00")


def test_a_clock_says_kept_late_or_today():
    clock = lambda **c: SimpleNamespace(**{"state": "C", "due_at": end("2026-03-09"), "days_late": 0} | c)
    assert complaint.clock_words(clock(), CN, NOW) == "3月9日 :orange[今日到期]"
    assert complaint.clock_words(clock(state="E", due_at=end("2026-02-28"), days_late=6), CN,
                                 NOW) == "2月28日 :red[逾期6个工作日]"
    assert complaint.clock_words(clock(state="A"), CN, NOW) == "3月9日 按时"


# -- the key of an act ----------------------------------------------------------------------------------------------

@pytest.fixture
def opened(monkeypatch):
    """A form just opened, without a browser; ``answer`` is what the database says next."""
    fake = SimpleNamespace(session_state={}, query_params={"at": "2026"})
    monkeypatch.setattr(forms, "st", fake)
    forms._begin({"kind": "urge", "place": "complaint"})
    keys = []

    def click(answer):
        def write(permission, act, key, **params):
            keys.append(key)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(forms.data, "write", write)
        forms._commit(fake.session_state[forms._OPEN], "urge", acts.urge, lambda outcome: ["已办"], complaints=[1])
        return fake.session_state[forms._OPEN]

    click.keys, click.state, click.address = keys, fake.session_state, fake.query_params
    return click


def test_a_broken_connection_keeps_the_key_and_offers_another_try(opened):
    form = opened(OperationalError("select 1", {}, Exception("gone")))
    assert form["retry"] and form["problem"].startswith("连接中断")
    assert opened(acts.Outcome([1], [], 1, replayed=True)) is None, "done: the form is closed"
    assert opened.keys[0] == opened.keys[1]
    assert opened.state[forms._SAID] == (("已办",), frozenset([1])) and opened.address == {}


@pytest.mark.parametrize("answer", [acts.Refused("no_reason"), acts.Refused("key_reused"), PermissionError("urge"),
                                    DBAPIError("insert", {}, SimpleNamespace(pgcode="42501")),
                                    acts.Outcome([], skipped("already_urged"), 0)])
def test_a_definite_answer_keeps_what_was_typed_and_takes_a_new_key(opened, answer):
    serial = opened.state[forms._OPEN]["serial"]
    form = opened(answer)
    assert form["problem"] and not form["retry"] and form["serial"] == serial and form["key"] != opened.keys[0]
    assert opened.address == {"at": "2026"}
