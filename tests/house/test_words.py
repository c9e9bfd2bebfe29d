"""The two catalogues say the same things, and the code asks only for words that exist."""

import ast
import re
from datetime import date, datetime
from pathlib import Path
from string import Formatter
from zoneinfo import ZoneInfo

from dashboard import words

ROOT = Path(__file__).parents[2]
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def forms(entry) -> list[str]:
    return list(entry.values()) if isinstance(entry, dict) else [entry]


def bold_closes(form: str) -> bool:
    """CommonMark leaves ** open between punctuation (a rate ends in %) and a Chinese character."""
    parts = form.split("**")
    return len(parts) % 2 == 1 and not any(
        inside.endswith(("{rate}", "{reach}", "%", "）", "」", "。", "，", "；")) and CHINESE.match(after)
        for inside, after in zip(parts[1::2], parts[2::2]))


def placeholders(entry) -> set[str]:
    return {field for form in forms(entry) for _, field, _, _ in Formatter().parse(form) if field}


def test_both_languages_have_the_same_keys():
    zh, en = words.catalogue("zh").keys(), words.catalogue("en").keys()
    assert zh - en == set() and en - zh == set()


def test_both_languages_have_the_same_placeholders():
    zh, en = (words.catalogue(code) for code in words.LANGUAGES)
    assert [key for key in zh if placeholders(zh[key]) != placeholders(en[key])] == []


def test_plural_forms_count_n_and_have_the_general_form():
    for code in words.LANGUAGES:
        for key, entry in words.catalogue(code).items():
            if isinstance(entry, dict):
                assert "other" in entry and "n" in placeholders(entry), key


def test_no_chinese_in_english_and_no_bold_that_markdown_leaves_open():
    for key, entry in words.catalogue("en").items():
        assert not any(CHINESE.search(form) for form in forms(entry)), key
    for key, entry in words.catalogue("zh").items():
        assert all(bold_closes(form) for form in forms(entry)), key


def calls():
    for folder in ("dashboard", "pages"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                    called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                    if called == "t" and isinstance(node.args[0].value, str):
                        yield f"{file.relative_to(ROOT)}:{node.lineno}", node


def test_every_key_the_code_asks_for_exists_with_all_its_values():
    wrong = []
    for where, call in calls():
        entry = words.catalogue("zh").get(call.args[0].value)
        given = {keyword.arg for keyword in call.keywords}
        if entry is None or None not in given and placeholders(entry) - given:  # None: **values
            wrong.append((where, call.args[0].value))
    assert wrong == []


def asked_for() -> tuple[set[str], list[re.Pattern]]:
    """Every text in the code, and patterns for those that are put together: f"ageing.{one}", words.name("role", code)."""
    texts, patterns = set(), set()
    for folder in ("dashboard", "pages"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.add(node.value)
                elif isinstance(node, ast.JoinedStr):
                    patterns.add("".join(re.escape(part.value) if isinstance(part, ast.Constant) else "[^.]*"
                                         for part in node.values))
                elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "name" and node.args:
                    if isinstance(node.args[0], ast.Constant):
                        patterns.add(rf"{node.args[0].value}\..*")
    return texts, [re.compile(one) for one in patterns if re.match(r"[a-z_]+\\\.", one)]


def test_no_words_that_nobody_asks_for():
    texts, patterns = asked_for()
    assert [key for key in words.catalogue("zh")
            if key not in texts and not any(one.fullmatch(key) for one in patterns)] == []


LATIN = re.compile(r"[A-Za-z]{2,}")
AS_IT_IS = {"CSV", "Excel", "XLSX", "Wilson", "XmR", "Laney", "Shewhart", "Spiegelhalter", "Kaplan", "Meier", "Cohen", "kappa",
            "Manski", "Newcombe", "EN", "python", "dashboard", "import", "calendar", "NVDA", "Wheeler", "PNG", "DATABASE", "URL", "https", "UTF", "day", "working", "name"}


def test_nothing_in_chinese_was_left_untranslated():
    for key, entry in words.catalogue("zh").items():
        for form in forms(entry):
            bare = re.sub(r"\{[^}]*\}|:[a-z_/-]+(:|\[)|`[^`]*`|<[^>]*>", " ", form)
            assert set(LATIN.findall(bare)) <= AS_IT_IS, key


def test_english_chooses_the_plural_form():
    with words.speaking("en"):
        assert [words.working_days(n) for n in (0, 1, 6)] == ["0 working days", "1 working day", "6 working days"]
        assert words.cases(1234) == "1,234"
    with words.speaking("zh"):
        assert words.working_days(6) == "6个工作日"
        assert words.cases(21) == "21件"
        assert words.late_by(0) == "逾期不足1个工作日"


def test_a_rate_of_nothing_is_words_and_never_a_number():
    with words.speaking("zh"):
        assert words.percent(389, 412) == "94.4%" and words.percent(0, 0) == "本期无到期"
        assert words.fraction(389, 412) == "94.4%（389/412）"
    with words.speaking("en"):
        assert words.percent(0, 0) == "nothing due" and words.fraction(389, 412) == "94.4% (389/412)"


def test_dates_are_written_the_way_the_language_writes_them():
    zone, ts = ZoneInfo("Asia/Shanghai"), datetime(2026, 3, 9, 0, 30, tzinfo=ZoneInfo("UTC"))
    midnight = datetime(2026, 3, 6, tzinfo=zone)
    a, b = date(2026, 3, 2), date(2026, 3, 8)
    with words.speaking("zh"):
        assert words.day(date(2026, 3, 5)) == "3月5日" and words.moment(ts, zone) == "3月9日08:30"
        assert words.span(a, b) == "2026年3月2日—3月8日" and words.span_short(a, b) == "3月2日—3月8日"
        assert words.span(date(2025, 12, 29), date(2026, 1, 4)) == "2025年12月29日—2026年1月4日"
        assert words.deadline(midnight, zone) == "3月5日24时"
    with words.speaking("en"):
        assert words.day(date(2026, 3, 5)) == "5 Mar" and words.moment(ts, zone) == "9 Mar 08:30"
        assert words.span(a, b) == "2–8 March 2026" and words.span_short(a, b) == "2–8 Mar"
        assert words.span(date(2026, 3, 30), date(2026, 4, 5)) == "30 March–5 April 2026"
        assert words.span(date(2025, 12, 29), date(2026, 1, 4)) == "29 December 2025–4 January 2026"
        assert words.deadline(midnight, zone) == "end of 5 Mar"


def test_somebodys_text_becomes_markdown_that_shows_exactly_it():
    assert words.literal("a*b\n![x](http://e.org)") == "a\\*b \\!\\[x\\]\\(http\\:\u2060//e\\.org\\)"
    assert words.literal("贷款结清后仍被上报") == "贷款结清后仍被上报"
