-- More kept counted: what is late by the day its limit ran out, urges, what lies in two cohorts, days at the links for any filter. What is counted
-- is compiled from queries/rollups.py, as before; here is what it is put together from.

alter table rollup_fact add late5_day date,      -- of what is open: from this day on it is more than five working days late
                        add urges int[],         -- see rollup_urges()
                        add source_id smallint,
                        add urgent smallint,     -- by what is urgent about it, as lists have it: bits regulator, media, major, repeat
                        add called_day date;     -- of the office's call that counts
create index rollup_fact_negative on rollup_fact (closed_day) where days_used < 0;      -- done before received: not in a histogram

alter table rollup set (fillfactor = 90);        -- a cell that grows stays in its page, beside its neighbours

-- What no cell answers is read from the facts of the days asked for. The day stands first: few days of the whole bank are a stretch of the index, and of
-- a place PostgreSQL 18 looks into each day for itself (15 reads the days' entries and passes over the others).
create index rollup_fact_received_charged on rollup_fact (received_day, charged_label, category_id, channel_id);
create index rollup_fact_received_about on rollup_fact (received_day, about_label, category_id, channel_id);
create index rollup_fact_due_charged on rollup_fact (due_day, charged_label, category_id, channel_id);
create index rollup_fact_closed_charged on rollup_fact (closed_day, charged_label, category_id, channel_id);
create index rollup_fact_closed_about on rollup_fact (closed_day, about_label, category_id, channel_id);
create index rollup_fact_urged on rollup_fact (label) where urges is not null;
drop index span_open_due;
create index span_open_due on clock_span (clock, due_at) include (complaint_id, restricted, valid_from, valid_to, target_at, ended_at, excluded_at, label, charged_label,
    about_label, unit_id, charged_unit_id, category_id, channel_id, source_id, calendar_id, due_ord, started_ord, ended_ord) where left_at = 'infinity';
-- Of a place what was open at some moment: few among all it ever had.
drop index span_label;
create index span_label on clock_span (label, clock, left_at);
drop index span_charged;
create index span_charged on clock_span (charged_label, clock, left_at);
-- What falls due today is read raw: the place is asked in the index, not of each row of the bank.
drop index span_due;
create index span_due on clock_span (clock, due_at, charged_label) include (valid_from, valid_to, ended_at, excluded_at);

-- What an event does not move: said about a case, not done in it.
create function moves(code text) returns boolean language sql immutable parallel safe as $$
    select code not in ('urged', 'urge_acknowledged', 'corrected', 'noted', 'marked', 'contested', 'contest_decided') $$;

-- Urges of these complaints, five numbers each: day (since 2000), days since the urge before (-1: the first), the same among those signed for
-- (-2: not signed for), whether the complaint is done, working days to the first movement (-1: none). With the days since the one before,
-- complaints urged in a period can be counted once from cells by day: an urge counts whose forerunner lies before the period.
create function rollup_urges(ids bigint[], t timestamptz) returns table (complaint_id bigint, urges int[]) language sql stable rows 1000
security definer set search_path = desk, pg_temp as $$
    with sent as (
        select g.complaint_id, g.urge_id, g.sent_at, (g.sent_at at time zone h.zone)::date - date '2000-01-01' as day, coalesce(g.acknowledged_at <= t, false) as signed,
               coalesce(s.ended_at <= t, false) as done, s.calendar_id
          from urge g
          join clock_span s on s.complaint_id = g.complaint_id and s.clock = 'r' and s.valid_from <= t and t < s.valid_to
         cross join rollup_head h
         where g.complaint_id = any (ids) and g.sent_at <= t
    ), apart as (
        select x.*, coalesce(x.day - lag(x.day) over w, -1) as gap,
               case when x.signed then coalesce(x.day - max(x.day) filter (where x.signed) over (w rows between unbounded preceding and 1 preceding), -1) else -2 end as signed_gap
          from sent x window w as (partition by x.complaint_id order by x.sent_at, x.urge_id)
    )
    select x.complaint_id, array_agg(v.n order by x.sent_at, x.urge_id, v.p)
      from apart x
      join calendar k using (calendar_id)
      left join lateral (select min(e.at) as at from event e where e.complaint_id = x.complaint_id and e.at > x.sent_at and e.at <= t and moves(e.code)) m on true
      left join workday a on a.calendar_id = x.calendar_id and a.day = (x.sent_at at time zone k.tz)::date
      left join workday b on b.calendar_id = x.calendar_id and b.day = (m.at at time zone k.tz)::date
     cross join lateral (values (1, x.day), (2, x.gap), (3, x.signed_gap), (4, x.done::int), (5, coalesce(b.ordinal - a.ordinal, -1))) v (p, n)
     group by x.complaint_id $$;

-- One of the lines of urges, as (day, value): 1 urged, 2 signed for, 3 done since: days since the one before, plus one (0: the first; at most 401);
-- 4 working days to the first movement.
create function rollup_urge_values(urges int[], which int) returns table (day date, value int) language sql immutable parallel safe as $$
    select date '2000-01-01' + urges[i], least(case which when 2 then urges[i + 2] when 4 then urges[i + 4] - 1 else urges[i + 1] end + 1, case which when 4 then 5000 else 401 end)
      from generate_series(1, cardinality(urges), 5) as i
     where case which when 2 then urges[i + 2] > -2 when 3 then urges[i + 3] = 1 when 4 then urges[i + 4] >= 0 else true end $$;

-- A signed number of days as a place in an array; in a period of at most 500 days what is further away is as far as 500.
create function rollup_zigzag(days int) returns int language sql immutable parallel safe as $$
    select case when days >= 0 then 2 * least(days, 500) else -2 * greatest(days, -500) - 1 end $$;

-- An event after an urge is its first movement; a report of delay takes a complaint off the list for notice.
create function rollup_note_urged() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    insert into rollup_dirty select distinct n.complaint_id from fresh n where exists (select from urge g where g.complaint_id = n.complaint_id);
    return null;
end $$;
create trigger rollup_added after insert on event referencing new table as fresh for each statement execute function rollup_note_urged();
create trigger rollup_added after insert on delay referencing new table as fresh for each statement execute function rollup_note();
create trigger rollup_changed after update on delay referencing new table as fresh for each statement execute function rollup_note();

create or replace function rollup_pending(ids bigint[], t timestamptz) returns setof bigint language sql stable security definer set search_path = desk, pg_temp as $$
    select complaint_id from clock_span where complaint_id = any (ids)
       and (valid_from > t or (valid_to > t and isfinite(valid_to)) or (left_at > t and isfinite(left_at)) or ended_at > t or excluded_at > t or received_at > t)
    union select complaint_id from call_back where complaint_id = any (ids) and at > t
    union select complaint_id from reply where complaint_id = any (ids) and at > t
    union select complaint_id from hop where complaint_id = any (ids) and greatest(sent_at, signed_at) > t
    union select complaint_id from withdrawal where complaint_id = any (ids) and greatest(requested_at, verified_at) > t
    union select complaint_id from regulator_report where complaint_id = any (ids) and greatest(reported_at, receipt_at) > t
    union select complaint_id from event where complaint_id = any (ids) and at > t
    union select complaint_id from delay where complaint_id = any (ids) and reported_at > t
    union select complaint_id from urge where complaint_id = any (ids) and greatest(sent_at, acknowledged_at) > t
    union select complaint_id from directive where complaint_id = any (ids) and greatest(at, answered_at) > t
    union select complaint_id from contest where complaint_id = any (ids) and greatest(requested_at, decided_at) > t $$;

create or replace function rollup_fold(most int default 5000) returns int language plpgsql security definer set search_path = desk, pg_temp as $$
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
        touched_at = excluded.touched_at, late5_day = excluded.late5_day, urges = excluded.urges, source_id = excluded.source_id,
        urgent = excluded.urgent, called_day = excluded.called_day;
    insert into rollup_dirty select rollup_pending(ids, t);
    return cardinality(ids);
end $$;

-- Who was longest overdue at a moment: among what is open now by its limit, and among what has left since it was late.
create index span_late_left on clock_span (left_at) include (complaint_id, restricted, valid_from, valid_to, due_at, due_ord, charged_label, label, about_label, category_id,
    channel_id, source_id, calendar_id) where clock = 'r' and left_at > due_at and left_at < 'infinity';

-- Complaints with something odd about their data, few among very many: ids, which row security of the spans then narrows.
create index complaint_marked on complaint (complaint_id) where marks <> '{}';
create function marked(mark text default null) returns setof bigint language sql stable parallel safe rows 1000 security definer set search_path = desk, pg_temp as $$
    select complaint_id from complaint where marks <> '{}' and (mark is null or marks @> array[mark]) $$;
create function conflicted(t timestamptz) returns setof bigint language sql stable parallel safe rows 1000 security definer set search_path = desk, pg_temp as $$
    select distinct complaint_id from event where code = 'unit_conflict' and at <= t $$;
create index complaint_newest on complaint (source_id, registered_at desc);

-- What came in and went out, again by category and channel too: five numbers each. Day (since 2000) * 16 + kind; place; where it came from or goes to
-- (-1: nowhere); category * 65536 + channel, here and there. Kinds and days as in 0009.
create or replace function rollup_edges(ids bigint[]) returns table (complaint_id bigint, edges int[]) language sql stable rows 20000
security definer set search_path = desk, pg_temp as $$
    with stretch as materialized (
        select s.complaint_id, s.clock, s.entry, s.valid_from, s.left_at, s.due_at, s.due_ord, s.calendar_id, (s.label >> 39)::int as at, (s.charged_label >> 39)::int as charged_at,
               s.category_id * 65536 + s.channel_id as own,
               (case when s.left_at = 'infinity' then null when s.excluded_at = s.left_at and (s.ended_at is null or s.ended_at > s.excluded_at) then 'x'
                     when s.ended_at <= s.left_at then 'd' else 'm' end) as out_by,
               s.entry in ('m', 'c', 'l', 'a') and lag(s.left_at) over w = s.valid_from as came, lead(s.valid_from) over w = s.left_at as goes,
               (lag(s.label) over w >> 39)::int as from_at, (lead(s.label) over w >> 39)::int as to_at,
               lag(s.category_id * 65536 + s.channel_id) over w as from_own, lead(s.category_id * 65536 + s.channel_id) over w as to_own
          from clock_span s
         where s.complaint_id = any (ids) and s.clock in ('r', 'o') and (s.entry in ('r', 'o') or s.left_at > s.valid_from)
        window w as (partition by s.complaint_id, s.clock order by s.seq)
    ), late as (
        select s.*, greatest(s.valid_from, s.due_at + interval '1 microsecond') as late_at, greatest(s.valid_from, d.day::timestamp at time zone z.tz) as late5_at
          from stretch s
          join calendar z using (calendar_id)
          left join workday d on d.calendar_id = s.calendar_id and d.working and d.ordinal = s.due_ord + 6
         where s.clock = 'r' and s.due_at < s.left_at and isfinite(s.due_at)
    ), edge (complaint_id, moment, kind, at, other, own, others) as (
        select complaint_id, valid_from, case entry when 'r' then 1 when 'o' then 2 when 't' then 2 when 'e' then 3 else 4 end, at, case when came then from_at else -1 end,
               own, case when came then from_own else -1 end from stretch
        union all select complaint_id, left_at, case out_by when 'd' then 5 when 'x' then 6 else 7 end, at, case when out_by = 'm' and goes then to_at else -1 end,
                         own, case when out_by = 'm' and goes then to_own else -1 end from stretch where out_by is not null
        union all select complaint_id, valid_from, 8, at, -1, own, -1 from stretch
        union all select complaint_id, left_at, 9, at, -1, own, -1 from stretch where out_by is not null
        union all select complaint_id, late_at - interval '1 microsecond', 10, charged_at, -1, own, -1 from late where late_at < left_at
        union all select complaint_id, left_at - interval '1 microsecond', 11, charged_at, -1, own, -1 from late where late_at < left_at and out_by is not null
        union all select complaint_id, late5_at - interval '1 microsecond', 12, charged_at, -1, own, -1 from late where late5_at < left_at
        union all select complaint_id, left_at - interval '1 microsecond', 13, charged_at, -1, own, -1 from late where late5_at < left_at and out_by is not null
    )
    select e.complaint_id, array_agg(v.x order by e.moment, e.kind, e.at, e.other, e.own, e.others, v.p)
      from edge e
     cross join rollup_head h
     cross join lateral (values (1, ((e.moment at time zone h.zone)::date - date '2000-01-01') * 16 + e.kind), (2, e.at), (3, e.other), (4, e.own), (5, e.others)) v (p, x)
    where not (e.kind in (4, 7) and e.other = e.at and e.others = e.own)
     group by e.complaint_id $$;

-- The same as cells of the level that a label cut off at `shift` stands for (63: all together, 55: roots, 39: level 1), without moves inside a place.
-- apart: which of category and channel are kept apart, as a mask of these; a case that changed its own moves between the cells of both.
drop function rollup_edge_cells(int[], int);
create function rollup_edge_cells(edges int[], shift int, apart int) returns table (place bigint, day date, kind int, category_id smallint, channel_id smallint)
language sql immutable parallel safe as $$
    select (edges[i + 1] >> (shift - 39) << (shift - 39))::bigint << 39, date '2000-01-01' + (edges[i] >> 4), edges[i] & 15,
           ((edges[i + 3] & apart) >> 16)::smallint, (edges[i + 3] & apart & 65535)::smallint
      from generate_series(1, cardinality(edges), 5) as i
     where edges[i + 2] < 0 or edges[i + 2] >> (shift - 39) <> edges[i + 1] >> (shift - 39) or edges[i + 4] & apart <> edges[i + 3] & apart $$;

-- What touched complaints still count for has to be taken away wherever it was counted, also from a place that has passed a complaint on: the
-- fact itself is not that reader's, what came in and went out of their places is. Who is responsible now sees the fact.
create function rollup_edges_stored(ids bigint[], shift int, apart int) returns table (place bigint, day date, kind int, category_id smallint, channel_id smallint)
language sql stable security definer set search_path = desk, pg_temp as $$
    select e.*
      from rollup_fact f cross join lateral rollup_edge_cells(f.edges, shift, apart) as e
     where f.complaint_id = any (ids) and (not f.restricted or (select sees_restricted())) and ((select sees_all()) or e.place between (select my_lo()) and (select my_hi())) $$;
drop policy in_scope on rollup_fact;
do $$ declare inside text := '(%1$s between (select my_lo()) and (select my_hi()) and ((select one_range()) or %1$s <@ (select my_scope())))';
begin
    execute format('create policy in_scope on rollup_fact for select to r_supervisor, r_leader, r_unit using (%s or %s or %s)',
                   format(inside, 'charged_label'), format(inside, 'about_label'), format(inside, 'label'));
end $$;

-- What a regulator reads of months that are over: counts by place and column, which set-up compiles from the catalogue (queries/rollups.py).
create function oversight_counts(t timestamptz, starts timestamptz, stops timestamptz, deep int, by_what text)
returns table (place bigint, col int, got bigint, owed bigint, over bigint) language plpgsql stable security definer set search_path = desk, pg_temp as $$
begin raise 'set-up has not been run'; end $$;
create or replace function oversight(first_month date, months int, deep int, by_what text)
returns table (unit_id int, value int, received bigint, due bigint, kept bigint, late bigint)
language plpgsql stable security definer set search_path = desk, pg_temp as $$
declare
    zone text := coalesce((select c.tz from calendar c order by c.calendar_id limit 1), 'Asia/Shanghai');
    starts timestamptz; stops timestamptz; t timestamptz;
    everything boolean := sees_all(); mine int8multirange := my_scope();
    cut int; lines int[]; cols int[]; r int; c int; i int; j int; total int;
    got bigint[]; owed bigint[]; over bigint[]; met bigint[]; none boolean[]; no_got boolean[]; no_owed boolean[]; no_over boolean[];
    cell record;
begin
    if not exists (select from app_user u where u.user_id = me() and holds(u) and u.role = 'regulator') then
        raise insufficient_privilege using message = 'for regulators';
    end if;
    if deep not in (1, 2) or months not between 1 and 36 or by_what not in ('none', 'category', 'channel') or extract(day from first_month) <> 1 then
        raise check_violation using message = 'whole months, units of level 1 or 2, one dimension';
    end if;
    select k.as_of into t from tick k order by k.version desc limit 1;
    starts := first_month::timestamp at time zone zone;
    stops := (first_month + make_interval(months => months))::timestamp at time zone zone;
    if stops > coalesce(t, now()) then
        raise check_violation using message = 'only months that are over';
    end if;
    -- each unit counts for the unit above it at that level (its label cut off there), or for itself where it stands higher; within the scope
    cut := (array[55, 39, 25])[deep + 1];
    select array_agg(a.unit_id order by a.unit_id) into lines from unit a where a.level <= deep and (everything or a.label <@ mine);
    cols := case by_what when 'category' then array(select k.category_id from category k where not k.restricted and k.pack in (select o.pack from source o) order by 1)
                         when 'channel' then array(select k.channel_id from channel k where k.pack in (select o.pack from source o) order by 1) else '{}' end;
    if lines is null then return; end if;
    r := cardinality(lines) + 1; c := cardinality(cols) + 1;
    got := array_fill(0::bigint, array[r, c]); owed := got; over := got;
    for cell in
        select g.unit_id as line, x.col, sum(x.got)::bigint as got, sum(x.owed)::bigint as owed, sum(x.over)::bigint as over
          from oversight_counts(t, starts, stops, deep, by_what) x
          join unit g on g.label = x.place and g.unit_id = any (lines)
         group by 1, 2
    loop
        i := array_position(lines, cell.line);
        for j in select * from unnest(case when c = 1 then array[1] else array[array_position(cols, cell.col), c] end) loop
            for total in select * from unnest(array[i, r]) loop
                got[total][j] := got[total][j] + cell.got;
                owed[total][j] := owed[total][j] + cell.owed;
                over[total][j] := over[total][j] + cell.over;
            end loop;
        end loop;
    end loop;
    met := owed;
    for i in 1..r loop for j in 1..c loop met[i][j] := owed[i][j] - over[i][j]; end loop; end loop;
    none := array_fill(false, array[r, c]);
    no_got := hide_small(got, null, none);
    no_owed := hide_small(owed, null, none);
    no_over := hide_small(over, met, no_owed);
    for i in 1..r loop
        continue when i < r and got[i][c] = 0 and owed[i][c] = 0;
        for j in 1..c loop
            unit_id := case when i < r then lines[i] else 0 end;
            value := case when j < c then cols[j] else 0 end;
            received := case when not no_got[i][j] then got[i][j] end;
            due := case when not no_owed[i][j] then owed[i][j] end;
            kept := case when not no_over[i][j] then met[i][j] end;
            late := case when not no_over[i][j] then over[i][j] end;
            return next;
        end loop;
    end loop;
end $$;
-- The newest of what was released are looked up in their order.
create index released_newest on released (released_at desc, complaint_id desc) where withdrawn_at is null;
create or replace function released_to_me(number text default null)
returns table (complaint_no text, received_at timestamptz, released_at timestamptz, category_id int, channel_id int, unit_id int, title text,
               state "char", due_at timestamptz, ended_at timestamptz, days_late int, days_used int, provisional boolean, major boolean)
language plpgsql stable security definer set search_path = desk, pg_temp as $$
declare t timestamptz; mine int8multirange := my_scope(); everything boolean := sees_all();
begin
    if not exists (select from app_user u where u.user_id = me() and holds(u) and u.role = 'regulator') then
        raise insufficient_privilege using message = 'for regulators';
    end if;
    select k.as_of into t from tick k order by k.version desc limit 1;
    return query
        select c.complaint_no, c.received_at, x.released_at, c.category_id::int, c.channel_id::int, g.unit_id, c.title,
               s.state, s.due_at, case when s.ended_at <= t then s.ended_at end, s.days_late, s.days_used, s.provisional, c.major
          from released x
          join complaint c using (complaint_id)
          join lateral (select * from state(t) q where q.complaint_id = x.complaint_id and q.clock = 'r' offset 0) s on true
          join unit g on g.label = (s.charged_label >> 25) << 25         -- at level 2, or higher where it stands there
         where x.withdrawn_at is null and not c.restricted and (number is null or c.complaint_no = number)
           and (everything or s.label <@ mine or s.charged_label <@ mine or s.about_label <@ mine)
         order by x.released_at desc, x.complaint_id desc limit 1000;
end $$;

do $$
begin
    execute 'revoke execute on function oversight_counts(timestamptz, timestamptz, timestamptz, int, text), moves(text), rollup_urges(bigint[], timestamptz), rollup_urge_values(int[], int), rollup_zigzag(int), rollup_note_urged(), marked(text), conflicted(timestamptz), rollup_edge_cells(int[], int, int), rollup_edges_stored(bigint[], int, int) from public';
    execute 'grant execute on function moves(text), marked(text), conflicted(timestamptz) to r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline';
    execute 'grant execute on function rollup_urge_values(int[], int), rollup_zigzag(int), rollup_edge_cells(int[], int, int), rollup_edges_stored(bigint[], int, int) to r_supervisor, r_leader, r_unit';
end $$;

-- What cuts a case is looked for by complaint and kind: from the kind alone it would be all of them.
drop index event_cut;
create index event_cut on event (complaint_id, code, at) where cut;

-- Who sees all is asked first: PostgreSQL asks the policies of a table from the last name to the first, and the others may have to look for each row.
do $$ declare t text; begin
    for t in select tablename from pg_policies where schemaname = 'desk' and policyname = 'all_units' loop
        execute format('alter policy all_units on %I rename to whole', t);
    end loop;
end $$;
