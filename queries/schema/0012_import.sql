-- Importing at speed: the same clocks, asked for many complaints at once. Rules stand where they stood; what was one function is now the functions it is made of.

-- limit_at() in its two steps: which line of the policy, and what that line says of a day. Many complaints of one day under one line are asked for once.
create function limit_rule(policy int, clk "char", category int, complex "char", channel int) returns table (limit_id int, in_hours boolean)
language sql stable as $$
    select l.limit_id, l.unit = 'h' from policy_limit l
     where l.policy_id = policy and l.clock = clk
       and (l.category_id is null or l.category_id = category)
       and (l.complexity is null or l.complexity = complex)
       and (l.channel_id is null or l.channel_id = channel)
     order by l.category_id is null, l.complexity is null, l.channel_id is null limit 1 $$;
create function limit_on(policy int, rule int, started timestamptz, cal int, source_due timestamptz)
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
      left join policy_limit l on l.limit_id = rule
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

create or replace function limit_at(policy int, clk "char", category int, complex "char", channel int, started timestamptz, cal int, source_due timestamptz)
returns table (limit_id int, target_at timestamptz, due_at timestamptz, due_ord int, started_ord int, provisional boolean)
language sql stable as $$
    select o.* from (select 1) one
      left join limit_rule(policy, clk, category, complex, channel) r on true
     cross join lateral limit_on(policy, r.limit_id, started, cal, source_due) o $$;

-- The clocks that begin with the receipt, from the raw rows alone: reply, the source's own limit, dispatch.
create function first_runs(ids bigint[]) returns table (
    complaint_id bigint, clock "char", run int, entry "char", started_at timestamptz, stopped_at timestamptz, run_ended_at timestamptz, run_unit_id int,
    run_category_id smallint, run_due_at timestamptz, received_at timestamptz, excluded_at timestamptz, about_unit_id int, channel_id smallint, complexity "char",
    policy_id smallint, source_id smallint, calendar_id smallint, restricted boolean, tz text, no_limit boolean) language sql stable as $$
    with base as (
        select c.*, z.tz, p.source_limit, p.source_limit = 'governs' and c.limit_by_source and c.source_due_at is null as no_limit,
               p.all_dispatch or c.channel_id = any (p.dispatch) as has_dispatch
          from complaint c
          join (select p.policy_id, p.source_limit, coalesce(bool_or(l.clock = 'd' and l.channel_id is null), false) as all_dispatch,
                       coalesce(array_agg(l.channel_id) filter (where l.clock = 'd' and l.channel_id is not null), '{}') as dispatch
                  from policy p left join policy_limit l on l.policy_id = p.policy_id and l.amount is not null
                 group by p.policy_id) p on p.policy_id = c.policy_id
          join calendar z on z.calendar_id = c.calendar_id
         where c.complaint_id = any (ids)
    )
    select b.complaint_id, 'r'::"char", 0, 'r'::"char", b.received_at, 'infinity'::timestamptz, b.ended_at, b.first_unit_id, b.first_category_id,
           case when b.source_limit = 'governs' then b.source_due_at end,
           b.received_at, b.excluded_at, b.about_unit_id, b.channel_id, b.complexity, b.policy_id, b.source_id, b.calendar_id, b.restricted, b.tz, b.no_limit
      from base b
    union all                                              -- bank pack: the limit of the incoming letter is a second clock
    select b.complaint_id, 's', 0, 'r', b.received_at, 'infinity', b.ended_at, b.first_unit_id, b.first_category_id, b.source_due_at,
           b.received_at, b.excluded_at, b.about_unit_id, b.channel_id, b.complexity, b.policy_id, b.source_id, b.calendar_id, b.restricted, b.tz, b.no_limit
      from base b where b.source_limit = 'second' and b.source_due_at is not null
    union all
    select b.complaint_id, 'd', 0, 'r', b.received_at, 'infinity',
           least(b.dispatched_at, b.ended_at, (select min(e.was_at) from event e where e.complaint_id = b.complaint_id and e.cut and e.code = 'returned')),
           b.accepting_unit_id, b.first_category_id, null,
           b.received_at, b.excluded_at, b.about_unit_id, b.channel_id, b.complexity, b.policy_id, b.source_id, b.calendar_id, b.restricted, b.tz, b.no_limit
      from base b where b.has_dispatch $$;
-- The clocks that begin later: redo, verification of a withdrawal, call-back. has_clock() says which policies have one.
create function has_clock(policy int, which "char") returns boolean language sql stable as $$
    select exists (select from policy_limit l where l.policy_id = policy and l.clock = which and l.amount is not null) $$;
create function later_runs(ids bigint[]) returns table (
    complaint_id bigint, clock "char", run int, entry "char", started_at timestamptz, stopped_at timestamptz, run_ended_at timestamptz, run_unit_id int,
    run_category_id smallint, run_due_at timestamptz, received_at timestamptz, excluded_at timestamptz, about_unit_id int, channel_id smallint, complexity "char",
    policy_id smallint, source_id smallint, calendar_id smallint, restricted boolean, tz text, no_limit boolean) language sql stable as $$
    with base as (
        select c.*, z.tz, p.source_limit = 'governs' and c.limit_by_source and c.source_due_at is null as no_limit,
               has_clock(c.policy_id, 'w') as has_verify, has_clock(c.policy_id, 'k') as has_call_back
          from complaint c join policy p using (policy_id) join calendar z using (calendar_id)
         where c.complaint_id = any (ids)
    )
    select b.complaint_id, 'o'::"char", r.redo_no::int, 'o'::"char", r.started_at,
           coalesce(lead(r.started_at) over (partition by r.complaint_id order by r.redo_no), 'infinity'),
           r.ended_at, unit_at(b.complaint_id, r.started_at, b.first_unit_id), category_at(b.complaint_id, r.started_at, b.first_category_id), null::timestamptz,
           b.received_at, b.excluded_at, b.about_unit_id, b.channel_id, b.complexity, b.policy_id, b.source_id, b.calendar_id, b.restricted, b.tz, b.no_limit
      from base b join redo r using (complaint_id)
    union all
    select b.complaint_id, 'w', w.withdrawal_no, 'r', w.requested_at,
           coalesce(lead(w.requested_at) over (partition by w.complaint_id order by w.withdrawal_no), 'infinity'),
           w.verified_at, coalesce(w.by_unit_id, b.accepting_unit_id), category_at(b.complaint_id, w.requested_at, b.first_category_id), null,
           b.received_at, b.excluded_at, b.about_unit_id, b.channel_id, b.complexity, b.policy_id, b.source_id, b.calendar_id, b.restricted, b.tz, b.no_limit
      from base b join withdrawal w using (complaint_id) where b.has_verify
    union all
    select b.complaint_id, 'k', d.run, 'r', d.ended_at, d.stopped_at,
           (select min(a.at) from call_back a where a.complaint_id = b.complaint_id and a.by_whom = 'office' and a.at >= d.ended_at
               and (a.outcome in ('answered', 'refused') or a.call_no >= 3)),
           b.accepting_unit_id, category_at(b.complaint_id, d.ended_at, b.first_category_id), null,
           b.received_at, b.excluded_at, b.about_unit_id, b.channel_id, b.complexity, b.policy_id, b.source_id, b.calendar_id, b.restricted, b.tz, b.no_limit
      from base b
     cross join lateral (                                  -- from each end of the reply until it was returned for redo
           select row_number() over (order by e.at)::int, e.was_at, e.at from event e
            where e.complaint_id = b.complaint_id and e.cut and e.code = 'returned'
           union all select 1000, b.ended_at, 'infinity' where b.ended_at is not null) as d (run, ended_at, stopped_at)
     where b.has_call_back and not b.anonymous $$;

-- All clocks, cut by every event that changed unit, category, limit or verdict. Everything a row needs is carried along: there is no join from one
-- step to another, so it is linear in the number of complaints.
create function span_cut(ids bigint[]) returns setof clock_span language sql stable as $$
    with run as (select * from first_runs(ids) union all select * from later_runs(ids)
    ), cut as (                                            -- one row per run, and one per event that changed unit, category, limit or verdict
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

-- The same for complaints that nothing cut and whose clocks all began with the receipt: one stretch a clock, so there is nothing to number or to carry.
-- It says what span_cut() would say; a test compares the two over random histories. A limit is asked for once for all that were received on the same day
-- (where hours or a given limit count, at the same moment) under the same rule.
create function span_plain(ids bigint[]) returns setof clock_span language sql stable as $$
    with run as materialized (                             -- asks: by what the line of the policy is found, in one key, so that the planner sees one join
        select r.*, u.label, o.label as about_label, e.ordinal as ended_ord, coalesce(r.run_due_at, '-infinity') as source_due,
               array[r.policy_id, (case when r.no_limit then '-' else r.clock end)::int, r.run_category_id, coalesce(r.complexity, g.complexity, '-')::int, r.channel_id] as asks
          from first_runs(ids) r
          join category g on g.category_id = r.run_category_id
          join unit u on u.unit_id = r.run_unit_id
          join unit o on o.unit_id = r.about_unit_id
          left join workday e on e.calendar_id = r.calendar_id and e.day = (r.run_ended_at at time zone r.tz)::date
    ), rules as materialized (
        select k.asks, coalesce(l.limit_id, 0) as limit_id, l.in_hours
          from (select distinct asks from run) k
          left join lateral limit_rule(k.asks[1], k.asks[2]::"char", k.asks[3], nullif(k.asks[4]::"char", '-'), k.asks[5]) l on true
    ), ruled as materialized (
        select r.*, l.limit_id as rule, case when l.in_hours or r.run_due_at is not null then r.started_at else date_trunc('day', r.started_at, r.tz) end as moment
          from run r join rules l using (asks)
    ), limits as materialized (
        select k.policy_id, k.rule, k.moment, k.calendar_id, k.source_due, l.*
          from (select distinct policy_id, rule, moment, calendar_id, source_due from ruled) k
         cross join lateral limit_on(k.policy_id, k.rule, k.moment, k.calendar_id, nullif(k.source_due, '-infinity')) l
    )
    select r.complaint_id, r.clock, 1::smallint, r.started_at, r.stopped_at, r.entry, r.run_unit_id, r.label, r.run_unit_id, r.label, r.about_unit_id, r.about_label,
           r.run_category_id, r.channel_id, r.received_at, r.started_at, l.started_ord, l.target_at, l.due_at, l.due_ord,
           (case when r.run_due_at is not null then 's' else 'p' end)::"char", l.limit_id, l.provisional, r.run_category_id, l.target_at, l.due_at,
           r.run_ended_at, r.ended_ord, r.excluded_at, r.source_id, r.calendar_id, r.restricted, null::timestamptz
      from ruled r join limits l using (policy_id, rule, moment, calendar_id, source_due) $$;

-- Those of these complaints that span_plain() does not speak of.
create function eventful(ids bigint[]) returns setof bigint language sql stable as $$
    select e.complaint_id from event e where e.complaint_id = any (ids) and e.cut
    union select r.complaint_id from redo r where r.complaint_id = any (ids)
    union select w.complaint_id from withdrawal w where w.complaint_id = any (ids)
    union select c.complaint_id from complaint c where c.complaint_id = any (ids) and c.policy_id in (select l.policy_id from policy_limit l where l.clock = 'k' and l.amount is not null) $$;

-- The stretches of time of these complaints, from the raw rows alone: the one definition. Triggers store what it returns; check_spans() compares.
-- Many at once are planned for as many as they are (a plan that is kept is made for ten).
create or replace function span_of(ids bigint[]) returns setof clock_span language plpgsql stable as $$
declare turned bigint[] := array(select eventful(ids)); plain bigint[] := ids; many constant int := 200;
begin
    if turned <> '{}' then
        plain := array(select unnest(ids) except select unnest(turned));
        if cardinality(turned) < many then return query select * from span_cut(turned);
        else return query execute 'select * from span_cut($1)' using turned; end if;
    end if;
    if cardinality(plain) < many then
        if plain <> '{}' then return query select * from span_plain(plain); end if;
    else
        return query execute 'select * from span_plain($1)' using plain;
    end if;
end $$;

-- -- what the database says of a row: the same functions for one row (complaint_before) and for a file (the import, which asks them for all its rows at once)

-- End of the reply clock (product.md §3): customer and source unit both have the reply; comment book and own receipts: the customer;
-- anonymous: the source unit if any, else verified and filed. A source that knows only closed_at: that is the end.
create function reply_ends(rule text, closed_at timestamptz, customer_replied_at timestamptz, office_replied_at timestamptz, filed_at timestamptz, source_unit_id int,
    anonymous boolean) returns timestamptz language sql immutable as $$
    select case
        when rule = 'closed' then coalesce(closed_at, greatest(customer_replied_at, office_replied_at))
        when customer_replied_at is null and office_replied_at is null then coalesce(case when anonymous then filed_at end, closed_at)
        when anonymous and source_unit_id is not null then office_replied_at
        when anonymous then coalesce(filed_at, closed_at, customer_replied_at)
        when rule = 'customer' or source_unit_id is null then customer_replied_at
        when customer_replied_at is not null and office_replied_at is not null then greatest(customer_replied_at, office_replied_at)
    end $$;
create or replace function reply_end(rule text, c complaint, anonymous boolean) returns timestamptz language sql immutable as $$
    select reply_ends(rule, c.closed_at, c.customer_replied_at, c.office_replied_at, c.filed_at, c.source_unit_id, anonymous) $$;
create function over_major(amount numeric, major_amount numeric) returns boolean language sql immutable as $$ select coalesce(amount > major_amount, false) $$;
create function major_of(reasons text[], amount numeric, major_amount numeric) returns text[] language sql immutable as $$
    select case when over_major(amount, major_amount) and not 'amount' = any (reasons) then reasons || 'amount'::text else reasons end $$;
-- The handler may not be the person complained about (article 11).
create function own_case(handler text, person text) returns boolean language sql immutable as $$ select coalesce(btrim(handler) = btrim(person), false) $$;

create or replace function complaint_before() returns trigger language plpgsql set search_path = desk, pg_temp as $$
declare p policy; k category; due timestamptz;
begin
    if tg_op = 'INSERT' then
        new.first_category_id := coalesce(new.first_category_id, new.category_id);
        new.first_unit_id := coalesce(new.first_unit_id, new.unit_id);
        new.accepting_unit_id := coalesce(new.accepting_unit_id, new.first_unit_id);
        new.about_unit_id := coalesce(new.about_unit_id, new.unit_id);
        if new.policy_id is null then
            new.policy_id := policy_at(new.pack, new.received_at, new.calendar_id);
            if new.policy_id is null then
                raise exception 'no policy of % is in force at %', new.pack, new.received_at using errcode = 'check_violation';
            end if;
        end if;
    else
        new.version := old.version + 1;
        new.changed_at := clock_timestamp();
    end if;
    select * into p from policy where policy_id = new.policy_id;
    if not found then
        raise exception 'there is no policy %', new.policy_id using errcode = 'foreign_key_violation';
    end if;
    select * into k from category where category_id = new.category_id;
    if not found then
        raise exception 'there is no category %', new.category_id using errcode = 'foreign_key_violation';
    end if;
    new.restricted := k.restricted or (tg_op = 'UPDATE' and old.restricted);
    new.ended_at := reply_ends(p.end_rule, new.closed_at, new.customer_replied_at, new.office_replied_at, new.filed_at, new.source_unit_id, new.anonymous or k.anonymous);
    new.major := new.major or over_major(new.amount, p.major_amount);
    new.major_reasons := major_of(new.major_reasons, new.amount, p.major_amount);
    if own_case(new.handler, new.person)
       and (tg_op = 'INSERT' or new.handler is distinct from old.handler or new.person is distinct from old.person) then
        raise exception 'handler is the person complained about' using errcode = 'check_violation', constraint = 'complaint_conflict_of_interest';
    end if;
    -- Withdrawn, duplicate, out of scope after the limit: late, not excluded.
    if new.excluded_at is not null and new.exclusion in ('withdrawn', 'duplicate', 'out_of_scope', 'merged')
       and (tg_op = 'INSERT' or old.excluded_at is distinct from new.excluded_at) then
        if tg_op = 'UPDATE' then
            select s.due_at into due from clock_span s where s.complaint_id = new.complaint_id and s.clock = 'r'
             order by s.seq desc limit 1;
        else
            select l.due_at into due from limit_at(new.policy_id, 'r', new.first_category_id, coalesce(new.complexity, k.complexity), new.channel_id,
                new.received_at, new.calendar_id, case when p.source_limit = 'governs' then new.source_due_at end) l;
        end if;
        if due < new.excluded_at then
            new.excluded_at := null;
            new.exclusion := new.exclusion || '_late';
        end if;
    end if;
    return new;
end $$;

-- A row that brings everything along (the import asks the functions above for a whole file) needs no look of its own: complaint_whole() compares all of a
-- statement at once with what the functions say. A row without a policy, with an exclusion or with a gap is completed by complaint_before() as ever.
drop trigger complaint_before on complaint;
create trigger complaint_before before insert on complaint for each row
    when (new.policy_id is null or new.first_category_id is null or new.first_unit_id is null or new.accepting_unit_id is null or new.about_unit_id is null
          or new.excluded_at is not null or new.exclusion is not null)
    execute function complaint_before();
create trigger complaint_before_update before update on complaint for each row execute function complaint_before();
-- Titles: asked only where something is hidden.
drop trigger complaint_title on complaint;
create trigger complaint_title before insert or update of title on complaint for each row when (mask_text(new.title) <> new.title) execute function complaint_title();

-- What a row names is there, and what the database says of it is what stands in it. Eight foreign keys asked the same of every row by itself, at a fifth of the
-- time of an import; nothing they pointed at can be deleted (…_kept, below) and no key changes (generated always).
create function complaint_whole() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
declare missing text; wrong bigint;
begin
    select 'unit ' || x.id into missing
      from (select unit_id as id from fresh union select accepting_unit_id from fresh union select about_unit_id from fresh union select source_unit_id from fresh) x
     where x.id is not null and not exists (select from unit u where u.unit_id = x.id) limit 1;
    if missing is null then
        select case when k.category_id is null then 'category ' || f.category_id when h.channel_id is null then 'channel ' || f.channel_id
                    when s.source_id is null then 'source ' || f.source_id when z.calendar_id is null then 'calendar ' || f.calendar_id else 'policy ' || f.policy_id end
          into missing
          from (select distinct category_id, channel_id, source_id, calendar_id, policy_id from fresh) f
          left join category k on k.category_id = f.category_id left join channel h on h.channel_id = f.channel_id
          left join source s on s.source_id = f.source_id left join calendar z on z.calendar_id = f.calendar_id left join policy p on p.policy_id = f.policy_id
         where k.category_id is null or h.channel_id is null or s.source_id is null or z.calendar_id is null or p.policy_id is null limit 1;
    end if;
    if missing is not null then
        raise exception 'there is no %', missing using errcode = 'foreign_key_violation', table = 'complaint';
    end if;
    if tg_op = 'INSERT' then
        select f.complaint_id into wrong
          from fresh f join policy p on p.policy_id = f.policy_id join category k on k.category_id = f.category_id
         where f.ended_at is distinct from reply_ends(p.end_rule, f.closed_at, f.customer_replied_at, f.office_replied_at, f.filed_at, f.source_unit_id, f.anonymous or k.anonymous)
            or f.restricted <> k.restricted or not f.major and over_major(f.amount, p.major_amount)
            or f.major_reasons <> major_of(f.major_reasons, f.amount, p.major_amount) or own_case(f.handler, f.person) limit 1;
        if wrong is not null then
            raise exception 'complaint % is not what the rules say', wrong using errcode = 'check_violation', constraint = 'complaint_whole';
        end if;
    end if;
    return null;
end $$;
create trigger complaint_a_whole after insert on complaint referencing new table as fresh for each statement execute function complaint_whole();
create trigger complaint_a_whole_update after update on complaint referencing new table as fresh for each statement execute function complaint_whole();
do $$ declare t text; begin
    for t in select conname from pg_constraint where conrelid = 'complaint'::regclass and contype = 'f' loop
        execute format('alter table complaint drop constraint %I', t);
    end loop;
    foreach t in array array['unit', 'category', 'channel', 'source', 'calendar'] loop
        execute format('create trigger %s_kept before delete or truncate on %1$s execute function no_delete()', t);
    end loop;
end $$;


do $$ declare writers text := 'r_intake, r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline'; f text; begin
    for f in select oid::regprocedure::text from pg_proc where pronamespace = 'desk'::regnamespace and has_function_privilege('public', oid, 'execute') loop
        execute format('revoke execute on function %s from public', f);
    end loop;
    -- complaint_before() asks as whoever writes a row; a span's parts are for the functions of the owner
    execute 'grant execute on function reply_ends(text, timestamptz, timestamptz, timestamptz, timestamptz, int, boolean), over_major(numeric, numeric),
             major_of(text[], numeric, numeric), own_case(text, text) to ' || writers;
    execute 'grant execute on function limit_rule(int, "char", int, "char", int), limit_on(int, int, timestamptz, int, timestamptz) to ' || writers || ', r_auditor, r_admin';
end $$;
