-- Roll-ups: figures kept counted. What a complaint counts for is not written here a second time: queries/rollups.py compiles the catalogue into
-- rollup_look() and rollup_add() at set-up. Writers only note which complaints they touched; one folding worker looks at them again and adds the
-- difference to what it had stored. A reader takes the cells, and of complaints touched since its tick the raw rows in their place: never stale.

-- Complaints that were touched and not folded yet. Append-only for writers, no index: an insert costs what a heap row costs.
create table rollup_dirty (complaint_id bigint not null) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- What a complaint counts for now, as of the last fold: one bit for each denominator and numerator, an array element for each line of the catalogue.
create table rollup_fact (
    complaint_id bigint not null,
    clock        "char" not null,
    category_id  smallint not null,
    channel_id   smallint not null,
    restricted   boolean not null,
    label        bigint not null,
    about_label  bigint not null,
    charged_label bigint not null,
    received_day date not null,                    -- days of the office's time zone
    due_day      date,
    closed_day   date,
    promised_on  date,                             -- of what is open and was urged
    days_used    int,
    bits         bigint[] not null,                -- null elements: not counted in that line
    links        int[],                            -- working days at each link of the work
    edges        int[],                            -- what came in and went out, see rollup_edges()
    touched_at   timestamptz not null,
    primary key (complaint_id, clock)
);
create index rollup_fact_touched on rollup_fact (touched_at);

-- The cells. A place is a unit's label cut off at a level (unit_width): 0 roots, 1, 2; a day stands for itself, its week or its month.
create table rollup (
    line         smallint not null,
    grain        smallint not null,
    place        bigint not null,
    day          date not null,
    category_id  smallint not null,                -- 0: all
    channel_id   smallint not null,
    restricted   boolean not null,
    n            int[] not null,                   -- by position within the line; of a line of days, by days
    primary key (line, grain, place, day, category_id, channel_id, restricted)
);

create table rollup_head (
    one          boolean primary key default true check (one),
    catalogue    text not null,                    -- digest of what was compiled
    zone         text not null,
    ready        boolean not null default false
);

-- How far a label is shifted to stand for the unit of this level that it lies in (unit_width).
create function unit_shift(level int) returns int language sql immutable parallel safe as $$ select (array[55, 39, 25, 13, 5, 0])[least(level, 5) + 1] $$;

-- Sums of two arrays of counts; the longer one gives the length.
create function rollup_sum(a int[], b int[]) returns int[] language sql immutable parallel safe as $$
    select array_agg(coalesce(x, 0) + coalesce(y, 0) order by i) from unnest(a, b) with ordinality as u(x, y, i) $$;
create function rollup_plus(a int[], b int[]) returns int[] language sql immutable parallel safe as $$
    select case when a is null then b when b is null then a else rollup_sum(a, b) end $$;
-- Without zeros at the end; null where nothing is left: for comparing.
create function rollup_trim(n int[]) returns int[] language sql immutable parallel safe as $$
    select n[1:(select max(i) from unnest(n) with ordinality as u(x, i) where x <> 0)] where exists (select from unnest(n) x where x <> 0) $$;
create aggregate rollup_total(int[]) (sfunc = rollup_plus, stype = int[], combinefunc = rollup_plus, parallel = safe);

-- Whether this account's figures may come from the cells, and which complaints have to be looked at raw in their place because they were touched
-- after t (or are not folded yet, or are about the reader). Null: the cells do not serve. Service centres, departments and discipline are not places in
-- the tree and read raw rows, as does anybody where very much was touched since.
create function rollup_touched(t timestamptz, zone text, catalogue text, lo bigint, hi bigint, most int default 2000) returns bigint[]
language plpgsql stable security definer set search_path = desk, pg_temp as $$
declare ids bigint[];
begin
    if not exists (select from rollup_head h where h.ready and h.zone = rollup_touched.zone and h.catalogue = rollup_touched.catalogue)
       or not exists (select from app_user u where u.user_id = me() and holds(u) and u.role in ('supervisor', 'leader', 'unit'))
       or not one_range() or not sees_all() and (lo < my_lo() or hi > my_hi()) then      -- beyond the scope some rows are seen, for other reasons than their place
        return null;
    end if;
    ids := array(select complaint_id from rollup_dirty limit 20 * most) || array(select complaint_id from rollup_fact where touched_at > t limit 20 * most);
    if cardinality(ids) >= 20 * most then return null; end if;
    ids := array(select distinct id from unnest(ids || about_me()) id);      -- complaints about the reader are in the cells, and not in what the reader sees
    return case when cardinality(ids) <= most then ids end;
end $$;

-- When a complaint came into a unit's hands and left them, and since when it was late there: three numbers for each edge. Day (since 2000) * 16 + kind,
-- the place at level 1 (its label >> 39), and for a move the place it came from or went to (else -1): a move inside a place is none.
-- Kinds: 1 received 2 reopened 3 restored 4 moved in 5 done 6 excluded 7 moved out, as the ledger has them; 8 9 open from, to; by accountable unit
-- 10 11 overdue from, to; 12 13 by more than five working days. An edge of 1 to 9 lies on its day; of 10 to 13 on the day before where it is midnight,
-- so that what was overdue at a midnight is the sum of the days before it.
create function rollup_edges(ids bigint[]) returns table (complaint_id bigint, edges int[]) language sql stable rows 20000
security definer set search_path = desk, pg_temp as $$
    with stretch as materialized (
        select s.complaint_id, s.clock, s.entry, s.valid_from, s.left_at, s.due_at, s.due_ord, s.calendar_id, (s.label >> 39)::int as at, (s.charged_label >> 39)::int as charged_at,
               (case when s.left_at = 'infinity' then null when s.excluded_at = s.left_at and (s.ended_at is null or s.ended_at > s.excluded_at) then 'x'
                     when s.ended_at <= s.left_at then 'd' else 'm' end) as out_by,
               case when s.entry in ('m', 'c', 'l', 'a') and lag(s.left_at) over w = s.valid_from then (lag(s.label) over w >> 39)::int else -1 end as came_from,
               case when lead(s.valid_from) over w = s.left_at then (lead(s.label) over w >> 39)::int else -1 end as goes_to
          from clock_span s
         where s.complaint_id = any (ids) and s.clock in ('r', 'o') and (s.entry in ('r', 'o') or s.left_at > s.valid_from)
        window w as (partition by s.complaint_id, s.clock order by s.seq)
    ), late as (
        select s.*, greatest(s.valid_from, s.due_at + interval '1 microsecond') as late_at, greatest(s.valid_from, d.day::timestamp at time zone z.tz) as late5_at
          from stretch s
          join calendar z using (calendar_id)
          left join workday d on d.calendar_id = s.calendar_id and d.working and d.ordinal = s.due_ord + 6
         where s.clock = 'r' and s.due_at < s.left_at and isfinite(s.due_at)
    ), edge (complaint_id, moment, kind, at, other) as (
        select complaint_id, valid_from, case entry when 'r' then 1 when 'o' then 2 when 't' then 2 when 'e' then 3 else 4 end, at, came_from from stretch
        union all select complaint_id, left_at, case out_by when 'd' then 5 when 'x' then 6 else 7 end, at, case out_by when 'm' then goes_to else -1 end
                    from stretch where out_by is not null
        union all select complaint_id, valid_from, 8, at, -1 from stretch
        union all select complaint_id, left_at, 9, at, -1 from stretch where out_by is not null
        union all select complaint_id, late_at - interval '1 microsecond', 10, charged_at, -1 from late where late_at < left_at
        union all select complaint_id, left_at - interval '1 microsecond', 11, charged_at, -1 from late where late_at < left_at and out_by is not null
        union all select complaint_id, late5_at - interval '1 microsecond', 12, charged_at, -1 from late where late5_at < left_at
        union all select complaint_id, left_at - interval '1 microsecond', 13, charged_at, -1 from late where late5_at < left_at and out_by is not null
    )
    select e.complaint_id, array_agg(v.x order by e.moment, e.kind, e.at, e.other, v.p)
      from edge e
     cross join rollup_head h
     cross join lateral (values (1, ((e.moment at time zone h.zone)::date - date '2000-01-01') * 16 + e.kind), (2, e.at), (3, e.other)) v (p, x)
     where not (e.kind in (4, 7) and e.other = e.at)
     group by e.complaint_id $$;

-- The same as cells of the level that a label cut off at `shift` stands for (55: roots, 39: level 1), without moves inside a place.
create function rollup_edge_cells(edges int[], shift int) returns table (place bigint, day date, kind int) language sql immutable parallel safe as $$
    select (edges[i + 1] >> (shift - 39) << (shift - 39))::bigint << 39, date '2000-01-01' + (edges[i] >> 4), edges[i] & 15
      from generate_series(1, cardinality(edges), 3) as i
     where edges[i + 2] < 0 or edges[i + 2] >> (shift - 39) <> edges[i + 1] >> (shift - 39) $$;

-- Which of these complaints have a moment after t: time alone changes what they count for, so they are looked at again.
create function rollup_pending(ids bigint[], t timestamptz) returns setof bigint language sql stable security definer set search_path = desk, pg_temp as $$
    select complaint_id from clock_span where complaint_id = any (ids)
       and (valid_from > t or (valid_to > t and isfinite(valid_to)) or (left_at > t and isfinite(left_at)) or ended_at > t or excluded_at > t or received_at > t)
    union select complaint_id from call_back where complaint_id = any (ids) and at > t
    union select complaint_id from reply where complaint_id = any (ids) and at > t
    union select complaint_id from hop where complaint_id = any (ids) and greatest(sent_at, signed_at) > t
    union select complaint_id from withdrawal where complaint_id = any (ids) and greatest(requested_at, verified_at) > t
    union select complaint_id from regulator_report where complaint_id = any (ids) and greatest(reported_at, receipt_at) > t
    union select complaint_id from event where complaint_id = any (ids) and cut and at > t
    union select complaint_id from urge where complaint_id = any (ids) and greatest(sent_at, acknowledged_at) > t
    union select complaint_id from directive where complaint_id = any (ids) and greatest(at, answered_at) > t
    union select complaint_id from contest where complaint_id = any (ids) and greatest(requested_at, decided_at) > t $$;

-- One fold: takes what was noted, looks at those complaints again, moves the difference into the cells. Only one runs at a time (advisory lock).
-- How many complaints; -1: somebody else is folding. Notes taken here are older than the look, so nothing falls between; what a writer notes
-- meanwhile stays for the next fold.
create function rollup_fold(most int default 5000) returns int language plpgsql security definer set search_path = desk, pg_temp as $$
declare ids bigint[]; t timestamptz; old rollup_fact[]; new rollup_fact[];
begin
    if not exists (select from rollup_head where ready) then return 0; end if;
    if not pg_try_advisory_xact_lock(hashtext('desk.rollup')) then return -1; end if;
    with taken as (delete from rollup_dirty where ctid in (select ctid from rollup_dirty limit most) returning complaint_id)
    select array_agg(distinct complaint_id) into ids from taken;
    if ids is null then return 0; end if;
    t := clock_timestamp();
    old := array(select f from rollup_fact f where f.complaint_id = any (ids));
    new := array(select l from rollup_look(ids, t) l);
    perform rollup_add(old, new);
    delete from rollup_fact f where f.complaint_id = any (ids)
       and not exists (select from unnest(new) n where n.complaint_id = f.complaint_id and n.clock = f.clock);
    insert into rollup_fact select n.* from unnest(new) n
    on conflict (complaint_id, clock) do update set category_id = excluded.category_id, channel_id = excluded.channel_id, restricted = excluded.restricted,
        label = excluded.label, about_label = excluded.about_label, charged_label = excluded.charged_label, received_day = excluded.received_day, due_day = excluded.due_day,
        closed_day = excluded.closed_day, promised_on = excluded.promised_on, days_used = excluded.days_used, bits = excluded.bits, links = excluded.links, edges = excluded.edges,
        touched_at = excluded.touched_at;
    insert into rollup_dirty select rollup_pending(ids, t);
    return cardinality(ids);
end $$;

-- Writers note what they touched where spans are derived …
create or replace function respan(ids bigint[]) returns void language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    if cardinality(ids) = 0 then return; end if;
    delete from clock_span where complaint_id = any (ids);       -- of new complaints: nothing, at the cost of one look each
    insert into clock_span (complaint_id, clock, seq, valid_from, valid_to, entry, unit_id, label, charged_unit_id, charged_label, about_unit_id, about_label,
            category_id, channel_id, received_at, started_at, started_ord, target_at, due_at, due_ord, due_from, limit_id, provisional, first_category_id,
            first_target_at, first_due_at, ended_at, ended_ord, excluded_at, source_id, calendar_id, restricted)
    select complaint_id, clock, seq, valid_from, valid_to, entry, unit_id, label, charged_unit_id, charged_label, about_unit_id, about_label,
            category_id, channel_id, received_at, started_at, started_ord, target_at, due_at, due_ord, due_from, limit_id, provisional, first_category_id,
            first_target_at, first_due_at, ended_at, ended_ord, excluded_at, source_id, calendar_id, restricted
      from span_of(ids);
    insert into rollup_dirty select unnest(ids);
    perform nextval('change_seq');
end $$;
-- … and where a row beside the complaint counts without moving a clock, or a unit moves in the tree.
create function rollup_note() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    insert into rollup_dirty select distinct complaint_id from fresh;
    return null;
end $$;
create function rollup_note_moved() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    insert into rollup_dirty select distinct complaint_id from fresh n
     where exists (select from old_rows o where o.complaint_id = n.complaint_id and o.clock = n.clock and o.seq = n.seq
                      and (o.label, o.charged_label, o.about_label) is distinct from (n.label, n.charged_label, n.about_label));
    return null;
end $$;
do $$ declare t text; begin
    foreach t in array array['call_back', 'reply', 'hop', 'regulator_report', 'urge', 'directive', 'contest'] loop
        execute format('create trigger rollup_added after insert on %I referencing new table as fresh for each statement execute function rollup_note()', t);
        execute format('create trigger rollup_changed after update on %I referencing new table as fresh for each statement execute function rollup_note()', t);
    end loop;
    create trigger rollup_moved after update on clock_span referencing new table as fresh old table as old_rows for each statement execute function rollup_note_moved();
end $$;

-- Complaints urged in a period: ids, which row security of the spans then narrows. Asked of the urges themselves it would look at every complaint.
create function urged_between(starts timestamptz, ends timestamptz, t timestamptz) returns setof bigint language sql stable parallel safe rows 2000
security definer set search_path = desk, pg_temp as $$
    select distinct complaint_id from urge where sent_at >= starts and sent_at < ends and sent_at <= t $$;

-- Overdue and open, by limit: what the cells leave out because time alone moves it.
create index span_open_due on clock_span (clock, due_at) include (complaint_id, restricted, valid_from, valid_to, target_at, ended_at, excluded_at, label, charged_label,
    about_label, unit_id, charged_unit_id, category_id, channel_id, source_id, calendar_id, due_ord, started_ord) where left_at = 'infinity';

-- Names and the tree change rarely and are asked for by every page: a number says when.
create sequence tree_seq;
create function tree_changed() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
begin perform nextval('tree_seq'); return null; end $$;
do $$ declare t text; begin
    foreach t in array array['unit', 'category', 'channel'] loop
        execute format('create trigger tree_changed after insert or update or delete on %I for each statement execute function tree_changed()', t);
    end loop;
    create trigger tree_changed after insert or update of name, pack on source for each statement execute function tree_changed();
    execute 'grant select on sequence tree_seq to r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline, r_regulator, r_auditor, r_admin';
end $$;

do $$
declare
    t text;
    inside text := '(%1$s between (select my_lo()) and (select my_hi()) and ((select one_range()) or %1$s <@ (select my_scope())))';
begin
    foreach t in array array['rollup_dirty', 'rollup_fact', 'rollup', 'rollup_head'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy owner_all on %I to desk_owner using (true) with check (true)', t);
    end loop;
    foreach t in array array['rollup_fact', 'rollup'] loop
        execute format('grant select on %I to r_supervisor, r_leader, r_unit', t);
        execute format('create policy all_units on %I for select to r_whole using ((select sees_all()))', t);
        execute format('create policy not_restricted on %I as restrictive for select to r_supervisor, r_leader, r_unit using (not restricted or (select sees_restricted()))', t);
    end loop;
    execute format('create policy in_scope on rollup for select to r_supervisor, r_leader, r_unit using (%s)', format(inside, 'place'));
    execute format('create policy in_scope on rollup_fact for select to r_supervisor, r_leader, r_unit using (%s or %s)', format(inside, 'charged_label'), format(inside, 'about_label'));
    for t in select oid::regprocedure::text from pg_proc where pronamespace = 'desk'::regnamespace and has_function_privilege('public', oid, 'execute') and prokind <> 'a' loop
        execute format('revoke execute on function %s from public', t);
    end loop;
    execute 'revoke execute on function rollup_total(int[]) from public';
    execute 'grant execute on function urged_between(timestamptz, timestamptz, timestamptz) to r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline';
    execute 'grant execute on function unit_shift(int), rollup_touched(timestamptz, text, text, bigint, bigint, int) to r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline';
    execute 'grant execute on function rollup_sum(int[], int[]), rollup_plus(int[], int[]), rollup_total(int[]), rollup_edge_cells(int[], int) to r_supervisor, r_leader, r_unit';
    execute 'grant execute on function rollup_fold(int) to desk_app, r_intake';
end $$;
