"""The demo bank's tree: head office, departments, first- and second-level branches, outlets, and whom to ring."""
from dataclasses import dataclass, field
from random import Random

from pypinyin import lazy_pinyin

from queries.demo import names

OUTLETS = 2000


@dataclass
class Unit:
    """One row of `unit`; `above` and `children` are places in the list that `build` returns."""
    place: int
    above: int | None
    kind: str
    code: str
    name: str
    short: str
    name_en: str
    short_en: str
    phone: str                                  # area code; the number itself is clearly fictional
    weight: float = 0                           # how often it is complained about
    outlets: int = 0
    customers: int = 0
    focus: bool = False
    accepts: bool = False
    contacts: list[tuple[str, str]] = field(default_factory=list)
    children: list[int] = field(default_factory=list)


def sort_key(name: str) -> str:
    return " ".join(lazy_pinyin(name))


def english(name: str) -> str:
    return names.ENGLISH.get(name) or "".join(lazy_pinyin(name)).capitalize()


def person(rng: Random) -> str:
    return rng.choice(names.SURNAMES[:rng.choice((20, 60, len(names.SURNAMES)))]) + rng.choice(names.GIVEN)


def _rows(block: str) -> list[list[str]]:
    return [line.split("|") for line in block.strip().splitlines()]


def build(rng: Random) -> list[Unit]:
    """All units, parents before children."""
    units: list[Unit] = []

    def add(above: int | None, kind: str, code: str, name: str, short: str, name_en: str, short_en: str, phone: str,
            **more) -> int:
        place = len(units)
        number = f"555{rng.randrange(10 ** 4):04d}" if len(phone) == 4 else f"5550{rng.randrange(10 ** 4):04d}"
        head, tail = number[:-2], int(number[-2:])
        contacts = [(person(rng), f"{phone}-{head}{(tail + step) % 100:02d}") for step in range(3)]
        units.append(Unit(place, above, kind, code, name, short, name_en, short_en, phone, contacts=contacts, **more))
        if above is not None:
            units[above].children.append(place)
        return place

    head = add(None, "head", "00", "总行", "总行", "Head Office", "Head Office", "010")
    for i, (name, short, name_en, short_en, accepts, weight) in enumerate(_rows(names.HEAD)):
        add(head, "department", f"00{i + 1:02d}", name, short, name_en, short_en, "010", accepts=accepts == "1",
            weight=float(weight))
    branches = _rows(names.BRANCHES)
    total = sum(float(row[3]) for row in branches)
    for i, (name, name_en, phone, weight, focus, cities) in enumerate(branches):
        code, weight = f"{i + 11:02d}", float(weight)
        branch = add(head, "branch1", code, name + "分行", name, name_en + " Branch", name_en, phone,
                     weight=0.05 * weight, focus=focus == "1")
        for j, (short, short_en, accepts) in enumerate(_rows(names.DEPARTMENTS)):
            add(branch, "department", f"{code}D{j + 1}", f"{name}分行{short}", short, f"{name_en} Branch {short_en}",
                short_en, phone,
                accepts=accepts == "1", weight=0.035 * weight if j in (3, 4) else 0)
        cities = cities.split()
        shares = [rng.lognormvariate(0, 0.35) * (2.4 if j == 0 else 1) for j in range(len(cities))]
        for j, (city, share) in enumerate(zip(cities, shares)):
            city, own_phone = city.rstrip("0123456789"), city.lstrip("".join(set(city) - set("0123456789")))
            share = weight * share / sum(shares)
            own, own_en = (city + "分行", " Branch") if own_phone else (city + "支行", " Sub-branch")
            second = add(branch, "branch2", f"{code}{j + 1:02d}", own, city, english(city) + own_en, english(city),
                         own_phone or phone, weight=0.16 * share)
            n = max(2, round(OUTLETS * share / total))
            districts = names.DISTRICTS.get(city, "").split()
            places = [*districts, *rng.sample(names.PLACES, len(names.PLACES))]
            for k, spot in enumerate(dict.fromkeys(places[:n * 2])):
                if k == n:
                    break
                near = "" if spot in districts else city
                add(second, "outlet", f"{code}{j + 1:02d}{k + 1:02d}", f"{near}{spot}支行", f"{spot}支行",
                    f"{english(near) + ' ' if near else ''}{english(spot)} Outlet",
                    english(spot), own_phone or phone, weight=0.72 * share / n * rng.lognormvariate(0, 0.4))
    for i, (name, short, name_en, short_en, phone, weight) in enumerate(_rows(names.OVERSEAS)):
        add(head, "overseas", f"9{i + 1}", name, short, name_en, short_en, phone, weight=float(weight))
    for unit in reversed(units):                        # children come after parents: sums run upwards
        if unit.kind in ("outlet", "overseas"):
            unit.outlets, unit.customers = 1, int(rng.lognormvariate(10.2, 0.5))
        if unit.above is not None:
            units[unit.above].outlets += unit.outlets
            units[unit.above].customers += unit.customers
    return units
