-- The tree of units, calendars, sector packs and their policies.

create table unit (
    unit_id     int generated always as identity primary key,
    parent_id   int references unit,
    kind        text not null default 'unit',      -- head, department, branch1, branch2, outlet, overseas, unmapped, unit
    code        text unique,
    name        text not null,
    name_en     text,
    short       text,
    short_en    text,
    sort_key    text collate "C" not null default '',
    level       smallint not null,
    label       bigint not null unique,            -- place in the tree: a subtree is label .. label_end
    label_end   bigint not null,
    outlets     int,
    customers   bigint,
    focus       boolean not null default false,    -- reports every half-month (article 24)
    accepts     boolean not null default false,    -- takes complaints in (service centre, union, office)
    active      boolean not null default true,
    source_id   smallint                           -- set on units an import had to create: "unmapped" until somebody places them
);
create index on unit (parent_id, label);

create table unit_parent (                         -- where a unit stood before; figures roll up by today's tree
    unit_id     int not null references unit,
    parent_id   int,
    until       timestamptz not null default clock_timestamp(),
    primary key (unit_id, until)
);

create table unit_contact (                        -- article 20: first and second contact, responsible leader
    unit_id     int not null references unit,
    rank        smallint not null check (rank between 1 and 3),
    name        text not null,
    phone       text,
    email       text,
    webhook     text,
    primary key (unit_id, rank)
);

-- Width of a unit's range by depth: 255 roots, then 65,535 / 16,383 / 4,095 / 255 / 31 units below each.
create function unit_width(level int) returns bigint language sql immutable as $$
    select 1::bigint << (array[55, 39, 25, 13, 5, 0])[level + 1] $$;

create function unit_place() returns trigger language plpgsql as $$
declare top bigint; above unit;
begin
    perform pg_advisory_xact_lock(hashtext('desk.tree'));
    select * into above from unit where unit_id = new.parent_id;
    new.level := coalesce(above.level + 1, 0);
    if new.level > 5 then
        raise exception 'the tree of units is at most six levels deep' using errcode = 'check_violation';
    end if;
    select max(label) into top from unit where parent_id is not distinct from new.parent_id;
    new.label := coalesce(top, above.label, 0) + unit_width(new.level);
    new.label_end := new.label + unit_width(new.level) - 1;
    if new.label_end > above.label_end then
        raise exception 'there is no room for another unit below %', above.name using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger unit_place before insert on unit for each row execute function unit_place();

create table calendar (
    calendar_id smallint generated always as identity primary key,
    code        text not null,                     -- CN, US, or a name of one's own
    tz          text not null,
    unique (code, tz)
);
create table calendar_year (
    calendar_id smallint not null references calendar,
    year        smallint not null,
    status      text not null check (status in ('published', 'estimated')),
    origin      text not null,                     -- which library and version, or which file
    loaded_at   timestamptz not null default clock_timestamp(),
    primary key (calendar_id, year)
);
create table workday (                             -- ordinal = working days up to and including this day
    calendar_id smallint not null references calendar,
    day         date not null,
    working     boolean not null,
    kind        text not null check (kind in ('weekday', 'weekend', 'holiday', 'makeup', 'estimated')),
    name        text not null default '',
    ordinal     int not null,
    primary key (calendar_id, day) include (ordinal)
);
create unique index workday_ordinal on workday (calendar_id, ordinal) include (day) where working;

create table category (
    category_id smallint generated always as identity primary key,
    pack        text not null,
    code        text not null,
    name        text not null,
    name_en     text not null,
    complexity  "char" check (complexity in ('s', 'c')),        -- simple, complex
    restricted  boolean not null default false,                 -- financial crime: discipline and named supervisors only
    anonymous   boolean not null default false,
    sort        smallint not null default 0,
    source_id   smallint,                                       -- set on categories an import had to create
    unique (pack, code)
);
create table channel (
    channel_id  smallint generated always as identity primary key,
    pack        text not null,
    code        text not null,
    name        text not null,
    name_en     text not null,
    sort        smallint not null default 0,
    source_id   smallint,
    unique (pack, code)
);

create table policy (                              -- a sector pack's rule, in versions by effective date
    policy_id    smallint generated always as identity primary key,
    pack         text not null,
    version      smallint not null,
    effective_from date not null,
    title        text not null,                    -- the rule's name, printed on every explanation
    title_en     text not null,
    day_zero     boolean not null default false,   -- does the day of receipt count?
    end_rule     text not null default 'both' check (end_rule in ('both', 'customer', 'closed')),
    source_limit text not null default 'second' check (source_limit in ('governs', 'second')),
    moves        text[] not null default '{}',     -- what moves a limit: extension, pause
    major_amount numeric,
    unique (pack, version),
    unique (pack, effective_from)
);
create table policy_limit (                        -- the most particular row wins: category, then complexity, then channel
    limit_id    int generated always as identity primary key,
    policy_id   smallint not null references policy,
    clock       "char" not null check (clock in ('r', 'd', 'o', 'w', 'k', 'u', 'a')),
    category_id smallint references category,
    complexity  "char",
    channel_id  smallint references channel,
    amount      int,                               -- null: no limit, and shown as such
    unit        "char" not null default 'w' check (unit in ('w', 'c', 'h')),   -- working days, calendar days, hours
    target      int,                               -- amber threshold of the rule itself
    soon        smallint not null default 0,       -- working days before the limit in which it counts as due soon
    owner       text not null default 'accountable',
    article     text not null default '',
    unique nulls not distinct (policy_id, clock, category_id, complexity, channel_id)
);

-- A version may not begin before complaints that were already judged by the one before.
create function policy_not_back() returns trigger language plpgsql as $$
begin
    if exists (select from policy p where p.pack = new.pack and p.policy_id <> new.policy_id)
       and exists (select from complaint c join calendar k using (calendar_id) where c.pack = new.pack
                   and (c.received_at at time zone k.tz)::date >= new.effective_from) then
        raise exception 'a version of % may not begin on %: complaints of that day are already judged', new.pack, new.effective_from
            using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger policy_not_back before insert or update of effective_from on policy
    for each row execute function policy_not_back();
