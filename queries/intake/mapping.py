"""A mapping says which column of a source is which field of a complaint. `load` reads one, or refuses."""
import difflib
import hashlib
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

from queries.intake import dates


class Kind(StrEnum):
    NAME = "name"            # one line of at most 200 characters: numbers, names, labels
    TEXT = "text"            # any length, cut at 20,000 characters
    TIMESTAMP = "timestamp"
    NUMBER = "number"
    BOOL = "bool"
    CODE = "code"            # one of CODES


FIELDS: dict[str, Kind] = {
    "complaint_no": Kind.NAME,
    "received_at": Kind.TIMESTAMP, "registered_at": Kind.TIMESTAMP, "dispatched_at": Kind.TIMESTAMP,
    "read_at": Kind.TIMESTAMP, "customer_replied_at": Kind.TIMESTAMP, "office_replied_at": Kind.TIMESTAMP,
    "closed_at": Kind.TIMESTAMP, "filed_at": Kind.TIMESTAMP, "withdrawn_at": Kind.TIMESTAMP,
    "due_at": Kind.TIMESTAMP,
    "unit": Kind.NAME, "parent_unit": Kind.NAME, "unit_path": Kind.NAME, "accepting_unit": Kind.NAME,
    "source_unit": Kind.NAME, "unit_complained": Kind.NAME,
    "category": Kind.NAME, "subcategory": Kind.NAME, "channel": Kind.NAME, "complexity": Kind.CODE,
    "title": Kind.TEXT, "text": Kind.TEXT, "demand": Kind.TEXT, "reply_text": Kind.TEXT,
    "amount": Kind.NUMBER, "amount_demanded": Kind.NUMBER,
    "handler": Kind.NAME, "person_complained": Kind.NAME, "complainant_name": Kind.NAME,
    "complainant_phone": Kind.NAME, "anonymous": Kind.BOOL,
    "source_verdict": Kind.CODE, "satisfaction": Kind.CODE, "disputed": Kind.BOOL, "status": Kind.NAME,
    "major": Kind.BOOL, "media_level": Kind.CODE, "repeat_of": Kind.NAME, "outcome": Kind.TEXT,
    "responsibility": Kind.NAME,
}
CODES = {
    "complexity": ("simple", "complex"),
    "source_verdict": ("on_time", "late"),
    "satisfaction": ("satisfied", "basically", "dissatisfied"),
    "media_level": ("none", "city", "province", "central"),
}
SECTIONS = ("source", "fields", "values", "defaults")
SOURCE_KEYS = ("name", "timezone", "calendar", "encoding", "sheet", "null", "pack", "query", "collapse")
ORIGIN_KEYS = ("column", "columns", "join", "format", "pattern", "template", "value", "generate")


class MappingError(ValueError):
    """A mapping that cannot be used. The text names file, line and key and says what is allowed."""

    def __init__(self, file: str, line: int, key: str, message: str):
        self.file, self.line, self.key, self.message = file, line, key, message
        super().__init__(f"{file}, line {line}{', ' + key if key else ''}: {message}")


@dataclass(frozen=True)
class Origin:
    """Where the value of one field comes from: columns of the source, a constant, or the row's own place."""
    columns: tuple[str, ...] = ()
    join: str = " "
    format: str | None = None
    pattern: re.Pattern | None = None
    template: str | None = None        # with pattern: '\1市'; without it, the named or the only group
    value: str | int | float | bool | None = None
    generate: bool = False             # file name and line


@dataclass(frozen=True)
class Collapse:
    key: str
    order: str


@dataclass(frozen=True)
class Mapping:
    name: str
    timezone: ZoneInfo
    fields: dict[str, Origin]
    unit_path: tuple[Origin, ...] = ()
    values: dict[str, dict[str, str | int | float | bool]] = field(default_factory=dict)
    defaults: dict[str, str | int | float | bool] = field(default_factory=dict)
    calendar: str | None = None
    encoding: str | None = None
    sheet: str | None = None
    null: frozenset[str] = frozenset([""])
    pack: str | None = None
    query: str | None = None
    collapse: Collapse | None = None
    digest: str = ""                   # sha256 of the mapping's text

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the source must have, in the order of the mapping."""
        named = [c for origin in (*self.fields.values(), *self.unit_path) for c in origin.columns]
        return tuple(dict.fromkeys(named + ([self.collapse.key, self.collapse.order] if self.collapse else [])))


def load(path: str | Path, timezone: str = "Asia/Shanghai") -> Mapping:
    """The mapping in this TOML file; `timezone` is that of naive times where the file names none. MappingError."""
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")         # Windows editors put a mark in front
    except OSError as error:
        raise MappingError(str(path), 1, "", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[:error.start].count(b"\n") + 1
        raise MappingError(str(path), line, "", "is not UTF-8; save the mapping as UTF-8") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, key = _syntax_place(text, str(error))
        raise MappingError(str(path), line, key, f"not valid TOML: {error}") from None
    return _Check(str(path), text).mapping(data, path.stem, timezone)


@dataclass
class _Check:
    """One mapping being read; every refusal goes through `fail`, which knows the line."""
    file: str
    text: str

    def fail(self, key: tuple[str, ...], message: str) -> NoReturn:
        raise MappingError(self.file, _line(self.text, key), ".".join(key), message)

    def mapping(self, data: dict, name: str, timezone: str) -> Mapping:
        self.known(data, SECTIONS, ())
        for section, table in data.items():
            self.is_a(table, dict, (section,), "a table")
        source, fields = data.get("source", {}), dict(data.get("fields", {}))
        self.known(source, SOURCE_KEYS, ("source",))
        self.known(fields, FIELDS, ("fields",))
        for key in SOURCE_KEYS[:-1]:
            if key in source and key != "null":
                self.is_a(source[key], str, ("source", key), "a text")
        for key in ("complaint_no", "received_at"):
            if key not in fields:
                self.fail(("fields",), f"{key} is missing; complaint_no, received_at and unit or unit_path are needed")
        if not {"unit", "unit_path"} & fields.keys():
            self.fail(("fields",), 'unit is missing; give unit = "Column", unit_path = ["Column", …] '
                                   'or unit = { value = "name" }')
        if {"parent_unit", "unit_path"} <= fields.keys():
            self.fail(("fields", "parent_unit"), "give parent_unit or unit_path, not both")
        path = fields.pop("unit_path", [])
        self.is_a(path, list, ("fields", "unit_path"), 'a list of columns, such as ["省行", "市行", "网点"]')
        values = data.get("values", {})
        self.known(values, FIELDS, ("values",))
        self.known(data.get("defaults", {}), [f for f in FIELDS if f != "unit_path"], ("defaults",))
        return Mapping(
            name=source.get("name") or name,
            timezone=self.zone(source.get("timezone", timezone)),
            fields={key: self.origin(key, value, ("fields", key)) for key, value in fields.items()},
            unit_path=tuple(self.origin("unit_path", value, ("fields", "unit_path")) for value in path),
            values={key: self.value_map(key, table, data["fields"]) for key, table in values.items()},
            defaults={key: self.constant(key, value, ("defaults", key))
                      for key, value in data.get("defaults", {}).items()},
            calendar=source.get("calendar"), sheet=source.get("sheet"), pack=source.get("pack"),
            encoding=self.encoding(source.get("encoding")), query=source.get("query"),
            null=self.null(source.get("null", [])), collapse=self.collapse(source.get("collapse")),
            digest=hashlib.sha256(self.text.encode()).hexdigest())

    def known(self, table: dict, allowed: Iterable[str], place: tuple[str, ...]) -> None:
        allowed = list(allowed)
        for key in table:
            if key not in allowed:
                near = difflib.get_close_matches(key, allowed, 1)
                hint = f"did you mean {near[0]}? " if near else ""
                self.fail((*place, key), f"unknown key; {hint}allowed are {', '.join(allowed)}")

    def is_a(self, value: object, kind: type, key: tuple[str, ...], words: str) -> None:
        if not isinstance(value, kind):
            self.fail(key, f"must be {words}, not {value!r}")

    def zone(self, name: str) -> ZoneInfo:
        try:
            return ZoneInfo(name)
        except (LookupError, ValueError, OSError):        # a folder's name, such as "Asia", is an OSError
            self.fail(("source", "timezone"), f"unknown time zone {name!r}; a name such as Asia/Shanghai is allowed")

    def encoding(self, name: str | None) -> str | None:
        try:
            "".encode(name or "utf-8")
        except (LookupError, ValueError):
            self.fail(("source", "encoding"), f"unknown encoding {name!r}; a name such as utf-8, gb18030 or cp1252 is "
                                              "allowed; without the key utf-8 and gb18030 are tried")
        return name

    def null(self, values: object) -> frozenset[str]:
        key = ("source", "null")
        self.is_a(values, list, key, 'a list of texts, such as ["", "N/A"]')
        for value in values:
            self.is_a(value, str, key, "a list of texts")
        return frozenset(["", *(value.strip() for value in values)])

    def collapse(self, table: object) -> Collapse | None:
        if table is None:
            return None
        key = ("source", "collapse")
        if not (isinstance(table, dict) and table.keys() == {"key", "order"}
                and all(isinstance(v, str) for v in table.values())):
            self.fail(key, 'must be { key = "Column", order = "Column" }')
        return Collapse(**table)

    def origin(self, name: str, value: object, key: tuple[str, ...]) -> Origin:
        if isinstance(value, str):
            value = {"column": value}
        self.is_a(value, dict, key, 'a column ("Name") or a table such as { column = "Name" }')
        self.known(value, ORIGIN_KEYS, key)
        kinds = [k for k in ("column", "columns", "value", "generate") if k in value]
        if len(kinds) != 1:
            self.fail(key, "needs exactly one of column, columns, value and generate")
        for part in ("column", "join", "format", "pattern", "template"):
            if part in value:
                self.is_a(value[part], str, (*key, part), "a text")
        if kinds[0] in ("value", "generate") and len(value) > 1:
            self.fail(key, f"{kinds[0]} stands alone; {', '.join(value.keys() - {kinds[0]})} cannot go with it")
        if "generate" in value:
            if name != "complaint_no" or value["generate"] != "row":
                self.fail(key, 'only complaint_no can be generated, with { generate = "row" }')
            return Origin(generate=True)
        if "value" in value:
            return Origin(value=self.constant(name, value["value"], key))
        columns = value.get("columns", [value.get("column")])
        if not (isinstance(columns, list) and columns and all(isinstance(c, str) and c.strip() for c in columns)):
            self.fail(key, "the name of a column is a text that is not blank")
        return Origin(columns=tuple(c.strip() for c in columns), join=value.get("join", " "),
                      format=self.format(name, value.get("format"), key), template=value.get("template"),
                      pattern=self.pattern(value.get("pattern"), value.get("template"), key))

    def format(self, name: str, form: str | None, key: tuple[str, ...]) -> str | None:
        if form is None:
            return None
        if FIELDS[name] != Kind.TIMESTAMP:
            self.fail((*key, "format"), f"only times have a format, {name} is a {FIELDS[name]}")
        try:
            dates.parser(form)
        except ValueError as error:
            self.fail((*key, "format"), f"{form!r}: {error}")
        return form

    def pattern(self, text: str | None, template: str | None, key: tuple[str, ...]) -> re.Pattern | None:
        if text is None:
            if template is not None:
                self.fail((*key, "template"), "goes with a pattern only")
            return None
        try:
            pattern = re.compile(text)
        except re.error as error:
            self.fail((*key, "pattern"), f"not a regular expression: {error}")
        if template is None and len(pattern.groupindex) != 1 and pattern.groups != 1:
            self.fail((*key, "pattern"), "needs one group ( ) or one named group (?P<name> ) that is the value")
        if template is not None:
            try:
                re.sub(pattern, template, "")             # parses the template, whatever the pattern finds
            except (re.error, IndexError) as error:
                self.fail((*key, "template"), f"does not fit the pattern: {error}")
        return pattern

    def value_map(self, name: str, table: object, fields: dict) -> dict:
        key = ("values", name)
        self.is_a(table, dict, key, "a table: source value = canonical value")
        if name not in fields:
            self.fail(key, "has no column; give the field in [fields] or drop this table")
        check: Callable = self.constant if FIELDS[name] in (Kind.CODE, Kind.BOOL, Kind.NUMBER) else self.scalar
        return {old.strip(): check(name, new, (*key, old)) for old, new in table.items()}

    def constant(self, name: str, value: object, key: tuple[str, ...]) -> str | int | float | bool:
        kind = FIELDS[name]
        if value == "" and key[0] == "values":            # "this source value means nothing"
            return ""
        if kind == Kind.CODE and value not in CODES[name]:
            self.fail(key, f"{value!r} is not allowed; allowed are {', '.join(CODES[name])}")
        if kind == Kind.BOOL:
            self.is_a(value, bool, key, "true or false")
        if kind == Kind.NUMBER and (isinstance(value, bool) or not isinstance(value, int | float)):
            self.fail(key, f"must be a number, not {value!r}")
        if kind == Kind.TIMESTAMP:
            self.fail(key, "a time cannot be a constant; give a column")
        return self.scalar(name, value, key)

    def scalar(self, name: str, value: object, key: tuple[str, ...]) -> str | int | float | bool:
        self.is_a(value, str | int | float | bool, key, "a text, a number, true or false")
        return value.strip() if isinstance(value, str) else value


def _line(text: str, key: tuple[str, ...]) -> int:
    """The line on which the key stands, or the one nearest above it: a key inside { } has the line of its field."""
    section: tuple[str, ...] = ()
    best, depth = 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.match(r"\s*\[\[?\s*([^\]=]+?)\s*\]", line):
            here = section = _parts(found[1])
        elif found := re.match(r"\s*((?:\"[^\"]*\"|'[^']*'|[\w.\-\s])+?)\s*=", line):
            here = section + _parts(found[1])
        else:
            continue
        shared = min(len(here), len(key))
        if here[:shared] == key[:shared] and shared > depth:
            best, depth = number, shared
    return best


def _parts(name: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(r"\"[^\"]*\"|'[^']*'|[^.\s]+", name))


def _syntax_place(text: str, message: str) -> tuple[int, str]:
    """Line and key of a TOML error, from the place that tomllib puts at the end of its message."""
    lines = text.splitlines() or [""]
    found = re.search(r"at line (\d+)", message)
    line = min(int(found[1]), len(lines)) if found else len(lines)
    key = re.match(r"\s*([^=\[#]+?)\s*=", lines[line - 1])
    return line, key[1] if key else ""
