"""Rows of a CSV (plain or gzip), an XLSX sheet or an SQL query, one after the other: (line, {column: raw value}).

Nothing here holds a whole file. A source that cannot be read as a whole is a ReadError with one sentence; a single row
that cannot be split into columns is yielded as a text instead of a dict, for the quarantine.
"""
import codecs
import csv
import difflib
import gzip
import hashlib
import io
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from queries.intake.mapping import Mapping

CHUNK = 1 << 20
MAX_UNPACKED = 2 << 30           # bytes of an unpacked xlsx
MAX_SHARED_TEXTS = 256 << 20     # openpyxl holds an xlsx's table of texts in memory
MAX_RATIO = 200                  # unpacked / packed, beyond RATIO_FROM bytes; real files stay under 50
RATIO_FROM = 50 << 20
MAX_LINE = 16 << 20              # bytes without a line break
MAX_XLSX_ROW = 1_048_576
HEADER_WITHIN = 20               # rows above the header, such as a title, are passed over

Record = tuple[int, list | str]  # line and cells, or line and what could not be split


class ReadError(ValueError):
    """The source cannot be read at all; the text is one sentence for the person who gave it."""


@dataclass
class Source:
    """An opened source. `rows()` can be run once; close it, or use it in a `with`."""
    name: str                            # file name, or "query"
    columns: tuple[str, ...]
    unused_columns: tuple[str, ...]      # columns that the mapping does not use
    total: int | None                    # bytes (CSV) or rows (XLSX); None where nobody knows
    encoding: str | None                 # CSV: given or found
    digest: str | None                   # sha256; of a query known only after the last row
    repeated: int = 0                    # rows that repeat an earlier one word for word; counted by queries.intake.read
    _records: Iterator[Record] = field(default_factory=lambda: iter(()), repr=False)
    _done: Callable[[], int] = field(default=lambda: 0, repr=False)
    _stack: ExitStack = field(default_factory=ExitStack, repr=False)

    def rows(self) -> Iterator[tuple[int, dict | str]]:
        """(line, {column: raw value}), or (line, text) for a row with too few or too many fields. ReadError."""
        columns = self.columns
        for line, cells in self.cells():
            yield line, cells if cells.__class__ is str else dict(zip(columns, cells))

    def cells(self) -> Iterator[Record]:
        """The same with the raw values in the order of the columns. ReadError."""
        width = len(self.columns)
        for line, cells in self._records:
            if cells.__class__ is not str and len(cells) != width:
                if len(cells) > width and not any(cells[width:]):
                    cells = cells[:width]    # commas behind the last field, blank cells right of the table
                else:
                    cells = ",".join("" if cell is None else str(cell) for cell in cells)
            yield line, cells

    def progress(self) -> float:
        """How far the reading is, 0 to 1; 0 where the total is not known."""
        return min(1.0, self._done() / self.total) if self.total else 0.0

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_source(path_or_url: str | Path, mapping: Mapping) -> Source:
    """The file, or the mapping's query at an SQLAlchemy URL, with the mapping's columns checked. ReadError."""
    with ExitStack() as stack:
        if "://" in str(path_or_url):
            source = _sql(str(path_or_url), mapping, stack)
        else:
            source = _file(Path(path_or_url), mapping, stack)
        source._stack = stack.pop_all()      # from here on the source closes what was opened
        return source


def _file(path: Path, mapping: Mapping, stack: ExitStack) -> Source:
    try:
        file = stack.enter_context(path.open("rb"))
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ReadError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror}).") from None
    size = file.tell()
    file.seek(0)
    magic = file.read(8)                     # what a file is, its first bytes say, not its name
    file.seek(0)
    if not size:
        raise ReadError(f"{path.name} is empty.")
    if magic.startswith(b"\xd0\xcf\x11\xe0"):
        raise ReadError(f"{path.name} is an old .xls or a workbook with a password; save it as .xlsx without one.")
    if magic.startswith(b"PK"):
        return _xlsx(path.name, file, digest, mapping, stack)
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        raise ReadError(f"{path.name} is called a workbook, but is not one: it is broken or was renamed.")
    return _csv(path.name, file, size, magic.startswith(b"\x1f\x8b"), digest, mapping, stack)


# CSV

def _csv(name: str, file: BinaryIO, size: int, packed: bool, digest: str, mapping: Mapping, stack: ExitStack) -> Source:
    content = stack.enter_context(gzip.GzipFile(fileobj=file)) if packed else file
    encoding, head = _encoding(name, content, size if packed else None, mapping.encoding)
    if not head.strip("\ufeff\r\n\t ,;\0"):
        raise ReadError(f"{name} is empty.")
    if "\0" in head.partition("\n")[0]:
        raise ReadError(f"{name} has NUL bytes in its first line: it is UTF-16 or no text; save it as UTF-8.")
    content.seek(0)
    text = stack.enter_context(io.TextIOWrapper(content, encoding=encoding, newline=""))
    records = _csv_records(name, text, _delimiter(head, mapping.columns))
    columns = _header(name, records, mapping.columns)
    return Source(name, columns, _unused(columns, mapping), size, encoding, digest, _records=records, _done=file.tell)


def _encoding(name: str, content: BinaryIO, packed: int | None, given: str | None) -> tuple[str, str]:
    """The encoding in which all of it decodes, and its beginning as text. ReadError names what was tried."""
    tried = []
    for encoding in [given] if given else ["utf-8", "gb18030"]:
        if codecs.lookup(encoding).name == "utf-8":
            encoding = "utf-8-sig"           # the same, and passes over a byte order mark
        place, head = _decode(name, content, packed, encoding, check_chinese=not given and encoding == "gb18030")
        if not place:
            return encoding.replace("-sig", "") if not head.startswith("\ufeff") else encoding, head.lstrip("\ufeff")
        tried.append(f"not {encoding.replace('-sig', '')} ({place})")
    raise ReadError(f"{name} cannot be decoded: {', '.join(tried)}; "
                    "give the right [source] encoding in the mapping, or save the file as UTF-8.")


def _decode(name: str, content: BinaryIO, packed: int | None, encoding: str, check_chinese: bool) -> tuple[str, str]:
    """Decodes all of it, strictly: ("", beginning of the text), or (where and why it fails, "")."""
    decoder = codecs.getincrementaldecoder(encoding.replace("-sig", ""))("strict")
    content.seek(0)
    offset = lines = line_length = 0
    head = ""
    chinese = foreign = 0
    while True:
        try:
            chunk = content.read(CHUNK)
        except (OSError, EOFError, zlib.error):
            raise ReadError(f"{name} is a broken or truncated gzip file (after {offset:,} unpacked bytes).") from None
        waiting = decoder.getstate()[0]      # bytes of a character cut by the end of the last chunk
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            lines += error.object[:error.start].count(b"\n") + 1
            return f"byte {offset - len(waiting) + error.start:,}, line {lines:,}", ""
        if not chunk:
            break
        if not head:
            head = text[:65_536]
        offset += len(chunk)
        lines += chunk.count(b"\n")
        last_break = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        line_length = line_length + len(chunk) if last_break < 0 else len(chunk) - last_break
        if line_length > MAX_LINE:
            raise ReadError(f"{name} has a line of more than {MAX_LINE >> 20} MB (line {lines + 1:,}): no CSV.")
        if packed and offset > RATIO_FROM and offset > MAX_RATIO * packed:
            raise ReadError(f"{name} unpacks to more than {MAX_RATIO} times its size: refused as a decompression bomb.")
        if check_chinese and not text.isascii():
            plain = len(text.encode("ascii", "ignore"))
            foreign += len(text) - plain
            chinese += (len(text.encode("gb2312", "ignore")) - plain) // 2
    # Western European bytes often happen to be valid gb18030, but then they are characters that nobody writes.
    if check_chinese and chinese < foreign / 2:
        return "its characters would not be Chinese", ""
    return "", head


def _delimiter(head: str, needed: tuple[str, ...]) -> str:
    """The separator under which a line of the beginning shows most of the mapping's columns; else a comma."""
    lines = head.splitlines()[:HEADER_WITHIN]
    return max(",;\t|", key=lambda d: max(
        len(set(needed) & {c.strip() for c in cells}) for cells in ([c.strip('"') for c in n.split(d)] for n in lines)))


def _csv_records(name: str, text: io.TextIOWrapper, delimiter: str) -> Iterator[Record]:
    # strict: a quote out of place is reported, where the tolerant reader would swallow rows without a word
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            for cells in reader:
                if cells:                    # not a blank line
                    yield line, cells
                line = reader.line_num + 1
            return
        except csv.Error as error:
            last = reader.line_num
            yield line, f"{line}–{last}: {error}" if last > line else str(error)
            line = last + 1
        except (OSError, EOFError, zlib.error, UnicodeDecodeError):
            raise ReadError(f"{name} changed while it was read, or is broken (near line {line:,}).") from None


# XLSX

def _xlsx(name: str, file: BinaryIO, digest: str, mapping: Mapping, stack: ExitStack) -> Source:
    import openpyxl                          # slow to import, and needed here alone

    _refuse_bomb(name, file)
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    except Exception as error:               # a damaged workbook fails in too many ways to name them
        raise ReadError(f"{name} is not a workbook that can be read: {_first_line(error)}.") from None
    stack.callback(book.close)
    sheets = [sheet.title for sheet in book.worksheets]
    if mapping.sheet and mapping.sheet not in sheets:
        raise ReadError(f"{name} has no sheet {mapping.sheet!r}; its sheets are {', '.join(sheets)}."
                        + _near(mapping.sheet, sheets))
    if not sheets:
        raise ReadError(f"{name} has no sheet with cells.")
    sheet = book[mapping.sheet] if mapping.sheet else book.worksheets[0]
    total = sheet.max_row                    # what the file claims, good enough for progress
    sheet.reset_dimensions()                 # …but not for reading: some writers claim A1
    done = [0]
    records = _xlsx_records(name, sheet, done)
    columns = _header(name, records, mapping.columns, hint=f" (sheet {sheet.title})")
    return Source(name, columns, _unused(columns, mapping), total, None, digest,
                  _records=_padded(records, len(columns)), _done=lambda: done[0])


def _refuse_bomb(name: str, file: BinaryIO) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise ReadError(f"{name} is a broken or truncated workbook.") from None
    # A part never unpacks to more than it declares (zipfile stops there), so the declared sizes can be trusted.
    unpacked, packed = sum(part.file_size for part in parts), sum(part.compress_size for part in parts)
    if unpacked > MAX_UNPACKED or unpacked > RATIO_FROM and unpacked > MAX_RATIO * packed:
        raise ReadError(f"{name} would unpack to {unpacked / 1e6:,.0f} MB from {packed / 1e6:,.1f} MB: refused as a "
                        "decompression bomb; save it as CSV if it is real.")
    if any(part.file_size > MAX_SHARED_TEXTS and part.filename.endswith("sharedStrings.xml") for part in parts):
        raise ReadError(f"{name} holds more text than a workbook can be read with in bounded memory; save it as CSV.")
    file.seek(0)


def _xlsx_records(name: str, sheet, done: list[int]) -> Iterator[Record]:
    try:
        for line, cells in enumerate(sheet.iter_rows(values_only=True), 1):
            if line > MAX_XLSX_ROW:
                raise ReadError(f"{name} has more rows than a sheet can have: it is broken.")
            done[0] = line
            if any(cell is not None and cell != "" for cell in cells):
                yield line, list(cells)
    except ReadError:
        raise
    except Exception as error:               # see load_workbook
        raise ReadError(f"{name} is broken after row {done[0]:,}: {_first_line(error)}.") from None


def _padded(records: Iterator[Record], width: int) -> Iterator[Record]:
    """Rows of a sheet end with their last cell; blank ones are added up to the header's width."""
    for line, cells in records:
        yield line, cells + [None] * (width - len(cells))


# SQL

def _sql(url: str, mapping: Mapping, stack: ExitStack) -> Source:
    from sqlalchemy import create_engine, exc, make_url

    if not mapping.query:
        raise ReadError("The mapping has no [source] query; a database as source needs one.")
    try:
        address = make_url(re.sub(r"^postgres(ql)?://", "postgresql+psycopg2://", url))
        shown = address.render_as_string(hide_password=True)
        engine = create_engine(address)
        stack.callback(engine.dispose)
        # no_parameters: % and : of the query are plain characters
        options = {"stream_results": True, "yield_per": 1000, "no_parameters": True}
        if engine.dialect.name == "postgresql":
            options["postgresql_readonly"] = True
        connection = stack.enter_context(engine.connect().execution_options(**options))
        result = connection.exec_driver_sql(mapping.query)
    except exc.NoSuchModuleError:
        raise ReadError(f"{shown}: no such kind of database is known.") from None
    except (exc.ArgumentError, ValueError):
        raise ReadError("The source URL cannot be read; it looks like postgresql://user@host/database.") from None
    except ImportError as error:
        raise ReadError(f"{shown}: the driver of this database is not installed ({error.name}).") from None
    except exc.SQLAlchemyError as error:
        raise ReadError(f"{shown}: {_first_line(getattr(error, 'orig', None) or error)}.") from None
    if not result.returns_rows:
        raise ReadError("The mapping's [source] query gives no rows; it must be a select.")
    columns = _check_columns("The query", [str(key) for key in result.keys()], mapping.columns)
    source = Source("query", columns, _unused(columns, mapping), None, None, None)

    def records() -> Iterator[Record]:
        digest, line = hashlib.sha256(), 0
        try:
            for line, row in enumerate(result, 1):
                cells = list(row)
                digest.update(repr(cells).encode("utf-8", "backslashreplace"))
                yield line, cells
        except exc.SQLAlchemyError as error:
            raise ReadError(f"{shown}: failed after row {line:,}: "
                            f"{_first_line(getattr(error, 'orig', None) or error)}.") from None
        source.digest = digest.hexdigest()

    source._records = records()
    return source


# The header

def _header(name: str, records: Iterator[Record], needed: tuple[str, ...], hint: str = "") -> tuple[str, ...]:
    """The columns: the first row that has all that the mapping needs, so that titles above it do not matter."""
    first = None
    for _, cells in islice(records, HEADER_WITHIN):
        names = [cells] if isinstance(cells, str) else ["" if c is None else str(c).strip() for c in cells]
        if set(needed) <= set(names):
            while names and not names[-1]:
                names.pop()                  # blank cells right of the header
            return _check_columns(name + hint, names, needed)
        first = first or (names if any(names) else None)
    if not first:
        raise ReadError(f"{name}{hint} has no header: nothing but blank cells.")
    return _check_columns(name + hint, first, needed)


def _check_columns(name: str, names: list[str], needed: tuple[str, ...]) -> tuple[str, ...]:
    for column in needed:
        if column not in names:
            shown = ", ".join(n for n in names if n)[:1000]
            raise ReadError(f"{name} has no column {column!r}; its columns are {shown}." + _near(column, names))
    if twice := [n for n, count in Counter(names).items() if count > 1 and n in needed]:
        raise ReadError(f"{name} has the column {twice[0]!r} more than once; rename all but one.")
    return tuple(names)


def _near(wanted: str, names: list[str]) -> str:
    near = difflib.get_close_matches(wanted, names, 1)
    return f" Did you mean {near[0]}?" if near else ""


def _unused(columns: tuple[str, ...], mapping: Mapping) -> tuple[str, ...]:
    used = set(mapping.columns)
    return tuple(column for column in columns if column and column not in used)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")[:300]
