"""Who may do what on which page: one table (product.md §7). The database refuses the rest as well."""
from queries.viewer import Role

READS_COMPLAINTS = {Role.supervisor, Role.leader, Role.unit, Role.service, Role.department, Role.discipline}
PERMISSIONS: dict[str, set[Role]] = {
    "review:read": READS_COMPLAINTS,
    "limits:read": READS_COMPLAINTS,
    "overdue:read": READS_COMPLAINTS,
    "satisfaction:read": READS_COMPLAINTS,
    "complaints:read": READS_COMPLAINTS,
    "units:read": READS_COMPLAINTS,
    "data:read": {Role.supervisor, Role.leader},
    "oversight:read": {Role.regulator},
    "audit:read": {Role.auditor},
    "export": READS_COMPLAINTS | {Role.regulator, Role.auditor},
    "reveal": {Role.supervisor, Role.service, Role.discipline},     # reveal() says the same
    "release": {Role.supervisor},
    "settings:read": {Role.admin},
    "settings:write": {Role.admin},                                 # the functions of 0006_administration.sql ask again
    "person": {Role.supervisor, Role.service, Role.discipline},     # look complaints up by a person; find_person() says the same
    "urge": {Role.supervisor},
    "reassign": {Role.supervisor},
    # what each role may do to a complaint: acts_of() says the same, possible() which of it now
    "sign": {Role.unit},
    "answer": {Role.unit},
    "delay": {Role.unit},
    "contest": {Role.unit},
    "decide": {Role.supervisor},
    "call_back": {Role.supervisor},
    "send_back": {Role.supervisor},
    "mark": {Role.supervisor},
    "unmark": {Role.supervisor},
    "note": {Role.supervisor, Role.discipline},
    "withdrawal": {Role.supervisor, Role.service},
    "dispatch": {Role.service},
    "directive": {Role.leader},
    "directive_answer": {Role.unit, Role.supervisor},
    "rectify": {Role.department},
    "handle": {Role.discipline},
}


def may(role: Role, permission: str) -> bool:
    """Whether this role has the permission; KeyError for one that does not exist."""
    return role in PERMISSIONS[permission]
