"""`python -m dashboard due`: a limit and how it was counted, as text for a terminal. Pure; its few words stand here."""
from zoneinfo import ZoneInfo

import pandas as pd

from dashboard import words

_LINES = 60                            # a longer trace is cut in the middle
_WORDS = {
    "zh": {
        "received": "受理", "target": "预警线", "limit": "时限", "today": "今天", "none": "无时限（规则未设时限）",
        "rule": "依据：{title}，第{version}版，{from_day}起执行", "provisional": "（暂定：该年日历未发布，按周一至周五推算）",
        "w": "{n}个工作日", "c": "{n}天（自然日）", "h": "{n}小时", "day_zero_not": "受理当日不计", "day_zero": "受理当日计入",
        "calendar": "日历：{code}，{zone}；{origin}", "weekdays": "未发布，按周一至周五推算",
        "weekday": "工作日", "weekend": "周末", "holiday": "放假", "makeup": "调休上班",
        "estimated_on": "工作日（推算）", "estimated_off": "周末（推算）",
        "days": "一二三四五六日", "week": "周{day}", "count": "第{n}日", "late": "逾期+{n}", "joint": "，", "cut": "……（略去{n}天）",
    },
    "en": {
        "received": "received", "target": "target", "limit": "limit", "today": "today",
        "none": "no limit (the rule sets none)",
        "rule": "Rule: {title}, version {version}, in force from {from_day}",
        "provisional": " (provisional: that year's calendar is not published, plain weekdays are counted)",
        "w": "{n} working days", "c": "{n} calendar days", "h": "{n} hours",
        "day_zero_not": "day of receipt not counted", "day_zero": "day of receipt counted",
        "calendar": "Calendar: {code}, {zone}; {origin}", "weekdays": "not published, plain weekdays",
        "weekday": "working day", "weekend": "weekend", "holiday": "holiday", "makeup": "make-up working day",
        "estimated_on": "working day (estimated)", "estimated_off": "weekend (estimated)",
        "days": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), "week": "{day}",
        "count": "day {n}", "late": "late +{n}", "joint": ", ",
        "cut": "… ({n} days left out)",
    },
}


def format_due(found: dict, language: str = "zh") -> str:
    """The answer of queries.clocks.due() as text: receipt, target, limit, the rule, the calendar, and day by day."""
    say = _WORDS[language]
    zone = ZoneInfo(found["zone"])
    with words.speaking(language):
        def line(key: str, value: str) -> str:
            return f"{say[key]}{'：' if language == 'zh' else ': '}{value}"

        lines = [line("received", words.moment(found["received"], zone, long=True))]
        if found["limit"] is None:
            lines.append(line("limit", say["none"]))
        else:
            if found["target"] and found["target"] != found["limit"]:
                lines.append(line("target", _end(found["target"])))
            lines.append(line("limit", _end(found["limit"]) + (say["provisional"] if found["provisional"] else "")))
        title = found["title" if language == "zh" else "title_en"]
        if language == "zh" and found["article"] not in title:           # articles are named in Chinese
            title = f"{title} {found['article']}"
        lines.append(say["rule"].format(title=title, version=found["version"],
                                        from_day=words.day_long(found["effective_from"])))
        if found["amount"] is not None:
            lines.append("    " + say["joint"].join([say[found["unit"]].format(n=found["amount"]),
                                                     say["day_zero" if found["day_zero"] else "day_zero_not"]]))
        origin = say["weekdays"] if found["status"] == "estimated" else found["origin"]
        lines.append(say["calendar"].format(code=found["calendar"], zone=found["zone"], origin=origin))
    return "\n".join([*lines, "", *_days(found["trace"], say)]) + "\n"


def _end(moment) -> str:
    """A limit to the minute, or the day at whose end it is."""
    if (moment.hour, moment.minute, moment.second) == (23, 59, 59):
        return f"{moment:%Y-%m-%d} 24:00"
    return f"{moment:%Y-%m-%d %H:%M}"


def _days(trace: pd.DataFrame, say: dict) -> list[str]:
    lines = []
    for row in trace.itertuples():
        kind = row.kind if row.kind != "estimated" else "estimated_on" if row.working else "estimated_off"
        count = "" if pd.isna(row.count) else say["count"].format(n=row.count)
        if not pd.isna(row.late):
            count = say["late"].format(n=row.late)
        marks = say["joint"].join(say[mark] for mark in row.marks.split(",") if mark)
        day = f"{row.day:%Y-%m-%d} {say['week'].format(day=say['days'][row.day.weekday()])}"
        lines.append("  ".join([day, _pad(count, 8), f"{say[kind]} {row.name}".rstrip(), marks]).rstrip())
    if len(lines) <= _LINES:
        return lines
    half = _LINES // 2
    return [*lines[:half], say["cut"].format(n=len(lines) - 2 * half), *lines[-half:]]


def _pad(text: str, width: int) -> str:
    """A Chinese character takes two columns of a terminal."""
    return text + " " * (width - sum(2 if ord(c) > 0x2E7F else 1 for c in text))
