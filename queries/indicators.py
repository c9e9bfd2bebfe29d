"""The catalogue: every figure of the product, once. Pages, lists, `figures`, definitions sheets and tests read it.

A figure is a cohort (which complaints), a denominator and a numerator: predicates over the rows of `facts()`. The count and the
list behind it are composed from the same predicates, here, at import; nothing that a person types becomes SQL.
Formulas: product.md §5; their sources in peers.md §4 (Austin 311 for A/(A+B+E), 12345 for the due cohort, Wilson for intervals).
"""
import re
from dataclasses import dataclass

# What else is asked of a complaint: by its id, so that the cost goes with the rows that are looked at and not with the table.
JOINS = {
    "c": "left join complaint as c on c.complaint_id = s.complaint_id",
    # The office's own calls: the last answered one, or where none was answered the last attempt; and how many attempts in all.
    "office": """left join lateral (select b.outcome, b.score, b.at, count(*) over () as tried from call_back as b
                           where b.complaint_id = s.complaint_id and b.by_whom = 'office' and b.at <= :as_of
                           order by (b.outcome = 'answered') desc, b.at desc limit 1) as office on true""",
    "own": """left join lateral (select b.score from call_back as b
                           where b.complaint_id = s.complaint_id and b.by_whom = 'unit' and b.outcome = 'answered' and b.at <= :as_of
                           order by b.at desc limit 1) as own on true""",
    # What came after a customer told the office of being dissatisfied: needs `office` beside it.
    "followed": """left join lateral (select case
                             when exists (select from redo as o where o.complaint_id = s.complaint_id and o.started_at > office.at and o.started_at <= :as_of)
                             then 'redo'
                             when exists (select from event as e where e.complaint_id = s.complaint_id and e.cut and e.code = 'returned'
                                             and e.at > office.at and e.at <= :as_of) then 'returned'
                             when exists (select from call_back as b where b.complaint_id = s.complaint_id and b.at > office.at and b.at <= :as_of)
                             then 'called' end as step
                           where office.outcome = 'answered' and office.score = 'dissatisfied') as followed on true""",
    "answer": "left join lateral (select bool_or(r.complete) as complete from reply as r where r.complaint_id = s.complaint_id and r.at <= :as_of) as answer on true",
    "turns": """left join lateral (select count(*) filter (where e.code = 'reassigned') as reassigned, count(*) filter (where e.code = 'returned') as returned
                           from event as e where e.complaint_id = s.complaint_id and e.cut and e.at <= :as_of) as turns on true""",
    "urged": """left join lateral (select g.sent_at, g.acknowledged_at, g.promised_on, g.level from urge as g
                           where g.complaint_id = s.complaint_id and g.sent_at <= :as_of order by g.sent_at desc limit 1) as urged on true""",
    "directed": """left join lateral (select bool_or(d.answered_at is null or d.answered_at > :as_of) as open
                           from directive as d where d.complaint_id = s.complaint_id and d.at <= :as_of) as directed on true""",
    "withdrawn": """left join lateral (select bool_or(w.verified_at is null or w.verified_at > :as_of) as pending, bool_or(true) as asked
                           from withdrawal as w where w.complaint_id = s.complaint_id and w.requested_at <= :as_of) as withdrawn on true""",
    "contested": """left join lateral (select bool_or(t.decided_at is null or t.decided_at > :as_of) as pending
                           from contest as t where t.complaint_id = s.complaint_id and t.requested_at <= :as_of) as contested on true""",
    "delayed": """left join lateral (select bool_or(true) as explained from delay as y
                           where y.complaint_id = s.complaint_id and y.reported_at <= :as_of) as delayed on true""",
    "reopened": """left join lateral (select bool_or(true) as again from redo as o
                           where o.complaint_id = s.complaint_id and o.started_at <= :as_of) as reopened on true""",
    "reported": "left join regulator_report as reported on reported.complaint_id = s.complaint_id",
    # The moments between two links of the work, up to the end of the reply: dispatched, first signed for, first answered.
    "links": """left join lateral (select m.dispatched_at, h.signed_at, least(y.at, m.customer_replied_at) as replied_at
                           from complaint as m
                           left join lateral (select x.signed_at from hop as x where x.complaint_id = m.complaint_id and x.signed_at <= :as_of
                                               order by x.hop_no limit 1) as h on true
                           left join lateral (select min(x.at) as at from reply as x where x.complaint_id = m.complaint_id and x.at <= :as_of) as y on true
                          where m.complaint_id = s.complaint_id) as links on true""",
    # The working day on which the accountable unit first had it.
    "arrived": """left join lateral (select w.ordinal as ord
                           from clock_span as x
                           join calendar as k on k.calendar_id = x.calendar_id
                           join workday as w on w.calendar_id = x.calendar_id and w.day = (x.valid_from at time zone k.tz)::date
                          where x.complaint_id = s.complaint_id and x.clock = 'r' and x.unit_id = s.charged_unit_id and x.valid_from <= :as_of
                          order by x.valid_from limit 1) as arrived on true""",
}


# With those that a viewer had and passed on, as they were when they left: who sees every unit has none of these.
SEEN = """(select * from state(:as_of)
            union all
           select p.* from (select distinct on (x.complaint_id) x.complaint_id, x.valid_to - interval '1 microsecond' as t
                              from clock_span as x
                             where not (select sees_all()) and x.clock = 'r' and x.valid_to <= :as_of
                               and not exists (select from clock_span as y where y.complaint_id = x.complaint_id and y.clock = 'r'
                                                  and y.valid_from <= :as_of and :as_of < y.valid_to)
                             order by x.complaint_id, x.valid_from desc) as passed
             join lateral (select * from state(passed.t) as q where q.complaint_id = passed.complaint_id and q.clock = 'r' offset 0) as p on true) as s"""


def facts(*predicates: str, seen: bool = False) -> str:
    """The FROM clause for these predicates: state(:as_of) as s, and only the joins whose names they speak of. seen: with those passed on."""
    asked = set(re.findall(r"\b([a-z]+)\.", " ".join(predicates)))
    return "\n      ".join([SEEN if seen else "state(:as_of) as s", *(join for name, join in JOINS.items() if name in asked)])


COHORTS = {
    "received": "s.received_at >= :start and s.received_at < :end",                             # 受理口径
    "due": "s.due_at >= :start and s.due_at < :end and s.due_at <= :as_of",                     # 到期口径
    "falls_due": "s.due_at >= :start and s.due_at < :end",                                      # … with those not yet due
    "closed": "s.ended_at >= :start and s.ended_at < :end and s.ended_at <= :as_of",            # 办结口径
    "started": "s.started_at >= :start and s.started_at < :end",
    "open": "s.left_at > :as_of",                                                               # 在办, at the moment itself
    "all": "true",                                                                              # of any time
}
DATES = {"received": "s.received_at", "due": "s.due_at", "falls_due": "s.due_at", "closed": "s.ended_at", "started": "s.started_at",
         "open": ":as_of", "all": "s.received_at"}
LABELS = {"charged": "s.charged_label", "about": "s.about_label", "responsible": "s.label"}     # 考核归属, 被投诉, 承办
UNIT_IDS = {"charged": "s.charged_unit_id", "about": "s.about_unit_id", "responsible": "s.unit_id",
            "any": "s.unit_id"}
TODAY = "date_trunc('day', :as_of at time zone :zone) at time zone :zone"


ARRIVALS = (("0", "0", "0", -100_000, 0), ("1", "1", "1", 1, 1), ("2", "2", "2", 2, 2), ("3", "3", "3", 3, 3), ("4", "4—6", "4–6", 4, 6),
            ("7", "7—9", "7–9", 7, 9), ("10", "至少10", "10+", 10, 100_000))    # working days left: code, words, from, to


MARKS = (("closed_before_received", "办结早于受理", "Closed before receipt"), ("due_before_received", "时限早于受理", "Due before receipt"),
         ("far_limit", "时限过远", "Limit too far away"), ("future_close", "办结时间在将来", "Closed in the future"), ("no_unit", "没有单位", "No unit"),
         ("no_category", "没有类别", "No category"))                # what is odd about a row that lands (intake.convert.Mark)
MARKED = "s.complaint_id = any (array(select marked({})))"       # few among very many: from them to the spans


@dataclass(frozen=True)
class Indicator:
    """`den` and `num` are predicates over `facts()`; a count has no `num`. `zh`, `en`, and the formulas in words are what is printed."""
    code: str
    zh: str
    en: str
    formula_zh: str
    formula_en: str
    cohort: str
    den: str = "true"
    num: str | None = None
    unit_of: str = "charged"
    clock: str = "r"
    better: str = "more"            # more, less or neither
    minimum: int = 10               # below it a unit is listed, not ranked
    among: str = ""                 # few among very many: ids of the complaints that can count at all, to come from them to the spans


URGED = "select urged_between(:start, :end, :as_of)"
CATALOGUE: dict[str, Indicator] = {i.code: i for i in (
    # -- the headline and its relatives
    Indicator("compliance", "按时办结率", "Answered in time", "按时办结 ÷（按时办结＋逾期办结＋逾期未办结），时限在本期且已到",
              "answered in time ÷ (in time + late + overdue), limit in the period and passed", "due", "s.state in ('A','B','E')", "s.state = 'A'"),
    Indicator("compliance_unadjusted", "按时办结率（未剔除口径）", "Answered in time, before exclusions", "把申诉剔除的件放回后的按时办结率",
              "the same with complaints excluded by contest put back", "due",
              "s.state in ('A','B','E') or (s.state = 'X' and c.exclusion = 'contest')",
              "s.state = 'A' or (s.state = 'X' and c.exclusion = 'contest' and s.ended_at <= s.due_at)"),
    Indicator("compliance_first", "按时办结率（首次类别口径）", "Answered in time, by first category", "按首次类别的时限判定",
              "judged by the limit of the first category", "due", "s.first_state in ('A','B','E')", "s.first_state = 'A'"),
    Indicator("closed_on_time", "已办结件按时率", "Closed in time", "按时办结 ÷（按时办结＋逾期办结），本期办结", "in time ÷ (in time + late), done in the period",
              "closed", "s.state in ('A','B')", "s.state = 'A'"),
    Indicator("received_met", "受理件按时率", "Received and met", "按时办结 ÷ 本期受理", "answered in time ÷ received in the period", "received",
              "true", "s.state = 'A'"),
    Indicator("received_due", "受理件到期占比", "Share already due", "本期受理中时限已到的占比", "share of the period's complaints whose limit has passed",
              "received", "true", "s.due_at <= :as_of", better="neither"),
    Indicator("overdue_rate", "逾期率", "Late rate", "（逾期办结＋逾期未办结）÷（按时办结＋逾期办结＋逾期未办结）", "(late + overdue) ÷ (in time + late + overdue)",
              "due", "s.state in ('A','B','E')", "s.state in ('B','E')", better="less"),
    Indicator("target_met", "7日内办结率", "Within the target", "复杂投诉在预警线内办结 ÷ 有预警线的到期件", "complex complaints done within the rule's target", "due",
              "s.state in ('A','B','E') and s.due_ord - s.started_ord >= 10", "s.ended_at <= s.target_at and s.state = 'A'"),
    # -- counts
    Indicator("received", "受理", "Received", "本期受理件数", "complaints received in the period", "received", unit_of="about", better="neither"),
    Indicator("done", "办结", "Done", "本期办结件数", "complaints done in the period", "closed", better="neither"),
    Indicator("due", "到期", "Fell due", "时限在本期且已到，不含剔除与无时限", "limit in the period and passed, without excluded and no limit", "due",
              "s.state in ('A','B','E')", better="neither"),
    Indicator("on_time", "按时办结", "Answered in time", "到期件中按时办结", "of those that fell due, answered in time", "due", "s.state = 'A'"),
    Indicator("not_yet_due", "未到期", "Not yet due", "时限在本期但尚未到，不计入", "limit in the period but not passed: not counted", "falls_due",
              "s.due_at > :as_of and s.state <> 'X'", better="neither"),
    Indicator("overdue_open", "逾期未办结", "Overdue, open", "时限已过仍未办结", "limit passed and still open", "open", "s.state = 'E' and s.due_at < :as_of", better="less"),
    Indicator("overdue_open_5", "逾期5个工作日以上", "More than 5 days late", "逾期未办结且超过5个工作日", "overdue by more than 5 working days", "open",
              "s.state = 'E' and s.due_at < :as_of and s.days_late > 5", better="less"),
    Indicator("backlog", "期末在办", "Open", "此刻在办（含重办）", "open at the moment, redo included", "open", better="less", unit_of="responsible",
              clock="ro"),
    Indicator("found", "全部投诉", "All complaints", "查看范围内的全部投诉，不限时间，不限单位关系；已转出的按转出时的情形", "every complaint in the reader's scope, of any time and any relation to a unit; those passed on as they were then",
              "all", unit_of="any", better="neither"),
    # -- work lists: by the unit that has it now
    Indicator("overdue_list", "逾期未办结", "Overdue", "此刻逾期未办结，按当前承办单位", "overdue now, by responsible unit", "open", "s.state = 'E' and s.due_at < :as_of",
              unit_of="responsible", better="less"),
    Indicator("overdue_list_5", "逾期5个工作日以上", "More than 5 days late", "此刻逾期超过5个工作日，按当前承办单位",
              "overdue by more than 5 working days, by responsible unit", "open", "s.state = 'E' and s.due_at < :as_of and s.days_late > 5", unit_of="responsible", better="less"),
    Indicator("due_soon_list", "临期", "Due soon", "此刻已过预警线、未到时限", "past the target, limit not reached", "open", "s.state = 'D' and s.due_at >= :as_of",
              unit_of="responsible", better="less"),
    Indicator("due_today", "今日到期", "Due today", "今日24时前到时限、尚未办结", "limit ends today, not done", "open",
              f"s.due_at >= {TODAY} and s.due_at < {TODAY} + interval '1 day' and s.state in ('C','D','E')", unit_of="responsible", better="less"),
    Indicator("urge_unsigned", "催办未签收", "Urge not signed for", "最近一次催办未签收的在办件", "open, latest urge not signed for", "open",
              "urged.sent_at is not null and (urged.acknowledged_at is null or urged.acknowledged_at > :as_of)", unit_of="responsible", better="less"),
    Indicator("promise_passed", "承诺到期未办", "Promise passed", "承诺办结日已过仍未办结", "promised day has passed, still open", "open",
              "urged.promised_on < (:as_of at time zone :zone)::date", unit_of="responsible", better="less"),
    Indicator("directive_open", "批示未反馈", "Directive open", "领导批示尚未反馈", "leader's directive not answered", "open", "directed.open",
              unit_of="responsible", better="less"),
    Indicator("withdrawal_pending", "撤诉待核实", "Withdrawals", "撤诉尚未核实", "withdrawal not verified", "open", "withdrawn.pending",
              unit_of="responsible", better="less"),
    Indicator("to_approve", "待审批", "To approve", "单位申诉尚未决定", "a unit's contest is not decided", "open", "contested.pending",
              unit_of="responsible", better="less"),
    Indicator("not_dispatched", "未转办", "Not dispatched", "网上受理尚未转办", "web complaints not dispatched", "open", "true", unit_of="responsible",
              clock="d", better="less"),
    Indicator("notice_proposed", "拟通报", "For public notice", "逾期超过5个工作日且未说明理由", "more than 5 working days late without a reason", "open",
              "s.state = 'E' and s.due_at < :as_of and s.days_late > 5 and delayed.explained is null", unit_of="responsible", better="less"),
    # -- major, media, regulator
    Indicator("serious_new", "重大、媒体及监管转办", "Major, media, regulator", "本期新增重大、媒体及监管转办", "major, media and regulator complaints received",
              "received", "c.major or c.media_level > 0 or c.channel_kind in ('regulator', 'central_bank')", unit_of="about", better="neither"),
    Indicator("serious_unreported", "尚缺监管报告回执", "Without the regulator's receipt", "已报告但无回执", "reported, receipt missing", "received",
              "reported.reported_at <= :as_of and (reported.receipt_at is null or reported.receipt_at > :as_of)", unit_of="about", better="less"),
    Indicator("serious_reported", "已按规定报告", "Reported as required", "已向当地监管机构报告", "reported to the local regulator", "received",
              "reported.reported_at <= :as_of", unit_of="about"),
    # -- satisfaction: the office's own call-backs, last answered call, without anonymous
    Indicator("satisfaction", "满意率", "Satisfied", "满意（含基本满意）÷ 接通，本办抽查回访，本期办结，不含匿名",
              "satisfied or basically satisfied ÷ answered, the office's own call-backs, done in the period, without anonymous", "closed",
              "office.outcome = 'answered' and office.score is not null and not c.anonymous", "office.score in ('satisfied', 'basically')", unit_of="about"),
    Indicator("unit_satisfaction", "单位自报满意率", "Satisfied, reported by units", "单位回访中满意（含基本满意）÷ 接通", "satisfied ÷ answered in the units' own call-backs",
              "closed", "own.score is not null and not c.anonymous", "own.score in ('satisfied', 'basically')", unit_of="about"),
    Indicator("gap_unit", "两源：单位自报", "Two sources: units", "双方都回访的件中单位报满意的占比", "share the unit calls satisfied, complaints both called", "closed",
              "own.score is not null and office.outcome = 'answered' and office.score is not null", "own.score in ('satisfied', 'basically')", unit_of="about"),
    Indicator("gap_office", "两源：抽查", "Two sources: office", "双方都回访的件中抽查满意的占比", "share the office heard satisfied, complaints both called", "closed",
              "own.score is not null and office.outcome = 'answered' and office.score is not null", "office.score in ('satisfied', 'basically')", unit_of="about"),
    Indicator("gap_contradicted", "单位报满意、抽查不满意", "Unit says satisfied, office heard dissatisfied",
              "双方都回访的件中，单位报满意（含基本满意）而抽查听到不满意", "both called: satisfied in the unit's call, dissatisfied in the office's", "closed",
              "own.score in ('satisfied', 'basically') and office.outcome = 'answered' and office.score = 'dissatisfied'", unit_of="about", better="less"),
    Indicator("low_score", "低分跟进率", "Low scores followed up", "抽查不满意后已重办、退回或再次回访 ÷ 最近一次接通的抽查回访为不满意的件，本期办结，不含匿名",
              "redone, returned or called again since ÷ dissatisfied in the office's last answered call, done in the period, without anonymous", "closed",
              "office.outcome = 'answered' and office.score = 'dissatisfied' and not c.anonymous", "followed.step is not null", unit_of="about"),
    Indicator("call_again", "回访待续", "To be called again", "抽查回访未接通且不足三次的件，本期办结，不含匿名",
              "the office's calls not answered, fewer than three so far, done in the period, without anonymous", "closed",
              "office.outcome = 'unreachable' and office.tried < 3 and not c.anonymous", unit_of="about", better="less"),
    Indicator("call_back_rate", "回访率", "Called back", "抽查回访 ÷ 办结", "called by the office ÷ done", "closed", "not c.anonymous", "office.outcome is not null",
              unit_of="about"),
    Indicator("reach_rate", "接通率", "Reach", "接通 ÷ 抽查回访", "answered ÷ called", "closed", "office.outcome is not null and not c.anonymous",
              "office.outcome = 'answered'", unit_of="about"),
    # -- quality of the work
    Indicator("dispatch_on_time", "转办及时率", "Dispatched in time", "两个工作日内转办 ÷ 到期应转办", "dispatched within the limit ÷ those that fell due", "due",
              "s.state in ('A','B','E')", "s.state = 'A'", clock="d"),
    # -- time at each link, of what was done in the period; a link counts where both its moments are recorded and in order
    Indicator("link_dispatch", "转办环节有记录", "Dispatch recorded", "受理至转办，本期办结", "received to dispatched, done in the period", "closed",
              "s.state <> 'X' and links.dispatched_at between s.started_at and least(links.replied_at, s.ended_at)", better="neither"),
    Indicator("link_sign", "签收环节有记录", "Signing recorded", "转办至首次签收，本期办结", "dispatched to first signed for, done in the period", "closed",
              "s.state <> 'X' and links.signed_at between greatest(links.dispatched_at, s.started_at) and least(links.replied_at, s.ended_at)", better="neither"),
    Indicator("link_handle", "办理环节有记录", "Handling recorded", "首次签收至首次答复，本期办结", "first signed for to first answered, done in the period", "closed",
              "s.state <> 'X' and links.replied_at between links.signed_at and s.ended_at", better="neither"),
    Indicator("link_close", "答复至办结环节有记录", "Answer to end recorded", "首次答复至办结，本期办结", "first answered to done, done in the period", "closed",
              "s.state <> 'X' and links.replied_at between s.started_at and s.ended_at", better="neither"),
    Indicator("arrived_late", "到单过晚", "Arrived late", "到单时剩余不足时限三分之一 ÷ 到期件（考核归属单位首次收到时）",
              "less than a third of the limit left when the accountable unit first had it ÷ those that fell due", "due",
              "s.state in ('A','B','E') and arrived.ord is not null", "(s.due_ord - arrived.ord) * 3 < s.due_ord - s.started_ord", better="less"),
    *(Indicator(f"arrived_{code}", f"到单时剩{zh}个工作日", f"Working days left on arrival: {en}", f"考核归属单位首次收到时距时限{zh}个工作日的到期件",
                f"those that fell due, by working days left when the accountable unit first had them: {en}", "due",
                f"s.state in ('A','B','E') and s.due_ord - arrived.ord between {low} and {high}",
                "(s.due_ord - arrived.ord) * 3 < s.due_ord - s.started_ord", better="neither")
      for code, zh, en, low, high in ARRIVALS),
    Indicator("first_handler_rate", "首办率", "Done without reassignment", "未经改派办结 ÷ 办结", "done without reassignment ÷ done", "closed", "s.state in ('A','B')",
              "coalesce(turns.reassigned, 0) = 0"),
    Indicator("ping_pong", "改派3次以上", "Reassigned 3 times or more", "改派三次及以上的件", "complaints reassigned three times or more", "received",
              "turns.reassigned >= 3", better="less"),
    Indicator("repeat_rate", "重复投诉率", "Repeats", "重复投诉 ÷ 受理", "repeat complaints ÷ received", "received", "true", "c.repeat_of is not null", unit_of="about",
              better="less"),
    Indicator("reopen_rate", "重启率", "Reopened", "办结后重启 ÷ 办结", "reopened after done ÷ done", "closed", "true", "reopened.again", better="less"),
    Indicator("redo_rate", "退回重办率", "Returned for redo", "退回重办 ÷ 办结", "returned for redo ÷ done", "closed", "true", "coalesce(turns.returned, 0) > 0",
              better="less"),
    Indicator("redo_on_time", "重办按时率", "Redone in time", "重办按时 ÷ 重办到期", "redone in time ÷ redo limits that passed", "due", "s.state in ('A','B','E')",
              "s.state = 'A'", clock="o"),
    Indicator("withdrawal_rate", "撤诉率", "Withdrawn", "提出撤诉 ÷ 受理", "withdrawals asked for ÷ received", "received", "true", "withdrawn.asked",
              unit_of="about", better="neither"),
    Indicator("reply_complete", "答复要素齐全率", "Reply complete", "七项齐全（可不适用）÷ 有答复的办结件", "seven of seven elements ÷ done with a written reply", "closed",
              "answer.complete is not null", "answer.complete"),
    Indicator("urged", "催办", "Urged", "本期催办的件", "complaints urged in the period", "open_or_done",
              "exists (select from urge g where g.complaint_id = s.complaint_id and g.sent_at >= :start and g.sent_at < :end and g.sent_at <= :as_of)",
              unit_of="responsible", better="neither", among=URGED),
    Indicator("urge_acknowledged", "催办签收率", "Urges signed for", "已签收 ÷ 催办", "signed for ÷ urged", "open_or_done",
              "exists (select from urge g where g.complaint_id = s.complaint_id and g.sent_at >= :start and g.sent_at < :end and g.sent_at <= :as_of)",
              "exists (select from urge g where g.complaint_id = s.complaint_id and g.sent_at >= :start and g.sent_at < :end and g.acknowledged_at <= :as_of)",
              unit_of="responsible", among=URGED),
    Indicator("urge_done", "催办后办结", "Done after the urge", "催办后办结 ÷ 催办", "done after the urge ÷ urged", "open_or_done",
              "exists (select from urge g where g.complaint_id = s.complaint_id and g.sent_at >= :start and g.sent_at < :end and g.sent_at <= :as_of)",
              "s.ended_at <= :as_of", unit_of="responsible", among=URGED),
    Indicator("days_done", "办结用时", "Days to done", "受理至办结的工作日，本期办结，不含剔除", "working days from receipt to done, done in the period, without excluded", "closed",
              "s.state <> 'X' and s.days_used is not null", better="less"),
    # -- quality of the data: what a figure is as good as; defects are shares of what was received or done
    Indicator("defect_plausible", "数据存疑", "Implausible", "存疑 ÷ 受理", "implausible rows ÷ received", "received", "true", "c.marks <> '{}'", unit_of="about",
              better="less"),
    Indicator("defect_matter", "无事由", "Without a matter", "事由为空 ÷ 受理", "title empty ÷ received", "received", "true", "c.title = ''", unit_of="about",
              better="less"),
    Indicator("defect_handler", "无经办人", "Without a handler", "未登记经办人 ÷ 办结", "no handler recorded ÷ done", "closed", "s.state in ('A','B')",
              "coalesce(c.handler, '') = ''", better="less"),
    Indicator("defect_signature", "流转缺签收", "Hop not signed for", "有流转环节未登记签收 ÷ 办结", "a hop without a signature ÷ done", "closed", "s.state in ('A','B')",
              "exists (select from hop x where x.complaint_id = s.complaint_id and x.sent_at <= :as_of and (x.signed_at is null or x.signed_at > :as_of)"
              " and x.returned_at is null)", better="less"),
    Indicator("defect_reply", "无书面答复", "Without a written reply", "无书面答复 ÷ 办结", "no written reply ÷ done", "closed", "s.state in ('A','B')",
              "answer.complete is null", better="less"),
    Indicator("defect_elements", "答复要素不齐", "Reply incomplete", "答复要素不齐 ÷ 办结", "a written reply without all seven elements ÷ done", "closed",
              "s.state in ('A','B')", "not answer.complete", better="less"),
    Indicator("marked", "存疑数据", "Implausible data", "存疑但照常计入的件", "implausible but real: counted, listed here", "all", MARKED.format(""), unit_of="about",
              better="less"),
    *(Indicator(f"mark_{code}", zh, en, f"存疑：{zh}", f"implausible: {en}", "all", MARKED.format(f"'{code}'"), unit_of="about",
                better="less")
      for code, zh, en in MARKS),
    Indicator("unmapped_unit", "单位未对应", "Unit not mapped", "被投诉单位尚未放入单位树", "the unit complained about has no place in the tree yet", "all",
              "s.about_label = any (array(select x.label from unit as x where x.kind = 'unmapped'))", unit_of="about", better="less"),
    Indicator("unmapped_category", "类别未对应", "Category not mapped", "来源的类别尚未对应", "the source's category is not mapped yet", "all",
              "exists (select from category x where x.category_id = s.category_id and x.source_id is not null)", unit_of="about", better="less"),
    Indicator("unit_conflict", "来源与改派不一致", "Source against reassignment", "已改派，而来源又改了承办单位", "reassigned here, then moved by the source", "all",
              "s.complaint_id = any (array(select conflicted(:as_of)))", unit_of="responsible",
              better="less"),
)}
COHORTS["open_or_done"] = "true"
DATES["open_or_done"] = "s.received_at"


# -- the three cohorts of the headline, and which complaints are in one of them and not in another
BASES = {"due": "compliance", "closed": "closed_on_time", "received": "received_met"}   # cohort -> its rate
PAIRS = (("due", "closed"), ("due", "received"), ("closed", "received"))
_WORDS = {"due": ("到期口径", "the due cohort"), "closed": ("办结口径", "the closed cohort"), "received": ("受理口径", "the received cohort")}


def _counted(base: str) -> str:
    """In a cohort and counted there: true or false, never null."""
    i = CATALOGUE[BASES[base]]
    return f"(({COHORTS[i.cohort]}) and ({i.den})) is true"


def _differences() -> list[Indicator]:
    """One count for either way round of each pair, and one of both together; kept is the numerator as in the cohorts."""
    made = []
    for one, other in (pair[::step] for pair in PAIRS for step in (1, -1)):
        (zh, en), (zh_other, en_other) = _WORDS[one], _WORDS[other]
        made.append(Indicator(f"{one}_not_{other}", f"计入{zh}、不计入{zh_other}", f"In {en}, not in {en_other}",
                              f"按时办结 ÷ 计入{zh}而不计入{zh_other}的件", f"answered in time ÷ counted in {en} and not in {en_other}",
                              one, f"({CATALOGUE[BASES[one]].den}) and not ({_counted(other)})", "s.state = 'A'", better="neither"))
    for one, other in PAIRS:
        (zh, en), (zh_other, en_other) = _WORDS[one], _WORDS[other]
        made.append(Indicator(f"{one}_or_{other}", f"{zh}与{zh_other}不同的件", f"Where {en} and {en_other} differ",
                              f"按时办结 ÷ 只计入{zh}、{zh_other}之一的件", f"answered in time ÷ counted in only one of {en} and {en_other}",
                              f"{one}_or_{other}", f"({_counted(one)}) <> ({_counted(other)})", "s.state = 'A'", better="neither"))
    return made


for _one, _other in PAIRS:
    COHORTS[f"{_one}_or_{_other}"] = f"(({COHORTS[_one]}) or ({COHORTS[_other]}))"
    DATES[f"{_one}_or_{_other}"] = "s.received_at"
CATALOGUE |= {i.code: i for i in _differences()}
DIFFERENT = {f"{one}_not_{other}": (one, other, False) for pair in PAIRS for one, other in (pair, pair[::-1])} | {f"{one}_or_{other}": (one, other, True) for one, other in PAIRS}
# A part of an indicator, from its two predicates: all, the numerator, what is not in it.
PART = {"den": "({den})", "num": "({den}) and ({num})", "rest": "({den}) and not coalesce(({num}), false)"}
# What makes a complaint urgent, the weightiest first: the order of lists, and of the facts that their first rows are found by.
URGENT = ("c.channel_kind in ('regulator', 'central_bank')", "c.media_level > 0", "c.major", "c.repeat_of is not null")
DEFECTS = tuple(code for code in CATALOGUE if code.startswith("defect_"))
PARTS = frozenset(DIFFERENT) | {f"arrived_{code}" for code, *_ in ARRIVALS} | set(DEFECTS)     # counts with a numerator that are no rates of their own
STATES = {"A": "on_time", "B": "late", "C": "open_not_due", "D": "due_soon", "E": "overdue", "X": "excluded", "N": "no_limit"}


def markdown() -> str:
    """The catalogue as a table for docs/indicators.md: code, names, formula, cohort, charged to, better."""
    cohorts = {"received": "受理口径 received", "due": "到期口径 due", "falls_due": "到期（含未到）falls due", "closed": "办结口径 closed",
               "open": "此刻在办 open", "all": "全部时间 of any time", "open_or_done": "本期催办 urged", "due_or_closed": "到期或办结 due or closed",
               "due_or_received": "到期或受理 due or received", "closed_or_received": "办结或受理 closed or received"}
    units = {"charged": "考核归属单位 accountable", "about": "被投诉单位 complained about", "responsible": "承办单位 responsible",
             "any": "任一关系 any of the three"}
    lines = ["# Indicators", "", "Written from the catalogue in `queries/indicators.py` by `python -m dashboard indicators`. Rates are printed with numerator and",
             "denominator; an empty denominator is null. Days are working days of the complaint's calendar.", "",
             "| code | 中文 | English | 公式 | formula | cohort | charged to |", "|---|---|---|---|---|---|---|"]
    lines += [f"| `{i.code}` | {i.zh} | {i.en} | {i.formula_zh} | {i.formula_en} | {cohorts[i.cohort]} | {units[i.unit_of]} |" for i in CATALOGUE.values()]
    lines += ["", "Beside them `figures` prints `days_median`, `days_p90`, `days_mean` (working days to done, done in the period, without excluded),",
              "`days_median_km` (Kaplan–Meier over the complaints received in the period, open ones censored), `two_source_gap` (`gap_unit` − `gap_office`) and",
              "`source_on_time` (share that the source itself calls on time, of those that carry its flag).", ""]
    return "\n".join(lines)
