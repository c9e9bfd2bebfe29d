-- Clocks: a limit is computed in one place (limit_at), a complaint's stretches of time in one place (span_of),
-- and a state is judged in one place (clock_state).

create table clock_span (
    complaint_id bigint not null,
    clock        "char" not null,                  -- r reply, d dispatch, s the source's own limit, o redo, w verify a withdrawal, k call-back
    seq          smallint not null,
    valid_from   timestamptz not null,
    valid_to     timestamptz not null default 'infinity',
    entry        "char" not null,                  -- r received, o reopened, t returned for redo, e restored, m moved, c category, l limit, a accountable unit set
    unit_id      int not null,
    label        bigint not null,                  -- responsible unit and its place in the tree
    charged_unit_id int not null,
    charged_label bigint not null,                 -- accountable unit
    about_unit_id int not null,
    about_label  bigint not null,                  -- unit complained about
    category_id  smallint not null,
    channel_id   smallint not null,
    received_at  timestamptz not null,
    started_at   timestamptz not null,             -- start of this clock; for the reply clock the receipt
    started_ord  int,
    target_at    timestamptz,
    due_at       timestamptz,                      -- the last instant that still counts
    due_ord      int,
    due_from     "char" not null default 'p',      -- p policy, s source, l moved by an act
    limit_id     int,
    provisional  boolean not null default false,
    first_category_id smallint not null,
    first_target_at timestamptz,
    first_due_at timestamptz,
    ended_at     timestamptz,
    ended_ord    int,
    excluded_at  timestamptz,
    source_id    smallint not null,
    calendar_id  smallint not null,
    restricted   boolean not null default false,
    left_at      timestamptz not null generated always as (greatest(valid_from, least(ended_at, excluded_at, valid_to))) stored,
    primary key (complaint_id, clock, seq),
    check (valid_from < valid_to)
);
create index span_due on clock_span (clock, due_at) include (valid_from, valid_to, ended_at, excluded_at, charged_label);
create index span_received on clock_span (clock, received_at);
create index span_ended on clock_span (clock, ended_at);
create index span_left on clock_span (clock, left_at, label) include (due_at, valid_from);
create index span_label on clock_span (label, clock);
create index span_charged on clock_span (charged_label, clock);
create index span_about on clock_span (about_label);
create index span_provisional on clock_span (calendar_id) where provisional;

-- End of a day in a time zone: its last instant.
create function day_end(d date, tz text) returns timestamptz language sql stable as $$
    select ((d + 1)::timestamp at time zone tz) - interval '1 microsecond' $$;

-- The version of a pack's policy by which a complaint received at this moment is judged.
create function policy_at(pack text, received timestamptz, cal int) returns smallint language sql stable as $$
    select p.policy_id from policy p join calendar c on c.calendar_id = cal
     where p.pack = policy_at.pack and p.effective_from <= (received at time zone c.tz)::date
     order by p.effective_from desc limit 1 $$;

-- The limit of one clock: always one row; due_at is null where there is no limit. `source_due` given = that limit governs.
-- Rule: ends with the last instant of the working day whose ordinal is ordinal(day of start) + N (product.md §3).
create function limit_at(policy int, clk "char", category int, complex "char", channel int, started timestamptz, cal int, source_due timestamptz)
returns table (limit_id int, target_at timestamptz, due_at timestamptz, due_ord int, started_ord int, provisional boolean)
language sql stable as $$
    select l.limit_id,
           case when least(l.target - z.counted, d.due_ord - s.ordinal - d.soon) < d.due_ord - s.ordinal
                then least(d.due_at, day_end(t.day, c.tz)) else d.due_at end,
           d.due_at, d.due_ord, s.ordinal,
           coalesce(y.status = 'estimated', false)
      from calendar c
      join policy p on p.policy_id = policy
      left join workday s on s.calendar_id = c.calendar_id and s.day = (started at time zone c.tz)::date
     cross join lateral (select (p.day_zero and s.working)::int as counted) z     -- the day of receipt as working day 1
      left join lateral (
            select l.* from policy_limit l
             where l.policy_id = policy and l.clock = clk
               and (l.category_id is null or l.category_id = category)
               and (l.complexity is null or l.complexity = complex)
               and (l.channel_id is null or l.channel_id = channel)
             order by l.category_id is null, l.complexity is null, l.channel_id is null limit 1) l on true
      left join workday e on source_due is null and l.unit = 'w' and e.calendar_id = c.calendar_id and e.working
                         and e.ordinal = s.ordinal + l.amount - z.counted
      left join lateral (
            select coalesce(source_due,
                   case l.unit when 'w' then day_end(e.day, c.tz)
                               when 'c' then day_end((started at time zone c.tz)::date + l.amount - p.day_zero::int, c.tz)
                               when 'h' then started + make_interval(hours => l.amount) end) as due_at) q on true
      left join workday f on f.calendar_id = c.calendar_id and isfinite(q.due_at) and f.day = (q.due_at at time zone c.tz)::date
      left join calendar_year y on y.calendar_id = c.calendar_id and source_due is null and l.unit = 'w' and y.year = extract(year from f.day)
      left join lateral (
            select q.due_at, f.ordinal as due_ord,
                   case when source_due is null then l.soon
                        when f.ordinal - s.ordinal >= 10 then 3 when f.ordinal - s.ordinal >= 3 then 1 else 0 end as soon) d on true
      left join workday t on t.calendar_id = c.calendar_id and t.working
            and t.ordinal = s.ordinal + least(l.target - z.counted, d.due_ord - s.ordinal - d.soon)
     where c.calendar_id = cal $$;

-- Who had a complaint, and which category it had, at a moment: by its history, not by what it is today.
create function unit_at(id bigint, t timestamptz, otherwise int) returns int language sql stable as $$
    select coalesce((select e.unit_to from event e
                      where e.complaint_id = id and e.cut and e.code <> 'charged' and e.unit_to is not null and e.at <= t
                        and not exists (select from event v where v.complaint_id = id and v.voids = e.event_id)
                      order by e.at desc, e.event_id desc limit 1), otherwise) $$;
create function category_at(id bigint, t timestamptz, otherwise smallint) returns smallint language sql stable as $$
    select coalesce((select e.category_to from event e
                      where e.complaint_id = id and e.cut and e.code = 'recategorised' and e.at <= t
                        and not exists (select from event v where v.complaint_id = id and v.voids = e.event_id)
                      order by e.at desc, e.event_id desc limit 1), otherwise) $$;

-- The stretches of time of these complaints, from the raw rows alone. Triggers store what it returns; check_spans() compares.
-- Everything a row needs is carried along: there is no join from one step to another, so it is linear in the number of complaints.
create function span_of(ids bigint[]) returns setof clock_span language sql stable as $$
    with base as (
        select c.complaint_id, c.received_at, c.ended_at, c.excluded_at, c.dispatched_at, c.source_due_at, c.first_unit_id, c.unit_id, c.accepting_unit_id,
               c.about_unit_id, c.first_category_id, c.category_id, c.channel_id, c.complexity, c.anonymous, c.policy_id, c.source_id, c.calendar_id,
               least(c.ended_at, (select min(e.was_at) from event e where e.complaint_id = c.complaint_id and e.cut and e.code = 'returned')) as first_ended_at,
               c.restricted, z.tz, p.source_limit, p.source_limit = 'governs' and c.limit_by_source and c.source_due_at is null as no_limit,
               exists (select from policy_limit l where l.policy_id = c.policy_id and l.clock = 'd' and l.amount is not null
                          and (l.channel_id is null or l.channel_id = c.channel_id)) as has_dispatch,
               exists (select from policy_limit l where l.policy_id = c.policy_id and l.clock = 'w' and l.amount is not null) as has_verify,
               exists (select from policy_limit l where l.policy_id = c.policy_id and l.clock = 'k' and l.amount is not null) as has_call_back
          from complaint c
          join policy p using (policy_id)
          join calendar z using (calendar_id)
         where c.complaint_id = any (ids)
    ), run as (                                            -- one row per clock that ran
        select b.*, 'r'::"char" as clock, 0 as run, 'r'::"char" as entry, b.received_at as started_at, 'infinity'::timestamptz as stopped_at,
               b.ended_at as run_ended_at, b.first_unit_id as run_unit_id, b.first_category_id as run_category_id,
               case when b.source_limit = 'governs' then b.source_due_at end as run_due_at
          from base b
        union all                                          -- bank pack: the limit of the incoming letter is a second clock
        select b.*, 's', 0, 'r', b.received_at, 'infinity', b.ended_at, b.first_unit_id, b.first_category_id, b.source_due_at
          from base b where b.source_limit = 'second' and b.source_due_at is not null
        union all
        select b.*, 'o', r.redo_no, 'o', r.started_at, coalesce(lead(r.started_at) over (partition by r.complaint_id order by r.redo_no), 'infinity'),
               r.ended_at,
               unit_at(b.complaint_id, r.started_at, b.first_unit_id), category_at(b.complaint_id, r.started_at, b.first_category_id), null
          from base b join redo r using (complaint_id)
        union all
        select b.*, 'd', 0, 'r', b.received_at, 'infinity', least(b.dispatched_at, b.first_ended_at), b.accepting_unit_id, b.first_category_id, null
          from base b where b.has_dispatch
        union all
        select b.*, 'w', w.withdrawal_no, 'r', w.requested_at,
               coalesce(lead(w.requested_at) over (partition by w.complaint_id order by w.withdrawal_no), 'infinity'),
               w.verified_at, coalesce(w.by_unit_id, b.accepting_unit_id), category_at(b.complaint_id, w.requested_at, b.first_category_id), null
          from base b join withdrawal w using (complaint_id) where b.has_verify
        union all
        select b.*, 'k', d.run, 'r', d.ended_at, d.stopped_at,
               (select min(a.at) from call_back a where a.complaint_id = b.complaint_id and a.by_whom = 'office' and a.at >= d.ended_at
                   and (a.outcome in ('answered', 'refused') or a.call_no >= 3)),
               b.accepting_unit_id, category_at(b.complaint_id, d.ended_at, b.first_category_id), null
          from base b
         cross join lateral (                              -- from each end of the reply until it was returned for redo
               select row_number() over (order by e.at)::int, e.was_at, e.at from event e
                where e.complaint_id = b.complaint_id and e.cut and e.code = 'returned'
               union all select 1000, b.ended_at, 'infinity' where b.ended_at is not null) as d (run, ended_at, stopped_at)
         where b.has_call_back and not b.anonymous
    ), cut as (                                            -- … and one per event that changed unit, category, limit or verdict
        select r.*, r.started_at as at, 0::bigint as event_id, r.entry as by, r.run_unit_id as unit_to, r.run_category_id as category_to, true as sets_limit,
               null::timestamptz as target_to, null::timestamptz as due_to, null::timestamptz as was_at, null::int as charged_to, null::text as code
          from run r
        union all
        select r.*, greatest(e.at, r.started_at), e.event_id,
               (case e.code when 'recategorised' then 'c' when 'limit_moved' then 'l' when 'charged' then 'a' when 'returned' then 't'
                            when 'restored' then 'e' else 'm' end)::"char",
               case when e.code <> 'charged' then e.unit_to end,
               e.category_to,
               (e.code = 'recategorised' and not e.keeps_limit) or e.code = 'limit_moved',
               e.target_to, e.due_to, e.was_at, case when e.code = 'charged' then e.unit_to end, e.code
          from run r
          join event e on e.complaint_id = r.complaint_id and e.cut
               and e.at < r.stopped_at and (r.clock in ('r', 's') or e.at >= r.started_at)
               and ((r.clock in ('r', 'o') and e.clock = r.clock) or e.code = 'restored'
                    or (r.clock = 's' and e.clock = 'r' and e.code not in ('limit_moved', 'recategorised')))
         where not exists (select from event v where v.complaint_id = e.complaint_id and v.voids = e.event_id)
    ), numbered as (
        select cut.*, row_number() over w as n, lead(at, 1, stopped_at) over w as valid_to
          from cut window w as (partition by complaint_id, clock, run order by at, event_id)
    ), known as (                                          -- the last known value rides on the number of its row
        select m.*,
               first_value(m.by) over (partition by m.complaint_id, m.clock, m.run, m.at order by m.n) as entered,
               (max(m.n << 32 | m.unit_to) over w & 4294967295)::int as unit_now,
               (max(m.n << 32 | m.category_to) over w & 4294967295)::smallint as category_now,
               (max(m.n << 32 | m.charged_to) over w & 4294967295)::int as decided,
               max(m.n) filter (where m.sets_limit) over w as limit_n,
               min(m.was_at) filter (where m.code = 'returned') over later as was_ended,
               min(m.was_at) filter (where m.code = 'restored') over later as was_excluded
          from numbered m
        window w as (partition by m.complaint_id, m.clock, m.run order by m.n),
               later as (partition by m.complaint_id, m.clock, m.run order by m.n rows between 1 following and unbounded following)
    ), limited as (                                        -- rows that set a limit compute it, the others take it over below
        select k.*, l.started_ord, l.limit_id, l.provisional and k.code is distinct from 'limit_moved' as provisional,
               case when k.code = 'limit_moved' then k.due_to when k.code = 'recategorised' then greatest(l.due_at, q.day_ends) else l.due_at end as due,
               case when k.code = 'limit_moved' then coalesce(k.target_to, k.due_to)
                    when k.code = 'recategorised' and l.due_at < q.day_ends then q.day_ends else l.target_at end as target,
               case when k.code = 'limit_moved' then 'l' when k.run_due_at is not null then 's' else 'p' end::"char" as due_by
          from known k
          join category g on g.category_id = k.category_now
          left join lateral limit_at(k.policy_id, case when k.no_limit then '-' else k.clock end, k.category_now, coalesce(k.complexity, g.complexity),
                                     k.channel_id, k.started_at, case when k.sets_limit then k.calendar_id end, k.run_due_at) l on true
          left join lateral (select day_end((k.at at time zone k.tz)::date, k.tz) as day_ends) q on l.due_at is not null and k.run_due_at is null
    ), carried as (
        select m.*, first_value(m.started_ord) over w as start_ord, first_value(m.limit_id) over w as limit_now,
               first_value(m.provisional) over w as provisional_now, first_value(m.due) over w as due_at, first_value(m.target) over w as target_at,
               first_value(m.due_by) over w as due_from,
               first_value(m.category_now) over f as first_category, first_value(m.target) over f as first_target, first_value(m.due) over f as first_due
          from limited m
        window w as (partition by m.complaint_id, m.clock, m.run, m.limit_n order by m.n),
               f as (partition by m.complaint_id, m.clock, m.run order by m.n)
    ), judged as (                                         -- accountable: who had it when the limit passed or the reply was done, whichever came first
        select c.*, coalesce(c.was_ended, c.run_ended_at) as ends, case when c.clock <> 'w' then coalesce(c.was_excluded, c.excluded_at) end as excluded,
               (min(c.n << 32 | c.unit_now) filter (where least(c.due_at, c.run_ended_at) < c.valid_to)
                  over (partition by c.complaint_id, c.clock, c.run order by c.n rows between unbounded preceding and 1 preceding)
                  & 4294967295)::int as settled_on
          from carried c
    )
    select j.complaint_id, j.clock, row_number() over (partition by j.complaint_id, j.clock order by j.run, j.n)::smallint, j.at, j.valid_to,
           j.entered, j.unit_now, u.label, a.unit_id, a.label, j.about_unit_id, o.label, j.category_now, j.channel_id,
           j.received_at, j.started_at, j.start_ord, j.target_at, j.due_at, d.ordinal, j.due_from, j.limit_now, coalesce(j.provisional_now, false),
           j.first_category, j.first_target, j.first_due, j.ends, e.ordinal, j.excluded, j.source_id, j.calendar_id, j.restricted, null::timestamptz
      from judged j
      join unit u on u.unit_id = j.unit_now
      join unit a on a.unit_id = coalesce(j.decided, j.settled_on, j.unit_now)
      join unit o on o.unit_id = j.about_unit_id
      left join workday d on d.calendar_id = j.calendar_id and isfinite(j.due_at) and d.day = (j.due_at at time zone j.tz)::date
      left join workday e on e.calendar_id = j.calendar_id and e.day = (j.ends at time zone j.tz)::date
     where j.at < j.valid_to $$;

-- The one definition of late. Every clock uses it; X > N > A/B > E > D > C (product.md §4).
create function clock_state(t timestamptz, target_at timestamptz, due_at timestamptz, ended_at timestamptz, excluded_at timestamptz)
returns "char" language sql immutable as $$
    select (case when excluded_at <= t then 'X'
                 when due_at is null then 'N'
                 when ended_at <= t then case when ended_at <= due_at then 'A' else 'B' end
                 when t > due_at then 'E'
                 when t > target_at then 'D'
                 else 'C' end)::"char" $$;

-- Every clock of every complaint at moment t. Inlined by the planner when t is a literal or a bind.
create function state(t timestamptz) returns table (
    complaint_id bigint, clock "char", seq smallint, valid_from timestamptz, entry "char", unit_id int, label bigint,
    charged_unit_id int, charged_label bigint, about_unit_id int, about_label bigint, category_id smallint, first_category_id smallint,
    channel_id smallint, source_id smallint, received_at timestamptz, started_at timestamptz, target_at timestamptz, due_at timestamptz,
    due_from "char", provisional boolean, first_due_at timestamptz, ended_at timestamptz, excluded_at timestamptz, left_at timestamptz,
    limit_id int, calendar_id smallint, started_ord int, due_ord int, restricted boolean,
    state "char", first_state "char", days_late int, days_used int, days_open int) language sql stable as $$
    select s.complaint_id, s.clock, s.seq, s.valid_from, s.entry, s.unit_id, s.label,
           s.charged_unit_id, s.charged_label, s.about_unit_id, s.about_label, s.category_id, s.first_category_id,
           s.channel_id, s.source_id, s.received_at, s.started_at, s.target_at, s.due_at,
           s.due_from, s.provisional, s.first_due_at, s.ended_at, s.excluded_at, s.left_at,
           s.limit_id, s.calendar_id, s.started_ord, s.due_ord, s.restricted,
           clock_state(t, s.target_at, s.due_at, s.ended_at, s.excluded_at),
           clock_state(t, s.first_target_at, s.first_due_at, s.ended_at, s.excluded_at),
           greatest(0, case when s.ended_at <= t then s.ended_ord else w.ordinal end - s.due_ord),
           case when s.ended_at <= t then s.ended_ord - s.started_ord end,
           case when s.left_at > t then w.ordinal - s.started_ord end
      from clock_span s
      join calendar c on c.calendar_id = s.calendar_id
      join workday w on w.calendar_id = c.calendar_id and w.day = (t at time zone c.tz)::date
     where s.valid_from <= t and t < s.valid_to $$;

-- The ledger's raw material: one way in, at most one way out.
create view open_stretch with (security_invoker = true) as
    select complaint_id, clock, seq, unit_id, label, category_id, channel_id, source_id, restricted, valid_from as in_at, entry as in_by, left_at as out_at,
           (case when left_at = 'infinity' then null
                 when excluded_at = left_at and (ended_at is null or ended_at > excluded_at) then 'x'
                 when ended_at <= left_at then 'd'
                 else 'm' end)::"char" as out_by
      from clock_span
     where clock in ('r', 'o') and (entry in ('r', 'o') or left_at > valid_from);
