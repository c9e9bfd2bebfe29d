"""A source as the text of a COPY into the temporary table `staged`: one line a complaint that can land, one line a problem.

Two ways to the same lines. `by_rows` converts row by row, for anything that can be read. `by_columns` is for plain CSV: a few thousand rows at a time, column
by column, each different cell converted once by the same Converter; whatever is odd about a row sends it through Converter.row.
"""
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta, timezone

from queries.intake import Problem, Row, Source, read
from queries.intake.convert import DAY, Converter, Reason
from queries.intake.mapping import FIELDS, Kind, Mapping
from queries.intake.spool import Seen

BATCH = 2_000
LONG = 4_000_000                     # characters of a batch
REMEMBERED = 20_000                  # different cells of a column that are kept
PLAIN = tuple(name for name in FIELDS if name not in ("unit", "parent_unit", "unit_path"))         # those are the `path`
FIXED = ("line", "digest", "path", "marks", "history", "field", "value", "reason")
_TYPES = {"line": "bigint", "digest": "bytea", "path": "text[]", "marks": "text[]", "history": "jsonb"}
_SQL = {Kind.TIMESTAMP: "timestamptz", Kind.NUMBER: "numeric", Kind.BOOL: "boolean"}
_TYPES |= {name: _SQL.get(FIELDS[name], "text") for name in PLAIN}
DEFINITION = ", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in (*FIXED, *PLAIN))
# The history of a complaint is open to more eyes than its text: there stays that such a value changed, not the value.
_PRIVATE = {"complainant_name", "complainant_phone", "text", "demand", "reply_text", "title"}
NULL = "\\N"
Piece = tuple[int, str]              # rows of the file, and their lines


def lines(source: Source, mapping: Mapping, now: datetime, given: list[str]) -> Iterator[Piece]:
    """The whole source in pieces of a few thousand rows; `given`: the columns beside FIXED. All lines of one row are in one piece. ReadError."""
    if source.encoding is not None and mapping.collapse is None:           # a CSV: every cell is a text
        return by_columns(source, mapping, now, given)
    return by_rows(source, mapping, now, given)


def by_rows(source: Source, mapping: Mapping, now: datetime, given: list[str]) -> Iterator[Piece]:
    made, rows, held, last = [], 0, 0, None
    for item in read(source, mapping, now):
        if item.line != last or isinstance(item, Row):       # several problems of one row count once
            if rows >= BATCH or held > LONG:
                yield rows, "".join(made)
                made, rows, held = [], 0, 0
            rows += 1
        last = item.line
        made.append(line_of(item, given))
        held += len(made[-1])
    if made:
        yield rows, "".join(made)


def line_of(item: Row | Problem, given: list[str]) -> str:
    if isinstance(item, Problem):
        cells = [str(item.line), NULL, NULL, NULL, NULL, field(item.column or ""), field(item.value), field(str(item.reason)),
                 *(field(item.complaint_no) if name == "complaint_no" else NULL for name in given)]
    else:
        cells = [str(item.line), "\\\\x" + item.digest.hex(), field(item.values["unit_path"]), field(item.marks), _history(item), NULL, NULL, NULL,
                 *[field(item.values.get(name)) for name in given]]
    return "\t".join(cells) + "\n"


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def field(value: object) -> str:
    """A value as COPY text."""
    if value is None:
        return NULL
    if isinstance(value, str):
        return value if value.isprintable() and "\\" not in value else value.translate(_ESCAPES)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, tuple):
        inner = ",".join('"' + str(v).replace("\\", "\\\\").replace('"', '\\"') + '"' for v in value)
        return field(f"{{{inner}}}")
    return str(value)


def _history(row: Row) -> str:
    if not row.history:
        return NULL
    entries = [asdict(event) for event in row.history]
    for entry in entries:
        entry["changes"] = {k: "…" if k in _PRIVATE else v for k, v in entry["changes"].items()}
    return field(json.dumps(entries, default=_plain, ensure_ascii=False))


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value)


# By columns. A cell is remembered as (COPY text, its part of what the digest is made of, value), or None if the row has to be looked at by itself.

class _Cells(dict):
    """What the cells of one field become; each different one is converted once."""

    def __init__(self, key: str, columns: tuple[str, ...], get: Callable, parse: Callable, default: object):
        self.key, self.columns, self.get_value, self.parse, self.default = key, columns, get, parse, default

    def convert(self, cell: str | tuple) -> object:
        value = self.get_value(dict(zip(self.columns, cell)) if isinstance(cell, tuple) else {self.columns[0]: cell} if self.columns else {})
        value = None if value is None else self.parse(value)
        return self.default if value is None else value

    def __missing__(self, cell):
        try:
            value = self.convert(cell)
            found = field(value), f"({self.key!r}, {value!r})", value
        except (ValueError, OverflowError):
            found = None
        self[cell] = found
        return found


_MINUTES = {f":{m:02}:{s:02}": (f":{m:02}:{s:02}+00:00", f"{m}, {s}" if s else f"{m}") for m in range(60) for s in range(60)}


class _Moments(_Cells):
    """Times: a day is converted once, its hours and minutes are carried over where the zone's clock runs evenly through it."""

    def __init__(self, *args, hours: dict):
        super().__init__(*args)
        self.hours, self.head = hours, f"({self.key!r}, "          # hours: shared by the fields that are written alike

    def __missing__(self, cell):
        at = cell.find(":")
        minutes = _MINUTES.get(cell[at:at + 6]) if at > 0 else None
        after = cell[at + 6:]
        if minutes is None or after[:1].isdigit() or after[:1] in (".", ","):
            return super().__missing__(cell)
        before = cell[:at]
        hour = self.hours.get((before, after), 0)
        if hour == 0:
            hour = self.hours[before, after] = self._hour(before, after)
        if hour is None:
            return super().__missing__(cell)
        return hour[0] + minutes[0], f"{self.head}{hour[1]}{minutes[1]}, tzinfo=datetime.timezone.utc))", True     # not kept: they hardly come again

    def _hour(self, before: str, after: str) -> tuple[str, str] | None:
        """The beginning of an hour as COPY text and for the digest; None where its minutes cannot be carried over."""
        if len(self.hours) > REMEMBERED:
            self.hours.clear()
        day, number = (before[:-2], after, "day"), before[-2:]
        if day not in self.hours:
            self.hours[day] = self._even(f"{day[0]}00:00:00{after}", f"{day[0]}23:59:59{after}", 86_399)
        if (first := self.hours[day]) and number.isdecimal() and number.isascii() and int(number) < 24:
            first += timedelta(hours=int(number))
        else:
            first = self._even(f"{before}:00:00{after}", f"{before}:59:59{after}", 3_599)
        return first and (first.isoformat()[:13], f"datetime.datetime({first.year}, {first.month}, {first.day}, {first.hour}, ")

    def _even(self, first: str, last: str, seconds: int) -> datetime | None:
        """The first moment, if it is a whole hour of UTC and the last one comes so many seconds later."""
        try:
            first, last = self.convert(first), self.convert(last)
        except (ValueError, OverflowError):
            return None
        even = isinstance(first, datetime) and isinstance(last, datetime) and not (first.minute or first.second or first.microsecond)
        return first if even and last - first == timedelta(seconds=seconds) else None


class _Places(dict):
    """unit_path, unit and parent_unit of these values: (COPY text of the path, part of the digest for each, unit)."""

    def __init__(self, convert: Converter, keys: list[str]):
        self.convert, self.keys = convert, keys

    def __missing__(self, values: tuple):
        placed = dict(zip(self.keys, values))
        self.convert._place(placed)
        found = self[values] = (field(placed["unit_path"]), *(f"({k!r}, {placed[k]!r})" for k in ("unit", "parent_unit", "unit_path")), placed["unit"])
        return found


def by_columns(source: Source, mapping: Mapping, now: datetime, given: list[str]) -> Iterator[Piece]:
    convert = Converter(mapping, now, source.name)
    limit = field((now + DAY).astimezone(timezone.utc))
    place = {column: i for i, column in reversed(list(enumerate(source.columns)))}
    number_column = convert.columns["complaint_no"]
    origins = mapping.fields | {f"unit_path.{i}": origin for i, origin in enumerate(mapping.unit_path)}
    hours, caches = {}, {}
    for key, get, parse, _, _ in convert.steps:
        origin, args = origins[key], (key, origins[key].columns, get, parse, convert.defaults.get(key))
        if FIELDS[key.partition(".")[0]] == Kind.TIMESTAMP and len(origin.columns) == 1:
            alike = origin.format if not origin.pattern and not mapping.values.get(key) else key
            caches[key] = _Moments(*args, hours=hours.setdefault(alike, {}))
        else:
            caches[key] = _Cells(*args)
    path_keys = [key for key in caches if key in ("unit", "parent_unit") or key.startswith("unit_path.")]
    path_keys += [key for key in ("unit", "parent_unit") if key in convert.defaults and key not in caches]
    places = _Places(convert, path_keys)
    alone = {key: (field(value), f"({key!r}, {value!r})", value) for key, value in convert.defaults.items() if key not in caches}
    content_keys = sorted({key for key in (*caches, *alone) if not key.startswith("unit_path.")} | {"unit", "parent_unit", "unit_path", "complaint_no"})
    seen, blake = Seen(), hashlib.blake2b

    def one(row: tuple[int, list | str]) -> Row | list[Problem]:
        line, cells = row
        return convert.row(line, cells if cells.__class__ is str else dict(zip(source.columns, cells)))

    def first(item: Row) -> list[Row | Problem]:
        """The row, if its number is new; a problem, if other content came with the number before; nothing for the same again."""
        before = seen.before(item)
        if before == "same":
            source.repeated += 1
            return []
        return [Problem(item.line, number_column, item.complaint_no, Reason.DUPLICATE_ID, item.complaint_no) if before else item]

    for batch in _batches(source):
        odd = {i for i, (_, cells) in enumerate(batch) if cells.__class__ is str}
        rows = [row for row in batch if row[1].__class__ is not str] if odd else batch
        columns = list(zip(*[cells for _, cells in rows])) if rows else [()] * len(source.columns)
        many = len(rows)
        found = {key: [one] * many for key, one in alone.items()}
        for key, cache in caches.items():
            if len(cache) > REMEMBERED:
                cache.clear()
            if not cache.columns:
                found[key] = [cache[()]] * many
            elif len(cache.columns) == 1:
                found[key] = list(map(cache.__getitem__, columns[place[cache.columns[0]]]))
            else:
                found[key] = list(map(cache.__getitem__, zip(*(columns[place[c]] for c in cache.columns))))
        if convert.generated:
            found["complaint_no"] = [(field(no), f"('complaint_no', {no!r})", no) for no in (f"{source.name}:{line}" for line, _ in rows)]
        bad = {i for key in caches for i, one in enumerate(found[key]) if one is None} if any(None in found[key] for key in caches) else set()
        bad |= {i for i, (no, at) in enumerate(zip(found["complaint_no"], found["received_at"])) if no and at and (no[2] is None or at[0] == NULL or at[0] > limit)}
        good = [i for i in range(many) if i not in bad] if bad else range(many)
        if bad:
            found = {key: [of[i] for i in good] for key, of in found.items()}
        placed = [places[values] for values in zip(*([one[2] for one in found[key]] for key in path_keys))]
        if len(places) > REMEMBERED:
            places.clear()
        texts = {key: [one[0] for one in of] for key, of in found.items()}
        parts = {key: [one[1] for one in of] for key, of in found.items()}
        for n, key in enumerate(("unit", "parent_unit", "unit_path"), 1):
            parts[key] = [one[n] for one in placed]
        marks = _marks(convert, texts, placed, limit)
        digests = [blake(f"([{content}], [])".encode(), digest_size=16) for content in map(", ".join, zip(*(parts[key] for key in content_keys)))]
        numbers = [one[2] for one in found["complaint_no"]]
        line_numbers = [str(rows[i][0]) for i in good]
        blank = [NULL] * len(numbers)
        made = list(map("\t".join, zip(line_numbers, ["\\\\x" + one.hexdigest() for one in digests], [one[0] for one in placed], marks, blank, blank, blank, blank,
                                       *(texts.get(name, blank) for name in given))))
        others = {row[0]: one(row) for row in batch if row[1].__class__ is str} | {rows[i][0]: one(rows[i]) for i in bad}
        if all(isinstance(item, list) for item in others.values()) and seen.all_new(list(zip(numbers, [made_of.digest() for made_of in digests]))):
            made += [line_of(problem, given)[:-1] for line in sorted(others) for problem in others[line]]
            yield len(batch), "\n".join(made) + "\n"
            continue
        # A number came again: the rows by themselves, in their order.
        by_line, out, repeated = {rows[i][0]: n for n, i in enumerate(good)}, [], source.repeated
        for row in batch:
            n = by_line.get(row[0])
            item = others[row[0]] if n is None else Row(row[0], {"complaint_no": numbers[n]}, (), digests[n].digest())
            kept = item if isinstance(item, list) else first(item)
            out += [made[n] + "\n"] if kept == [item] and n is not None else [line_of(each, given) for each in kept]
        yield len(batch) - (source.repeated - repeated), "".join(out)


def _batches(source: Source) -> Iterator[list[tuple[int, list | str]]]:
    """The rows, some at a time: BATCH of them, fewer where they are long."""
    batch, held = [], 0
    for row in source.cells():
        batch.append(row)
        held += sum(map(len, row[1]))
        if len(batch) == BATCH or held > LONG:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _marks(convert: Converter, texts: dict[str, list[str]], placed: list[tuple], limit: str) -> list[str]:
    """The marks of each row, as COPY text. UTC texts stand in the order of their moments; whatever looks odd is asked of Converter.marks."""
    many, none = len(placed), field(())
    received, blank = texts["received_at"], [NULL] * len(placed)
    closed, replied, due, category = (texts.get(key, blank) for key in ("closed_at", "customer_replied_at", "due_at", "category"))
    marks = [none] * many
    for i, (r, c, p, d, unit, g) in enumerate(zip(received, closed, replied, due, placed, category)):
        if c < r or p < r or d < r or g is NULL or g == NULL or unit[4] is None or c > limit and c != NULL or p > limit and p != NULL \
                or d != NULL and int(d[:4]) - int(r[:4]) > 18:
            moments = {key: None if text == NULL else datetime.fromisoformat(text)
                       for key, text in (("received_at", r), ("closed_at", c), ("customer_replied_at", p), ("due_at", d))}
            marks[i] = field(convert.marks(moments | {"unit": unit[4], "category": None if g == NULL else g}))
    return marks
