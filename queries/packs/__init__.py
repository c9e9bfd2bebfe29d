"""Sector packs: a sector's rules in one TOML. `load` checks it, `install` puts it into the database.

Written for people: "reply", "working_days". The database's one-letter codes are in CLOCKS and UNITS, here alone.
A limit once installed is never edited, because complaints were judged by it: a change is a new version, later on.
"""

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy import Connection, text

HERE = Path(__file__).parent
CLOCKS = {
    "reply": "r",
    "dispatch": "d",
    "redo": "o",
    "withdrawal": "w",
    "call_back": "k",
    "acknowledge": "u",
    "answer": "a",
}
UNITS = {"working_days": "w", "calendar_days": "c", "hours": "h"}
COMPLEXITY = {"simple": "s", "complex": "c"}
OWNERS = ("accountable", "accepting", "urged", "office")
END_RULES = ("both", "customer", "closed")
SOURCE_LIMITS = ("governs", "second")
MOVES = ("extension", "pause")
ELEMENTS = ("facts", "person_treated", "lessons", "satisfaction", "handled", "handler", "telephone")
LEVELS = 6


class PackError(ValueError):
    """A pack that cannot be used. The text names file, line and key and says what is allowed."""

    def __init__(self, file: str, line: int, key: str, message: str):
        self.file, self.line, self.key, self.message = file, line, key, message
        super().__init__(f"{file}, line {line}{', ' + key if key else ''}: {message}")


@dataclass(frozen=True)
class Word:
    code: str
    zh: str
    en: str


@dataclass(frozen=True)
class Category(Word):
    complexity: str | None             # s, c or None: the category has a limit of its own
    restricted: bool                   # discipline and named supervisors only
    anonymous: bool


@dataclass(frozen=True)
class Element(Word):
    may_not_apply: bool                # a reply may leave it out with a reason


@dataclass(frozen=True)
class Limit:
    """One row of policy_limit: clock and unit in the database's letters; amount None = no limit."""
    clock: str
    category: str | None
    complexity: str | None
    channel: str | None
    amount: int | None
    unit: str
    target: int | None
    soon: int                          # working days before the limit in which it counts as due soon
    owner: str
    article: str
    line: int                          # in the file, for messages


@dataclass(frozen=True)
class Version:
    version: int
    effective_from: date
    title: Word
    day_zero: bool
    end_rule: str
    source_limit: str
    moves: tuple[str, ...]
    extension: tuple[int, str] | None  # the longest extension that may be approved: amount, unit letter
    limits: tuple[Limit, ...]
    line: int


@dataclass(frozen=True)
class Pack:
    code: str
    name: Word
    calendar: str
    levels: tuple[Word, ...]
    categories: tuple[Category, ...]
    channels: tuple[Word, ...]
    words: dict[str, Word]
    reply: tuple[Element, ...]
    major_amount: float | None
    major_reasons: tuple[Word, ...]
    versions: tuple[Version, ...]
    file: str


def names() -> list[str]:
    """The packs that come with the product."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


def load(path_or_name: str | Path) -> Pack:
    """The pack of that name, or in that file. PackError."""
    path = HERE / f"{path_or_name}.toml" if str(path_or_name) in names() else Path(path_or_name)
    try:
        source = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise PackError(
            str(path_or_name), 1, "", f"cannot be read ({error.strerror}); there are {', '.join(names())}"
        ) from None
    except UnicodeDecodeError as error:
        raise PackError(str(path), error.object[:error.start].count(b"\n") + 1, "", "is not UTF-8") from None
    try:
        data = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"at line (\d+)", str(error))
        raise PackError(
            str(path), int(at[1]) if at else source.count("\n") + 1, "", f"not valid TOML: {error}"
        ) from None
    return _Reader(str(path), _lines(source)).pack(path.stem, data)


# -- checking -------------------------------------------------------------------------------------------------------

Key = tuple[str | int, ...]


@dataclass
class _Reader:
    """Every refusal goes through `fail`, which knows the line."""
    file: str
    lines: dict[Key, int]

    def fail(self, key: Key, message: str) -> NoReturn:
        raise PackError(self.file, self.line(key), ".".join(str(k) for k in key if not isinstance(k, int)), message)

    def line(self, key: Key) -> int:
        """The line of a key, or of the nearest table around it."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)

    def table(self, value: Any, key: Key, needed: Collection[str], allowed: Collection[str] = ()) -> dict:
        if not isinstance(value, dict):
            self.fail(key, "must be a table")
        for name in value:
            if name not in needed and name not in allowed:
                self.fail((*key, name), f"is not known here; allowed are {', '.join((*needed, *allowed))}")
        for name in needed:
            if name not in value:
                self.fail(key, f"{name} is missing")
        return value

    def one_of(self, value: Any, key: Key, allowed: Collection[str]) -> str:
        if not isinstance(value, str) or value not in allowed:
            self.fail(key, f"{value!r} is not allowed; allowed are {', '.join(allowed)}")
        return value

    def whole(self, value: Any, key: Key, least: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            self.fail(key, f"must be a whole number of at least {least}, not {value!r}")
        return value

    def yes_no(self, value: Any, key: Key) -> bool:
        if not isinstance(value, bool):
            self.fail(key, f"must be true or false, not {value!r}")
        return value

    def text(self, value: Any, key: Key) -> str:
        if not isinstance(value, str) or not value.strip():
            self.fail(key, f"must be a text, not {value!r}")
        return value

    def word(self, code: str, value: Any, key: Key, *more: str) -> Word:
        table = self.table(value, key, ("zh", "en"), more)
        return Word(code, self.text(table["zh"], (*key, "zh")), self.text(table["en"], (*key, "en")))

    def words(self, data: dict, *path: str, required: bool = True) -> tuple[Word, ...]:
        value = data.get(path[-1], {})
        if not isinstance(value, dict) or (required and not value):
            self.fail(path, "must be a table of words, code = { zh = \"…\", en = \"…\" }")
        return tuple(self.word(code, entry, (*path, code)) for code, entry in value.items())

    def pack(self, code: str, data: dict) -> Pack:
        self.table(
            data, (), ("name", "calendar", "levels", "categories", "channels", "version"), ("words", "reply", "major")
        )
        levels = self.words(data, "levels")
        if len(levels) > LEVELS:
            self.fail(("levels",), f"are at most {LEVELS}")
        channels = self.words(data, "channels")
        categories = self.categories(data["categories"])
        major = self.table(data.get("major", {}), ("major",), (), ("amount", "reasons"))
        amount = major.get("amount")
        if amount is not None and (not isinstance(amount, (int, float)) or isinstance(amount, bool) or amount <= 0):
            self.fail(("major", "amount"), f"must be a number above 0, not {amount!r}")
        if not isinstance(data["version"], list) or not data["version"]:
            self.fail(("version",), "must be one or more [[version]]")
        versions = tuple(
            self.version(entry, ("version", n), categories, channels) for n, entry in enumerate(data["version"])
        )
        for n, (one, two) in enumerate(zip(versions, versions[1:]), 1):
            if two.version <= one.version:
                self.fail(("version", n, "version"), f"must be above {one.version}, the version before it")
            if two.effective_from <= one.effective_from:
                self.fail(
                    ("version", n, "effective_from"),
                    f"must be after {one.effective_from}, when the version before it began",
                )
        return Pack(
            code=code,
            name=self.word(code, data["name"], ("name",)),
            calendar=self.text(data["calendar"], ("calendar",)),
            levels=levels,
            categories=categories,
            channels=channels,
            words={w.code: w for w in self.words(data, "words", required=False)},
            reply=self.elements(data.get("reply", {})),
            major_amount=amount,
            major_reasons=self.words(major, "major", "reasons", required=False),
            versions=versions,
            file=self.file,
        )

    def categories(self, value: Any) -> tuple[Category, ...]:
        if not isinstance(value, dict) or not value:
            self.fail(("categories",), "must be a table of categories")
        found = []
        for code, entry in value.items():
            key = ("categories", code)
            word = self.word(code, entry, key, "complexity", "restricted", "anonymous")
            complexity = (
                self.one_of(entry["complexity"], (*key, "complexity"), COMPLEXITY) if "complexity" in entry else None
            )
            found.append(Category(code, word.zh, word.en, COMPLEXITY.get(complexity),
                                  self.yes_no(entry.get("restricted", False), (*key, "restricted")),
                                  self.yes_no(entry.get("anonymous", False), (*key, "anonymous"))))
        return tuple(found)

    def elements(self, value: Any) -> tuple[Element, ...]:
        self.table(value, ("reply",), (), ELEMENTS)
        found = []
        for code, entry in value.items():
            word = self.word(code, entry, ("reply", code), "may_not_apply")
            found.append(Element(code, word.zh, word.en,
                                 self.yes_no(entry.get("may_not_apply", False), ("reply", code, "may_not_apply"))))
        return tuple(found)

    def version(self, value: Any, key: Key, categories: tuple[Category, ...], channels: tuple[Word, ...]) -> Version:
        table = self.table(value, key, ("version", "effective_from", "title", "end_rule", "source_limit", "limit"),
                           ("day_zero", "moves", "extension"))
        start = table["effective_from"]
        if not isinstance(start, date) or isinstance(start, datetime):
            self.fail((*key, "effective_from"), f"must be a date such as 2027-01-01, without quotes, not {start!r}")
        moves = table.get("moves", [])
        if not isinstance(moves, list):
            self.fail((*key, "moves"), f"must be a list of {', '.join(MOVES)}")
        for move in moves:
            self.one_of(move, (*key, "moves"), MOVES)
        extension = None
        if "extension" in table:
            at = (*key, "extension")
            entry = self.table(table["extension"], at, ("amount", "unit"))
            if "extension" not in moves:
                self.fail(at, 'is given, but moves does not name "extension"')
            extension = self.whole(entry["amount"], (*at, "amount"), 1), UNITS[self.unit(entry["unit"], (*at, "unit"))]
        if not isinstance(table["limit"], list):
            self.fail((*key, "limit"), "must be one or more [[version.limit]]")
        limits = tuple(
            self.limit(entry, (*key, "limit", n), categories, channels) for n, entry in enumerate(table["limit"])
        )
        first: dict[tuple, Limit] = {}
        for n, limit in enumerate(limits):
            same = first.setdefault((limit.clock, limit.category, limit.complexity, limit.channel), limit)
            if same is not limit:
                self.fail(
                    (*key, "limit", n),
                    f"says again what line {same.line} says: same clock, category, complexity and channel",
                )
        for category in categories:
            if not any(limit.clock == "r" and limit.category in (None, category.code) and limit.channel is None
                       and limit.complexity in (None, category.complexity) for limit in limits):
                self.fail(
                    ("categories", category.code),
                    f"has no limit of the reply clock in version {table['version']}; "
                    "give complexity, or a [[version.limit]] (no_limit = true where there is none)",
                )
        return Version(
            version=self.whole(table["version"], (*key, "version"), 1),
            effective_from=start,
            title=self.word("title", table["title"], (*key, "title")),
            day_zero=self.yes_no(table.get("day_zero", False), (*key, "day_zero")),
            end_rule=self.one_of(table["end_rule"], (*key, "end_rule"), END_RULES),
            source_limit=self.one_of(table["source_limit"], (*key, "source_limit"), SOURCE_LIMITS),
            moves=tuple(moves),
            extension=extension,
            limits=limits,
            line=self.line(key),
        )

    def limit(self, value: Any, key: Key, categories: tuple[Category, ...], channels: tuple[Word, ...]) -> Limit:
        table = self.table(
            value,
            key,
            ("clock",),
            ("category", "complexity", "channel", "amount", "no_limit", "unit", "target", "soon", "owner", "article"),
        )
        clock = self.one_of(table["clock"], (*key, "clock"), CLOCKS)
        unit = self.unit(table.get("unit", "working_days"), (*key, "unit"))
        no_limit = self.yes_no(table.get("no_limit", False), (*key, "no_limit"))
        if no_limit == ("amount" in table):
            self.fail((*key, "no_limit") if no_limit else key, "give either amount, or no_limit = true")
        if no_limit and clock != "reply":
            self.fail((*key, "no_limit"), "is for the reply clock; a clock that is not wanted is left out")
        amount = None if no_limit else self.whole(table["amount"], (*key, "amount"), 1)
        target = self.whole(table["target"], (*key, "target"), 1) if "target" in table else None
        if target is not None and (unit != "working_days" or amount is None or target >= amount):
            self.fail((*key, "target"), "must be below amount, both in working days")
        soon = self.whole(table.get("soon", 0), (*key, "soon"), 0)
        if soon and (amount is None or unit == "hours" or soon > amount):
            self.fail((*key, "soon"), "is in working days, at most amount, and not for hours")

        def named(what: str, allowed: Collection[str]) -> str | None:
            return self.one_of(table[what], (*key, what), allowed) if what in table else None

        return Limit(
            clock=CLOCKS[clock],
            category=named("category", [c.code for c in categories]),
            complexity=COMPLEXITY.get(named("complexity", COMPLEXITY)),
            channel=named("channel", [c.code for c in channels]),
            amount=amount,
            unit=UNITS[unit],
            target=target,
            soon=soon,
            owner=self.one_of(table.get("owner", "accountable"), (*key, "owner"), OWNERS),
            article=self.text(table["article"], (*key, "article")) if "article" in table else "",
            line=self.line(key),
        )

    def unit(self, value: Any, key: Key) -> str:
        if value == "working_hours":
            self.fail(key, f"working hours are not counted yet; allowed are {', '.join(UNITS)}")
        return self.one_of(value, key, UNITS)


def _lines(source: str) -> dict[Key, int]:
    """{path of a key: its line}; a number in a path is a place in an array of tables."""
    found: dict[Key, int] = {}
    places: dict[Key, int] = {}
    here: Key = ()

    def path(dotted: str, *, last: bool) -> Key:
        """Names before the last step into the current table of an array, as TOML does."""
        key: Key = ()
        parts = [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|([\w-]+)', dotted)]
        for n, part in enumerate(parts):
            key += (part,)
            if key in places and (last or n < len(parts) - 1):
                key += (places[key],)
        return key

    for number, line in enumerate(source.splitlines(), 1):
        if head := re.match(r"\s*\[\[\s*(.+?)\s*\]\]", line):
            array = path(head[1], last=False)
            places[array] = places.get(array, -1) + 1
            here = (*array, places[array])
            found.setdefault(array, number)
            found[here] = number
        elif head := re.match(r"\s*\[\s*(.+?)\s*\]", line):
            here = path(head[1], last=True)
            found[here] = number
        elif entry := re.match(r"""\s*([\w"'.-]+)\s*=""", line):
            found.setdefault((*here, *path(entry[1], last=False)), number)
    return found


# -- into the database ----------------------------------------------------------------------------------------------

def install(conn: Connection, pack: Pack) -> None:
    """Categories, channels and policy versions of a pack; what is there already stays. Safe to run again.

    Words and the order may be edited; a limit or rule of an installed version may not: PackError wants a new one.
    """
    for table, rows in (("category", pack.categories), ("channel", pack.channels)):
        own = ", complexity, restricted, anonymous" if table == "category" else ""
        there = {
            r.code: r
            for r in conn.execute(
                text(f"select code, name, name_en, sort{own} from {table} where pack = :p"), {"p": pack.code}
            )
        }
        for sort, row in enumerate(rows, 1):
            values = {"pack": pack.code, "code": row.code, "name": row.zh, "name_en": row.en, "sort": sort}
            if table == "category":
                values |= {"complexity": row.complexity, "restricted": row.restricted, "anonymous": row.anonymous}
            known = there.get(row.code)
            if (
                known is not None
                and table == "category"
                and (
                    (known.complexity, known.restricted, known.anonymous)
                    != (row.complexity, row.restricted, row.anonymous)
                )
            ):
                raise PackError(
                    pack.file,
                    1,
                    f"categories.{row.code}",
                    "complexity, restricted and anonymous of an installed category "
                    "stay as they are, because complaints were judged by them; add a category instead",
                )
            if known is None or any(getattr(known, k) != v for k, v in values.items() if k != "pack"):
                conn.execute(
                    text(
                        f"""insert into {table} ({', '.join(values)}) values ({', '.join(f':{k}' for k in values)})
                    on conflict (pack, code) do update
                       set name = excluded.name, name_en = excluded.name_en, sort = excluded.sort"""
                    ),
                    values,
                )
    stored = {r.version: r for r in conn.execute(text("select * from policy where pack = :p"), {"p": pack.code})}
    for version in pack.versions:
        rule = {"effective_from": version.effective_from, "day_zero": version.day_zero, "end_rule": version.end_rule,
                "source_limit": version.source_limit, "moves": list(version.moves), "major_amount": pack.major_amount}
        known = stored.get(version.version)
        if known is None:
            _install_version(conn, pack, version, rule)
            continue
        for key, value in rule.items():
            if getattr(known, key) != value:
                raise PackError(
                    pack.file, version.line, f"version {version.version}", _edited(key, getattr(known, key), value)
                )
        _compare_limits(conn, pack, version, known.policy_id)
        if (known.title, known.title_en) != (version.title.zh, version.title.en):
            conn.execute(text("update policy set title = :zh, title_en = :en where policy_id = :id"),
                         {"zh": version.title.zh, "en": version.title.en, "id": known.policy_id})


def _edited(key: str, before: Any, after: Any) -> str:
    return (
        f"{key} was {before} and is now {after}; an installed version stays as it is, complaints were judged by it: "
        "make a new [[version]] with a later effective_from"
    )


def _install_version(conn: Connection, pack: Pack, version: Version, rule: dict) -> None:
    values = {
        "pack": pack.code,
        "version": version.version,
        "title": version.title.zh,
        "title_en": version.title.en,
        **rule,
    }
    policy = conn.execute(
        text(f"""insert into policy ({', '.join(values)}) values ({', '.join(f':{k}' for k in values)})
                                   returning policy_id"""),
        values,
    ).scalar_one()
    conn.execute(
        text(
            """
        insert into policy_limit
               (policy_id, clock, category_id, complexity, channel_id, amount, unit, target, soon, owner, article)
        values (:policy, :clock,
                (select category_id from category where pack = :pack and code = :category), :complexity,
                (select channel_id from channel where pack = :pack and code = :channel),
                :amount, :unit, :target, :soon, :owner, :article)"""
        ),
        [
            {"policy": policy, "pack": pack.code} | {k: v for k, v in vars(limit).items() if k != "line"}
            for limit in version.limits
        ],
    )


def _compare_limits(conn: Connection, pack: Pack, version: Version, policy_id: int) -> None:
    """Refuses a limit that differs from the installed one, or was added to or taken from an installed version."""
    stored = {
        (r.clock, r.category, r.complexity, r.channel): (r.amount, r.unit, r.target, r.soon, r.owner)
        for r in conn.execute(
            text("""
        select l.clock, g.code as category, l.complexity, h.code as channel, l.amount, l.unit, l.target, l.soon, l.owner
          from policy_limit l left join category g using (category_id) left join channel h using (channel_id)
         where l.policy_id = :policy"""),
            {"policy": policy_id},
        )
    }
    for limit in version.limits:
        place = (limit.clock, limit.category, limit.complexity, limit.channel)
        now = (limit.amount, limit.unit, limit.target, limit.soon, limit.owner)
        before = stored.pop(place, None)
        if before != now:
            raise PackError(pack.file, limit.line, "version.limit", _edited("this limit", before or "absent", now))
    if stored:
        raise PackError(
            pack.file,
            version.line,
            "version.limit",
            _edited("the limit of " + str(next(iter(stored))), "there", "absent"),
        )
