"""What a regulator reads: figures of whole months with small cells suppressed, and the complaints that were released, masked.

All of it comes from functions that run as the schema's owner (0007_roles.sql): a regulator is granted no table of complaints.
"""
from datetime import date

import pandas as pd
from sqlalchemy import Connection, text

BY = ("none", "category", "channel")
MOST = 1_000                    # of what was released, the newest are listed; the same number stands in released_to_me()
SMALL = 5                       # counts below are not shown; the same number stands in hide_small()


def figures(conn: Connection, *, first: date, months: int = 1, deep: int = 1, by: str = "none") -> pd.DataFrame:
    """unit_id × value (category or channel id; 0 = total): received (by the unit complained about), due, kept, late (by the accountable unit); NaN = not shown.

    `first`: the first of a month; only months that are over; `deep`: level of the units, 1 or 2. Raises sqlalchemy.exc.DBAPIError for anything else.
    Suppression: counts from 1 to 4, and by rectangles what would give them away (Cox, Suppression methodology and statistical disclosure control, JASA 75, 1980).
    """
    frame = pd.read_sql_query(text("select * from oversight(:first, :months, :deep, :by)"), conn,
                        params={"first": first, "months": months, "deep": deep, "by": by})
    return frame.astype({name: "float64" for name in ("received", "due", "kept", "late")})


def released(conn: Connection, number: str | None = None) -> pd.DataFrame:
    """Released complaints of the regulator's scope, newest release first, at most 1,000 (one, by its number): complaint_no, received_at, released_at,
    category_id, channel_id, unit_id (accountable, level 2 at the deepest), title (masked), state, due_at, ended_at, days_late, days_used (working days), provisional, major."""
    return pd.read_sql_query(text("select * from released_to_me(:number)"), conn, params={"number": number})


def released_text(conn: Connection, number: str) -> pd.Series | None:
    """Text and demand of a released complaint, masked; None for any other number."""
    frame = pd.read_sql_query(text("select * from released_text(:number)"), conn, params={"number": number})
    return None if frame.empty else frame.iloc[0].fillna("")
