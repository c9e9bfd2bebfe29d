"""One raw row into one complaint: times in UTC, texts cleaned, codes checked, or the problems that stop it.

Reasons and marks are codes; their words come at display.
"""
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from zoneinfo import ZoneInfo

from queries.intake import dates
from queries.intake.mapping import CODES, FIELDS, Kind, Mapping, Origin

TEXT_CAP = 20_000
NAME_CAP = 200
DAY = timedelta(days=1)
TWENTY_YEARS = timedelta(days=7305)


class Reason(StrEnum):
    """Why a row does not land."""
    MISSING_ID = "missing_id"
    MISSING_RECEIVED = "missing_received"
    BAD_DATE = "bad_date"
    BAD_NUMBER = "bad_number"
    BAD_VALUE = "bad_value"            # not in a closed set, or a name of more than 200 characters
    FUTURE_DATE = "future_date"        # received more than a day after now
    DUPLICATE_ID = "duplicate_id"      # the same number again in this file, with other content
    MALFORMED_ROW = "malformed_row"    # too many or too few fields, or a quote out of place


class Mark(StrEnum):
    """What is odd about a row that lands."""
    CLOSED_BEFORE_RECEIVED = "closed_before_received"
    DUE_BEFORE_RECEIVED = "due_before_received"
    FAR_LIMIT = "far_limit"            # more than twenty years after receipt
    FUTURE_CLOSE = "future_close"      # closed more than a day after now
    NO_UNIT = "no_unit"
    NO_CATEGORY = "no_category"


@dataclass(slots=True)
class Problem:
    """Why the row of this line does not land; a row may have several."""
    line: int
    column: str | None                 # as the source calls it; None = the row as a whole
    value: str                         # at most 200 characters of what stood there
    reason: Reason
    complaint_no: str | None = None    # where the row has one


@dataclass(slots=True)
class Event:
    """One row of an event log: the fields that changed against the row before (all that are set, in the first)."""
    line: int
    order: str
    changes: dict[str, object]


@dataclass(slots=True)
class Row:
    """One complaint. `values` has every field that the mapping gives; None where the source's cell is blank."""
    line: int
    values: dict[str, object]
    marks: tuple[Mark, ...]
    digest: bytes                      # 16 bytes over values and history; the same from run to run
    history: tuple[Event, ...] = ()

    @property
    def complaint_no(self) -> str:
        return self.values["complaint_no"]


class Converter:
    """Turns raw rows into Row or a list of Problem, as the mapping says. `now` is aware; `name` is the file's name."""

    def __init__(self, mapping: Mapping, now: datetime, name: str = "row"):
        self.now, self.name, self.null = now, name, mapping.null
        self.path_length = len(mapping.unit_path)
        self.generated = mapping.fields["complaint_no"].generate
        formats = dict.fromkeys(o.format for o in mapping.fields.values() if o.format)
        self.time = _timestamps(mapping.timezone, tuple(formats))
        origins = [(field, mapping.fields[field]) for field in FIELDS if field in mapping.fields]
        origins += [(f"unit_path.{i}", origin) for i, origin in enumerate(mapping.unit_path)]
        self.steps = [self._step(key, origin, mapping) for key, origin in origins]
        self.columns = {key: column for key, _, _, column, _ in self.steps}
        self.defaults = dict(mapping.defaults)

    def row(self, line: int, raw: dict | str) -> Row | list[Problem]:
        """The complaint of this line, or everything that keeps it out."""
        if isinstance(raw, str):
            return [Problem(line, None, _shown(raw), Reason.MALFORMED_ROW)]
        values: dict[str, object] = {}
        problems: list[Problem] = []
        for key, get, parse, column, reason in self.steps:
            value = get(raw)
            if value is not None:
                try:
                    value = parse(value)
                except (ValueError, OverflowError):
                    problems.append(Problem(line, column, _shown(value), reason))
                    value = None
            values[key] = value
        for key, value in self.defaults.items():
            if values.get(key) is None:
                values[key] = value
        if self.generated:
            values["complaint_no"] = f"{self.name}:{line}"
        for key, reason in (("complaint_no", Reason.MISSING_ID), ("received_at", Reason.MISSING_RECEIVED)):
            if values[key] is None and not any(p.column == self.columns[key] for p in problems):
                problems.append(Problem(line, self.columns[key], "", reason))
        number, received = values["complaint_no"], values["received_at"]
        if received is not None and received > self.now + DAY:
            problems.append(Problem(line, self.columns["received_at"], received.isoformat(), Reason.FUTURE_DATE))
        if problems:
            for problem in problems:
                problem.complaint_no = number
            return problems
        self._place(values)
        return Row(line, values, self.marks(values), digest(values))

    def marks(self, values: dict[str, object]) -> tuple[Mark, ...]:
        """What is odd about these values."""
        get, received = values.get, values["received_at"]
        closed, replied, due = get("closed_at"), get("customer_replied_at"), get("due_at")
        marks = []
        if closed and closed < received or replied and replied < received:
            marks.append(Mark.CLOSED_BEFORE_RECEIVED)
        if due and due < received:
            marks.append(Mark.DUE_BEFORE_RECEIVED)
        if due and due - received > TWENTY_YEARS:
            marks.append(Mark.FAR_LIMIT)
        if closed and closed > self.now + DAY or replied and replied > self.now + DAY:
            marks.append(Mark.FUTURE_CLOSE)
        if get("unit") is None:
            marks.append(Mark.NO_UNIT)
        if get("category") is None:
            marks.append(Mark.NO_CATEGORY)
        return tuple(marks)

    def _place(self, values: dict[str, object]) -> None:
        """unit_path, unit and parent_unit, which are three views of one thing, are made to agree."""
        path = [values.pop(f"unit_path.{i}") for i in range(self.path_length)]
        if not self.path_length and values.get("unit"):
            path = [values.get("parent_unit")]
        path.append(values.get("unit"))
        # Levels that are blank or repeat the level above (a city that is its own unit) are no levels.
        path = [name for name in path if name]
        path = [name for i, name in enumerate(path) if not i or name != path[i - 1]]
        values["unit_path"] = tuple(path)
        values["unit"] = path[-1] if path else None
        values["parent_unit"] = path[-2] if len(path) > 1 else None

    def _step(self, key: str, origin: Origin, mapping: Mapping) -> tuple:
        """(field, raw row -> value or None, value -> canonical value, the column's name, reason of a failure)."""
        field = key.partition(".")[0]
        kind = FIELDS[field]
        get = self._getter(origin)
        if origin.pattern:
            get = _found(get, origin)
        if mapping.values.get(field):
            get = _mapped(get, mapping.values[field])
        if kind == Kind.TIMESTAMP:
            parse = _timestamps(mapping.timezone, (origin.format,), strict=True) if origin.format else self.time
        else:
            parse = {Kind.NAME: _name, Kind.TEXT: clean, Kind.NUMBER: _number, Kind.BOOL: _bool}.get(kind) \
                or _code(CODES[field])
        reason = {Kind.TIMESTAMP: Reason.BAD_DATE, Kind.NUMBER: Reason.BAD_NUMBER}.get(kind, Reason.BAD_VALUE)
        return key, get, parse, "+".join(origin.columns) or field, reason

    def _getter(self, origin: Origin) -> Callable[[dict], object]:
        null = self.null

        def cell(value: object) -> object:
            if value.__class__ is str:
                value = value.strip()
                return None if value in null else value
            return None if value is None or as_text(value) in null else value

        if not origin.columns:
            return lambda raw: origin.value
        if len(origin.columns) == 1:
            column = origin.columns[0]
            return lambda raw: cell(raw[column])
        return lambda raw: origin.join.join(
            as_text(value) for value in (cell(raw[c]) for c in origin.columns) if value is not None) or None


def digest(values: dict[str, object], history: tuple[Event, ...] = ()) -> bytes:
    """16 bytes that change when a value or the history does; the order of the fields does not matter."""
    content = repr((sorted(values.items()), [(e.order, sorted(e.changes.items())) for e in history]))
    return hashlib.blake2b(content.encode(), digest_size=16).digest()


def as_text(value: object) -> str:
    """A cell as a person would type it: 5.0 of a workbook is 5, midnight is the date alone."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        at_midnight = value.time() == value.time().min and value.tzinfo is None
        return value.date().isoformat() if at_midnight else value.isoformat(sep=" ")
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return str(value)


# Control characters, lone surrogates, byte order marks, and marks of writing direction (they can make a text read as
# another one).
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff"
                       "\ud800-\udfff]").sub
_BREAKS = re.compile(r"[\t\r\n\u2028\u2029]+").sub


def clean(value: object) -> str | None:
    """The text without what no reader should meet, at most 20,000 characters; None if nothing is left."""
    text = as_text(value)
    if not (text.isascii() and text.isprintable()):
        text = _UNWANTED("", text)
    return text.strip()[:TEXT_CAP].rstrip() or None


def _name(value: object) -> str | None:
    text = as_text(value)
    if not (text.isascii() and text.isprintable()):
        text = _BREAKS(" ", _UNWANTED("", text))
    text = text.strip()
    if len(text) > NAME_CAP:                 # cut, two names could become one
        raise ValueError(text)
    return text or None


_AMOUNT = re.compile(r"[¥￥$]?([+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)(万|亿)?(?:元|圆|块)?").fullmatch
_TIMES = {None: 1, "万": 10_000, "亿": 100_000_000}


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool):
        raise ValueError(value)
    if isinstance(value, int | Decimal):
        number = Decimal(value)
    elif isinstance(value, float):
        number = Decimal(repr(value))
    else:
        text = clean(value)
        if text is None:
            return None
        found = _AMOUNT(text.replace("，", ",").replace(" ", ""))
        if not found:
            raise ValueError(value)
        number = Decimal(found[1].replace(",", "")) * _TIMES[found[2]]
    try:
        if not (number.is_finite() and abs(number) < 10**13):
            raise ValueError(value)
        return number.quantize(Decimal("0.01"))
    except InvalidOperation:
        raise ValueError(value) from None


_BOOLS = {"true": True, "yes": True, "y": True, "t": True, "1": True, "是": True, "有": True,
          "false": False, "no": False, "n": False, "f": False, "0": False, "否": False, "无": False}


def _bool(value: object) -> bool:
    found = _BOOLS.get(as_text(value).lower())
    if found is None:
        raise ValueError(value)
    return found


def _code(codes: tuple[str, ...]) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if (code := as_text(value).lower()) not in codes:
            raise ValueError(value)
        return code
    return parse


def _timestamps(zone: ZoneInfo, formats: tuple[str, ...], strict: bool = False) -> Callable[[object], datetime]:
    """The parser of a time column: by its own format alone (strict), else generally, else by `formats`."""
    parsers = [dates.parser(form) for form in formats]
    utc = timezone.utc

    def from_text(text: str) -> datetime:
        for parse in (parsers if strict else [dates.general, *parsers]):
            try:
                return parse(text)
            except ValueError:
                pass
        raise ValueError(text)

    def from_cell(value: object) -> datetime:
        if isinstance(value, datetime):
            return value
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day)
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            text = as_text(value)
            try:
                return from_text(text)       # 20190425, or with a format
            except ValueError:
                return dates.general(text)   # a serial number, whatever the format of texts beside it
        raise ValueError(value)

    one = parsers[0] if strict else from_text

    def parse(value: object) -> datetime:
        moment = one(value) if value.__class__ is str else from_cell(value)
        if not 1900 <= moment.year < 2200:   # 0001-01-01 and 9999-12-31 stand for "none"; the mapping's null can say so
            raise ValueError(value)
        # fold=0: zoneinfo takes the first of the double hour, and moves the missing hour forward.
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return moment.astimezone(utc)

    return parse


def _found(get: Callable, origin: Origin) -> Callable[[dict], str | None]:
    search, template = origin.pattern.search, origin.template
    group = next(iter(origin.pattern.groupindex), 1)

    def found(raw: dict) -> str | None:
        value = get(raw)
        match = search(as_text(value)) if value is not None else None
        if not match:
            return None
        return (match.expand(template) if template is not None else match[group]) or None

    return found


def _mapped(get: Callable, table: dict) -> Callable[[dict], object]:
    """The value by its table; a value that is not in it passes on, to be checked like any other."""
    def mapped(raw: dict) -> object:
        value = get(raw)
        value = table.get("" if value is None else as_text(value), value)
        return None if value == "" else value
    return mapped


def _shown(value: object) -> str:
    return _UNWANTED("", as_text(value))[:200]
