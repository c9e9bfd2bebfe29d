"""Reading complaints from files and databases: mapping -> reader -> converter. Nothing here writes to the database."""
from collections.abc import Iterator
from datetime import datetime

from queries.intake.convert import Converter, Event, Mark, Problem, Reason, Row, as_text
from queries.intake.mapping import Mapping, MappingError, load
from queries.intake.readers import ReadError, Source, open_source
from queries.intake.spool import EventLog, Seen

__all__ = ["Converter", "Event", "Mapping", "MappingError", "Mark", "Problem", "ReadError", "Reason", "Row", "Source",
           "load", "open_source", "read"]


def read(source: Source, mapping: Mapping, now: datetime) -> Iterator[Row | Problem]:
    """Every complaint of the source that can land, and every problem of those that cannot, in bounded memory.

    A number that comes again: the first row lands; a later one with the same content is counted in
    `source.repeated`, one with other content is a duplicate_id. ReadError: the source breaks off.
    """
    convert = Converter(mapping, now, source.name)
    no_column = "+".join(mapping.fields["complaint_no"].columns) or "complaint_no"
    seen = Seen()
    for item in _complaints(source, mapping, convert):
        if isinstance(item, Row) and (before := seen.before(item)):
            if before == "same":
                source.repeated += 1
            else:
                yield Problem(item.line, no_column, item.complaint_no, Reason.DUPLICATE_ID, item.complaint_no)
        else:
            yield item


def _complaints(source: Source, mapping: Mapping, convert: Converter) -> Iterator[Row | Problem]:
    log = EventLog() if mapping.collapse else None
    for line, raw in source.rows():
        item = convert.row(line, raw)
        if isinstance(item, list):
            yield from item
        elif log is None:
            yield item
        elif (key := _key(raw[mapping.collapse.key])) not in mapping.null:
            log.add(key, raw[mapping.collapse.order], item)
        else:
            yield Problem(line, mapping.collapse.key, "", Reason.MISSING_ID, item.complaint_no)
    if log is not None:
        yield from log.rows(convert.marks)


def _key(value: object) -> str:
    return "" if value is None else as_text(value).strip()
