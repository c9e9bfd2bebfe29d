"""Who is looking. Frozen values that every read and write is made for."""
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    supervisor = "supervisor"
    leader = "leader"
    unit = "unit"
    service = "service"
    department = "department"
    discipline = "discipline"
    regulator = "regulator"
    auditor = "auditor"
    admin = "admin"
    intake = "intake"


@dataclass(frozen=True)
class Viewer:
    """One account, as the database knows it. `scope` is what row security depends on: it belongs into every cache key."""
    user_id: int
    login: str
    name: str
    role: Role
    sees_restricted: bool
    scope: tuple[int, ...]          # unit ids of the subtrees; (0,) = all units, () = nothing
    apart: tuple[int, ...] = ()     # complaints about this person, which they never see

    @property
    def database_role(self) -> str:
        return f"r_{self.role}" + ("_all" if self.scope == (0,) and self.role != Role.intake else "")

    @property
    def database_login(self) -> str:
        return {"regulator": "desk_regulator", "intake": "desk_intake"}.get(self.role, "desk_app")
