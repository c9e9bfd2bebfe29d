-- What an administrator may change. Every act is a function that r_admin alone may call, and r_admin has no right to the tables behind it. The function asks
-- who is calling, lets administrators act one after another, compares with what the form had read, and writes the audit row itself: no change without one.

alter table app_user add column valid_from timestamptz, add column valid_until timestamptz,       -- access for a time: a regulator, a substitute
                     add constraint app_user_valid check (valid_from < valid_until);
alter table policy add column published_at timestamptz, add column published_by int references app_user;      -- null: came with the product

-- -- who, once, unchanged, written down

-- A refusal with a code; words come at display. The detail holds its parameters.
create function refuse(code text, params jsonb default '{}') returns void language plpgsql set search_path = desk, pg_temp as $$
begin raise exception '%', code using errcode = 'DESK1', detail = params::text; end $$;

create function administrator() returns void language plpgsql stable security definer set search_path = desk, pg_temp as $$
begin
    perform from app_user u where u.user_id = me() and holds(u) and u.role = 'admin';
    if not found then
        raise insufficient_privilege using message = 'only an administrator may do this';
    end if;
end $$;
create function administrator_acts() returns void language plpgsql volatile security definer set search_path = desk, pg_temp as $$
begin
    perform administrator();
    perform pg_advisory_xact_lock(hashtext('desk.administration'));
    perform administrator();                               -- somebody may have been disabled while waiting
end $$;

create function differs(a jsonb, b jsonb) returns jsonb language sql immutable as $$
    select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(a) where b -> key is distinct from value $$;
-- The audit row of a change: what it is about, and of old and new what differs.
create function audit_change(act text, about jsonb, old jsonb, new jsonb) returns void language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    if old = new then perform refuse('nothing_changed'); end if;
    perform audit_add(act, null, about || jsonb_build_object('old', differs(old, new), 'new', differs(new, old)));
    perform nextval('change_seq');                         -- open pages read again
end $$;
-- What the form had read must still be so; else: who changed it, and when.
create function unchanged(about jsonb, now jsonb, seen jsonb) returns void language plpgsql security definer set search_path = desk, pg_temp as $$
declare last audit;
begin
    if now is null then perform refuse('not_there'); end if;
    if now is distinct from seen then
        select * into last from audit a where a.params @> about and a.params ? 'new' order by a.audit_id desc limit 1;
        perform refuse('changed_meanwhile', jsonb_build_object('who', who_is(last.user_id), 'at', coalesce(last.at, clock_timestamp())));
    end if;
end $$;

-- -- accounts: the command line (as the owner) and the page use the same functions; only the page's ask for an administrator

create function user_state(id int) returns jsonb language sql stable security definer set search_path = desk, pg_temp set timezone = 'UTC' as $$
    select jsonb_build_object('login', u.login, 'name', u.name, 'role', u.role, 'all_units', u.all_units, 'sees_restricted', u.sees_restricted,
                              'units', (select coalesce(jsonb_agg(s.unit_id order by s.unit_id), '[]') from user_scope s where s.user_id = u.user_id),
                              'active', u.active, 'valid_from', u.valid_from, 'valid_until', u.valid_until)
      from app_user u where u.user_id = id and not u.builtin $$;

-- Write name, role, scope, access to financial crime and time; `id` null makes a new account.
create function user_put(id int, v jsonb) returns int language plpgsql security definer set search_path = desk, pg_temp as $$
declare account int := id; units int[] := array(select jsonb_array_elements_text(coalesce(v -> 'units', '[]'))::int);
        whole boolean := coalesce((v ->> 'all_units')::boolean, false); crime boolean := coalesce((v ->> 'sees_restricted')::boolean, false);
        called text := btrim(coalesce(v ->> 'name', ''));
begin
    if length(called) not between 1 and 60 then perform refuse('no_name'); end if;
    if coalesce(v ->> 'role', '') not in ('supervisor', 'leader', 'unit', 'service', 'department', 'discipline', 'regulator', 'auditor', 'admin') then
        perform refuse('bad_role');
    end if;
    if crime and v ->> 'role' not in ('supervisor', 'discipline') then perform refuse('not_restricted'); end if;     -- named supervisors only
    if exists (select from unnest(units) x where not exists (select from unit u where u.unit_id = x)) then perform refuse('no_unit'); end if;
    if (v ->> 'valid_from')::timestamptz >= (v ->> 'valid_until')::timestamptz then perform refuse('bad_time'); end if;
    if account is null then
        if coalesce(v ->> 'login', '') !~ '^[a-z0-9][a-z0-9._@-]{1,62}$' then perform refuse('bad_login'); end if;
        insert into app_user (login, name, role) values (v ->> 'login', called, v ->> 'role') on conflict (login) do nothing returning user_id into account;
        if account is null then perform refuse('login_taken'); end if;
    end if;
    update app_user set name = called, role = v ->> 'role', all_units = whole, sees_restricted = crime,
                        valid_from = (v ->> 'valid_from')::timestamptz, valid_until = (v ->> 'valid_until')::timestamptz where user_id = account;
    delete from user_scope s where s.user_id = account and (whole or s.unit_id <> all (units));
    if not whole then
        insert into user_scope (user_id, unit_id) select distinct account, x from unnest(units) x on conflict do nothing;
    end if;
    return account;
end $$;
create function user_add(v jsonb) returns int language plpgsql security definer set search_path = desk, pg_temp as $$
declare account int := user_put(null, v);
begin
    perform audit_change('user_added', jsonb_build_object('user', account, 'login', v ->> 'login'), '{}', user_state(account));
    return account;
end $$;
create function sessions_end(account int, why text) returns bigint language sql security definer set search_path = desk, pg_temp as $$
    with ended as (update session set ended_at = clock_timestamp(), ended_by = why where user_id = account and session_is_live(session) returning 1)
    select count(*) from ended $$;
create function user_enable(account int, wanted boolean) returns void language plpgsql security definer set search_path = desk, pg_temp as $$
declare old jsonb := user_state(account);
begin
    update app_user set active = wanted where user_id = account;
    if not wanted then
        perform sessions_end(account, 'disabled');
        delete from set_up_link where user_id = account;
    end if;
    perform audit_change(case when wanted then 'user_enabled' else 'user_disabled' end,
                         jsonb_build_object('user', account, 'login', old ->> 'login'), old, user_state(account));
end $$;
-- A link with which this account sets its password, once and within a day; earlier ones stop working. The token itself is not kept.
create function link_make(account int, hashed bytea, lasting interval) returns void language plpgsql security definer set search_path = desk, pg_temp as $$
declare u app_user;
begin
    select * into u from app_user a where a.user_id = account and holds(a) and not a.builtin;
    if not found then perform refuse('not_there'); end if;
    delete from set_up_link where user_id = account;
    insert into set_up_link (token, user_id, ends_at) values (hashed, account, clock_timestamp() + lasting);
    perform audit_add('invite', null, jsonb_build_object('user', account, 'login', u.login));
    perform nextval('change_seq');
end $$;

-- An administrator acts on others only: who cannot touch the own account can neither grant themselves anything nor be the last one to go.
create function administrator_acts_on(account int) returns jsonb language plpgsql volatile security definer set search_path = desk, pg_temp as $$
declare found_ jsonb;
begin
    perform administrator_acts();
    if account = me() then perform refuse('own_account'); end if;
    found_ := user_state(account);
    if found_ is null then perform refuse('not_there'); end if;
    return found_;
end $$;
-- Somebody who may administer must remain, without an end.
create function administrator_remains() returns void language plpgsql volatile security definer set search_path = desk, pg_temp as $$
begin
    if not exists (select from app_user u where u.role = 'admin' and u.active and not u.builtin and u.valid_until is null
                      and coalesce(u.valid_from <= clock_timestamp(), true)) then
        perform refuse('last_administrator');
    end if;
end $$;

create function admin_users() returns table (user_id int, login text, name text, role text, all_units boolean, units int[], sees_restricted boolean, active boolean,
    demo boolean, valid_from timestamptz, valid_until timestamptz, last_sign_in timestamptz, sessions bigint, has_password boolean, link_until timestamptz,
    locked_until timestamptz, failures bigint)
language plpgsql stable security definer set search_path = desk, pg_temp as $$
begin
    perform administrator();
    return query
    select u.user_id, u.login, u.name, u.role, u.all_units, array(select s.unit_id from user_scope s where s.user_id = u.user_id order by 1),
           u.sees_restricted, u.active, u.demo, u.valid_from, u.valid_until, s.last, coalesce(s.live, 0), k.user_id is not null, l.ends_at,
           case when f.n >= 5 then f.fifth + interval '5 minutes' end, f.n
      from app_user u
      left join credential k using (user_id)
      left join (select x.user_id, max(x.began_at) as last, count(*) filter (where session_is_live(x)) as live from session x group by 1) s using (user_id)
      left join lateral (select max(x.ends_at) as ends_at from set_up_link x where x.user_id = u.user_id and x.used_at is null and x.ends_at > clock_timestamp()) l on true
     cross join lateral (select count(*) as n, (array_agg(x.at order by x.at desc))[5] as fifth from sign_in_failure x
                          where x.user_id = u.user_id and x.at > clock_timestamp() - interval '5 minutes') f
     where not u.builtin
     order by u.login;
end $$;
create function admin_user(id int) returns jsonb language plpgsql stable security definer set search_path = desk, pg_temp as $$
begin perform administrator(); return user_state(id); end $$;
create function admin_user_add(v jsonb) returns int language plpgsql security definer set search_path = desk, pg_temp as $$
begin perform administrator_acts(); return user_add(v); end $$;
create function admin_user_set(id int, seen jsonb, v jsonb) returns void language plpgsql security definer set search_path = desk, pg_temp as $$
declare old jsonb := administrator_acts_on(id);
begin
    perform unchanged(jsonb_build_object('user', id), old, seen);
    perform user_put(id, v);
    perform administrator_remains();
    perform audit_change('user_changed', jsonb_build_object('user', id, 'login', old ->> 'login'), old, user_state(id));
end $$;
create function admin_user_enable(id int, wanted boolean) returns void language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    perform administrator_acts_on(id);
    perform user_enable(id, wanted);
    perform administrator_remains();
end $$;
create function admin_user_link(id int, hashed bytea) returns void language plpgsql security definer set search_path = desk, pg_temp as $$
begin perform administrator_acts_on(id); perform link_make(id, hashed, interval '1 day'); end $$;
create function admin_user_unlock(id int) returns void language plpgsql security definer set search_path = desk, pg_temp as $$
declare old jsonb := administrator_acts_on(id); gone bigint;
begin
    with deleted as (delete from sign_in_failure where user_id = id returning 1) select count(*) into gone from deleted;
    perform audit_change('user_unlocked', jsonb_build_object('user', id, 'login', old ->> 'login'), jsonb_build_object('failures', gone), '{"failures": 0}');
end $$;
create function admin_sessions_end(id int) returns bigint language plpgsql security definer set search_path = desk, pg_temp as $$
declare old jsonb := administrator_acts_on(id); n bigint;
begin
    n := sessions_end(id, 'administrator');
    perform audit_change('sessions_ended', jsonb_build_object('user', id, 'login', old ->> 'login'), jsonb_build_object('sessions', n), '{"sessions": 0}');
    return n;
end $$;

-- -- policies: a published version stays; a change is a new version from a day on

-- The first day on which a new version may begin: today or later, after the last receipt, after the version before it.
create function policy_earliest(of_pack text) returns date language sql stable security definer set search_path = desk, pg_temp as $$
    select greatest((select max((clock_timestamp() at time zone k.tz)::date) from calendar k),
                    (select max((c.received_at at time zone k.tz)::date) + 1 from complaint c join calendar k using (calendar_id) where c.pack = of_pack),
                    (select max(p.effective_from) + 1 from policy p where p.pack = of_pack)) $$;
create function policy_state(id int) returns jsonb language sql stable security definer set search_path = desk, pg_temp as $$
    select to_jsonb(p) - '{policy_id,published_at,published_by}'::text[] || jsonb_build_object('limits', (
               select coalesce(jsonb_object_agg(concat_ws('/', l.clock, g.code, l.complexity, h.code), jsonb_build_object('amount', l.amount, 'target', l.target, 'soon', l.soon)), '{}')
                 from policy_limit l left join category g using (category_id) left join channel h using (channel_id) where l.policy_id = p.policy_id))
      from policy p where p.policy_id = id $$;
-- A copy of the latest version with other amounts. v: from, title, title_en, limits [{limit_id, amount, target, soon}]; where nothing is said a limit stays.
create function policy_make(base int, v jsonb, number int default null) returns int language plpgsql security definer set search_path = desk, pg_temp as $$
declare p policy; made int; begins date := (v ->> 'from')::date; earliest date; l record;
begin
    select * into p from policy where policy_id = base;
    if not found then perform refuse('not_there'); end if;
    if exists (select from policy o where o.pack = p.pack and o.effective_from > p.effective_from) then
        perform unchanged(jsonb_build_object('of_pack', p.pack), '{"latest": false}', '{"latest": true}');
    end if;
    earliest := policy_earliest(p.pack);
    if begins is null or begins < earliest then perform refuse('too_early', jsonb_build_object('earliest', earliest)); end if;
    if length(btrim(coalesce(v ->> 'title', ''))) not between 1 and 200 or length(btrim(coalesce(v ->> 'title_en', ''))) not between 1 and 200 then
        perform refuse('no_title');
    end if;
    for l in select o.limit_id, o.unit, o.amount as was, x.* from jsonb_to_recordset(v -> 'limits') as x (limit_id int, amount int, target int, soon int)
               left join policy_limit o on o.limit_id = x.limit_id and o.policy_id = base loop
        if l.unit is null or (l.was is null) <> (l.amount is null) or l.amount not between 1 and 1000
           or l.target is not null and (l.unit <> 'w' or l.amount is null or l.target not between 1 and l.amount - 1)
           or coalesce(l.soon, -1) not between 0 and coalesce(l.amount, 0) or l.soon > 0 and l.unit = 'h' then
            perform refuse('bad_limit', jsonb_build_object('limit', l.limit_id));
        end if;
    end loop;
    insert into policy (policy_id, pack, version, effective_from, title, title_en, day_zero, end_rule, source_limit, moves, major_amount, published_at, published_by)
    overriding system value
    values (coalesce(number, nextval(pg_get_serial_sequence('desk.policy', 'policy_id'))), p.pack,
            (select max(o.version) + 1 from policy o where o.pack = p.pack), begins, btrim(v ->> 'title'), btrim(v ->> 'title_en'),
            p.day_zero, p.end_rule, p.source_limit, p.moves, p.major_amount, clock_timestamp(), me())
    returning policy_id into made;
    insert into policy_limit (policy_id, clock, category_id, complexity, channel_id, amount, unit, target, soon, owner, article)
    select made, o.clock, o.category_id, o.complexity, o.channel_id, case when x.limit_id is null then o.amount else x.amount end, o.unit,
           case when x.limit_id is null then o.target else x.target end, coalesce(x.soon, o.soon), o.owner, o.article
      from policy_limit o
      left join jsonb_to_recordset(v -> 'limits') as x (limit_id int, amount int, target int, soon int) on x.limit_id = o.limit_id
     where o.policy_id = base order by o.limit_id;
    if policy_state(made) -> 'limits' = policy_state(base) -> 'limits' then perform refuse('nothing_changed'); end if;
    return made;
end $$;

-- What a draft would mean: it is made, asked with limit_at() for what came in since a moment (the latest 10,000 stretches), and rolled back.
-- Counts only, and without financial crime. open_kept: open complaints of the pack, which keep their version.
create function admin_policy_preview(base int, v jsonb, since timestamptz) returns jsonb language plpgsql security definer set search_path = desk, pg_temp as $$
declare result jsonb; draft int; of_pack text; t timestamptz := clock_timestamp();
begin
    perform administrator_acts();
    begin
        draft := policy_make(base, v, -1);
        select pack into of_pack from policy where policy_id = draft;
        select jsonb_build_object('pack', of_pack, 'clocks', coalesce(jsonb_agg(to_jsonb(q) order by q.first), '[]'), 'stretches', coalesce(sum(q.n), 0),
                                  'open_kept', (select count(*) from clock_span s join complaint c using (complaint_id) where c.pack = of_pack and not s.restricted
                                                   and s.clock = 'r' and s.valid_to = 'infinity' and s.left_at = 'infinity'))
          into result
          from (select x.clock, min(x.place) as first, count(*) as n, count(*) filter (where d.due_at < o.due_at) as earlier,
                       count(*) filter (where d.due_at > o.due_at) as later, count(*) filter (where d.due_at is not distinct from o.due_at) as same,
                       count(*) filter (where x.left_at = 'infinity' and t <= x.due_at and t > d.due_at) as overdue,
                       count(*) filter (where x.left_at = 'infinity' and t > x.due_at and t <= d.due_at) as relieved
                  from (select s.*, c.policy_id, coalesce(c.complexity, g.complexity) as complexity, strpos('rdowk', s.clock::text) as place
                          from clock_span s join complaint c using (complaint_id) join category g on g.category_id = s.category_id
                         where c.pack = of_pack and s.received_at >= since and s.valid_to = 'infinity' and s.due_from = 'p' and not s.restricted
                         order by s.received_at desc limit 10000) x
                 cross join lateral limit_at(draft, x.clock, x.category_id, x.complexity, x.channel_id, x.started_at, x.calendar_id, null) d
                 cross join lateral limit_at(x.policy_id, x.clock, x.category_id, x.complexity, x.channel_id, x.started_at, x.calendar_id, null) o
                 group by x.clock) q;
        raise exception using errcode = 'DESK0';
    exception when sqlstate 'DESK0' then null;
    end;
    return result;
end $$;
create function admin_policy_publish(base int, v jsonb) returns int language plpgsql security definer set search_path = desk, pg_temp set lock_timeout = '3s' as $$
declare made int;
begin
    perform administrator_acts();
    if (v ->> 'from')::date <= (select max((clock_timestamp() at time zone k.tz)::date) from calendar k) then
        lock table complaint in share mode;                -- from today on: nobody's receipt of today is still under way
    end if;
    made := policy_make(base, v);
    perform audit_change('policy_published', jsonb_build_object('policy', made, 'of_pack', (select pack from policy where policy_id = made)), policy_state(base), policy_state(made));
    return made;
end $$;
-- A version that is not yet in force, by which nobody was judged, is taken back; the audit keeps what it said.
create function admin_policy_withdraw(id int) returns void language plpgsql security definer set search_path = desk, pg_temp set lock_timeout = '3s' as $$
declare p policy; old jsonb;
begin
    perform administrator_acts();
    lock table complaint in share mode;
    select * into p from policy where policy_id = id;
    if not found then perform refuse('not_there'); end if;
    if p.published_at is null or p.effective_from <= (select max((clock_timestamp() at time zone k.tz)::date) from calendar k)
       or exists (select from policy o where o.pack = p.pack and o.effective_from > p.effective_from)
       or exists (select from complaint c where c.policy_id = id) then
        perform refuse('in_force');
    end if;
    old := policy_state(id);
    delete from policy_limit where policy_id = id;
    delete from policy where policy_id = id;
    perform audit_change('policy_withdrawn', jsonb_build_object('policy', id, 'of_pack', p.pack), old, '{}');
end $$;

-- -- calendars

-- What stands on a year that is loaded: provisional limits, and whatever touches a day from `since` on. As in 0001_4, and in one place now.
create function limits_touched(cal int, since date) returns setof bigint language sql stable security definer set search_path = desk, pg_temp as $$
    select distinct s.complaint_id from clock_span s
     cross join (select case when isfinite(since) then since::timestamp at time zone c.tz else 'infinity' end as moment from calendar c where c.calendar_id = cal) m
     where s.calendar_id = cal
       and (s.provisional or s.started_at >= m.moment or s.ended_at >= m.moment
            or (s.due_at >= m.moment and s.due_at < 'infinity') or (s.first_due_at >= m.moment and s.first_due_at < 'infinity')) $$;
create or replace function recompute_provisional(cal int, since date default 'infinity') returns bigint
language plpgsql security definer set search_path = desk, pg_temp as $$
declare ids bigint[]; done bigint := 0;
begin
    for ids in select array_agg(complaint_id) from (select id as complaint_id, row_number() over (order by id) / 5000 as part from limits_touched(cal, since) id) x
               group by part loop
        perform respan(ids);
        done := done + cardinality(ids);
    end loop;
    return done;
end $$;
-- The first day of these that is another kind of day now; null: none.
create function calendar_changed(cal int, days date[], works boolean[]) returns date language sql stable security definer set search_path = desk, pg_temp as $$
    select min(w.day) from workday w join unnest(days, works) as x (day, working) using (day) where w.calendar_id = cal and w.working <> x.working $$;
-- Replace a year (every day of it once) and mark it published; ordinals run on over all later days. Returns how many complaints were computed again.
create function calendar_load(cal int, of_year int, days date[], works boolean[], kinds text[], names text[], from_where text) returns bigint
language plpgsql security definer set search_path = desk, pg_temp as $$
declare since date := calendar_changed(cal, days, works); first date := make_date(of_year, 1, 1);
begin
    if cardinality(days) <> make_date(of_year + 1, 1, 1) - first
       or exists (select from unnest(days) d where d not between first and make_date(of_year, 12, 31)) or (select count(distinct d) from unnest(days) d) <> cardinality(days) then
        perform refuse('bad_year');
    end if;
    insert into calendar_year (calendar_id, year, status, origin) values (cal, of_year, 'published', from_where)
    on conflict (calendar_id, year) do update set status = 'published', origin = excluded.origin, loaded_at = clock_timestamp();
    -- In two steps: the index of working ordinals is unique at every row of a statement; days off are not in it.
    create temporary table if not exists new_days (day date, working boolean, kind text, name text, ordinal int) on commit drop;
    truncate new_days;
    insert into new_days
    select w.day, q.working, coalesce(x.kind, w.kind), coalesce(x.name, w.name),
           coalesce((select b.ordinal from workday b where b.calendar_id = cal and b.day = first - 1), 0) + sum(q.working::int) over (order by w.day)
      from workday w
      left join unnest(days, works, kinds, names) as x (day, working, kind, name) using (day)
     cross join lateral (select coalesce(x.working, w.working) as working) q
     where w.calendar_id = cal and w.day >= first;
    update workday w set working = false where w.calendar_id = cal and w.day >= first and w.working;
    update workday w set working = n.working, kind = n.kind, name = n.name, ordinal = n.ordinal from new_days n where w.calendar_id = cal and w.day = n.day;
    return recompute_provisional(cal, coalesce(since, 'infinity'));
end $$;
create function year_state(cal int, of_year int) returns jsonb language sql stable security definer set search_path = desk, pg_temp set timezone = 'UTC' as $$
    select jsonb_build_object('status', coalesce(y.status, 'absent'), 'origin', y.origin, 'loaded_at', y.loaded_at,
                              'working_days', (select count(*) from workday w where w.calendar_id = cal and w.working and extract(year from w.day) = of_year))
      from calendar c left join calendar_year y on y.calendar_id = c.calendar_id and y.year = of_year where c.calendar_id = cal $$;
create function provisional_count(cal int, of_year int) returns bigint language sql stable security definer set search_path = desk, pg_temp as $$
    select count(distinct s.complaint_id) from clock_span s join calendar c on c.calendar_id = s.calendar_id
     where s.calendar_id = cal and s.provisional and not s.restricted and (of_year is null or extract(year from s.due_at at time zone c.tz) = of_year) $$;
-- The years around today; one that is not there is absent.
create function admin_calendars() returns table (calendar_id smallint, code text, tz text, year int, status text, origin text, loaded_at timestamptz,
                                                 working_days bigint, provisional bigint)
language plpgsql stable security definer set search_path = desk, pg_temp as $$
begin
    perform administrator();
    return query
    select c.calendar_id, c.code, c.tz, g, coalesce(y.status, 'absent'), y.origin, y.loaded_at,
           (select count(*) from workday w where w.calendar_id = c.calendar_id and w.working and w.day between make_date(g, 1, 1) and make_date(g, 12, 31)),
           provisional_count(c.calendar_id, g)
      from calendar c
     cross join generate_series(extract(year from clock_timestamp() at time zone c.tz)::int - 2, extract(year from clock_timestamp() at time zone c.tz)::int + 2) g
      left join calendar_year y on y.calendar_id = c.calendar_id and y.year = g
     order by c.code, c.tz, g;
end $$;
-- What loading a year would do: it is done and rolled back. more: too many complaints stand on it to be tried here.
create function admin_calendar_preview(cal int, of_year int, days date[], works boolean[], kinds text[], names text[]) returns jsonb
language plpgsql security definer set search_path = desk, pg_temp as $$
declare result jsonb; ids bigint[]; changed jsonb; t timestamptz := clock_timestamp();
begin
    perform administrator_acts();
    ids := array(select limits_touched(cal, coalesce(calendar_changed(cal, days, works), 'infinity')));
    changed := jsonb_build_object('days', (select count(*) from workday w join unnest(days, works) as x (day, working) using (day) where w.calendar_id = cal and w.working <> x.working),
                                  'complaints', (select count(*) from complaint c where c.complaint_id = any (ids) and not c.restricted));
    if cardinality(ids) > 20000 then
        return changed || '{"more": true}';
    end if;
    begin
        create temporary table before_load on commit drop as
            select s.complaint_id, s.clock, s.due_at, s.provisional, s.left_at from clock_span s where s.complaint_id = any (ids) and s.valid_to = 'infinity' and not s.restricted;
        perform calendar_load(cal, of_year, days, works, kinds, names, '-');
        select jsonb_build_object('earlier', count(*) filter (where s.due_at < b.due_at), 'later', count(*) filter (where s.due_at > b.due_at),
                                  'final', count(*) filter (where b.provisional and not s.provisional),
                                  'overdue', count(*) filter (where s.left_at = 'infinity' and t <= b.due_at and t > s.due_at),
                                  'relieved', count(*) filter (where s.left_at = 'infinity' and t > b.due_at and t <= s.due_at)) into result
          from before_load b join clock_span s on s.complaint_id = b.complaint_id and s.clock = b.clock and s.valid_to = 'infinity';
        raise exception using errcode = 'DESK0';
    exception when sqlstate 'DESK0' then null;
    end;
    return changed || result;
end $$;
create function admin_calendar_load(cal int, of_year int, seen jsonb, days date[], works boolean[], kinds text[], names text[], from_where text) returns bigint
language plpgsql security definer set search_path = desk, pg_temp as $$
declare about jsonb := jsonb_build_object('calendar', cal, 'year', of_year); old jsonb := year_state(cal, of_year); changed record; n bigint;
begin
    perform administrator_acts();
    perform unchanged(about, old, seen);
    select coalesce(jsonb_object_agg(w.day, w.working), '{}') as was, coalesce(jsonb_object_agg(w.day, x.working), '{}') as is_now into changed
      from workday w join unnest(days, works) as x (day, working) using (day) where w.calendar_id = cal and w.working <> x.working;
    n := (select count(*) from complaint c where not c.restricted and c.complaint_id in (
              select limits_touched(cal, coalesce(calendar_changed(cal, days, works), 'infinity'))));
    perform calendar_load(cal, of_year, days, works, kinds, names, from_where);
    perform audit_change('calendar_loaded', about || jsonb_build_object('complaints', n), old || jsonb_build_object('days', changed.was),
                         year_state(cal, of_year) || jsonb_build_object('days', changed.is_now));
    return n;
end $$;
-- Provisional limits once more, by the calendar as it is.
create function admin_calendar_recompute(cal int) returns bigint language plpgsql security definer set search_path = desk, pg_temp as $$
declare before bigint := provisional_count(cal, null);
begin
    perform administrator_acts();
    perform recompute_provisional(cal);
    perform audit_add('calendar_recomputed', null, jsonb_build_object('calendar', cal, 'old', jsonb_build_object('provisional', before),
                                                                      'new', jsonb_build_object('provisional', provisional_count(cal, null))));
    return before;
end $$;

-- -- units

-- Where messages go: https, and no host that means this machine or its own network link. Names are looked up again when a message is sent.
create function webhook_ok(url text) returns boolean language sql immutable as $$
    select url ~* '^https://[a-z0-9.\[\]:-]+(:[0-9]+)?([/?#][^\s]*)?$' and url !~ '@'
       and lower(substring(url from '^[^:]+://(\[[^\]]*\]|[^/:?#]*)')) !~
           '^(localhost|.*\.localhost|localhost\.localdomain|ip6-.*|0x[0-9a-f.]*|[0-9.]*\.?0[0-9]+\..*|[0-9]+|(0|127|169\.254)(\..*)?|\[(::|::1|::ffff:.*|fe[89ab].*|64:ff9b:.*)\]|)\.?$' $$;
alter table unit_contact add constraint unit_contact_webhook check (webhook_ok(webhook)) not valid;

-- As in 0001_4, but a unit is counted on from those that already stand in its parent's new range: what was left of the old range had no say there.
create or replace function unit_move(moved int, new_parent int) returns void language plpgsql security definer set search_path = desk, pg_temp as $$
declare r record;
begin
    perform pg_advisory_xact_lock(hashtext('desk.tree'));
    if exists (select from unit a join unit b on b.unit_id = new_parent where a.unit_id = moved and b.label between a.label and a.label_end) then
        raise exception 'a unit cannot stand below itself' using errcode = 'check_violation';
    end if;
    insert into unit_parent (unit_id, parent_id) select unit_id, parent_id from unit where unit_id = moved;
    update unit set parent_id = new_parent where unit_id = moved;
    create temporary table if not exists moving (unit_id int, depth int) on commit drop;
    truncate moving;
    insert into moving with recursive below as (
        select moved as unit_id, 0 as depth union all select u.unit_id, b.depth + 1 from unit u join below b on u.parent_id = b.unit_id)
    select * from below;
    for r in select m.unit_id, u.parent_id from moving m join unit u using (unit_id) order by m.depth, u.label loop
        update unit u set level = q.level, label = q.label, label_end = q.label + unit_width(q.level) - 1
          from (select coalesce(p.level + 1, 0) as level,
                       coalesce((select max(s.label) from unit s where s.parent_id is not distinct from r.parent_id and s.unit_id <> r.unit_id
                                    and s.level = coalesce(p.level + 1, 0) and (p.unit_id is null or s.label between p.label and p.label_end)), p.label, 0)
                       + unit_width(coalesce(p.level + 1, 0)) as label
                  from (select 1) one left join unit p on p.unit_id = r.parent_id) q
         where u.unit_id = r.unit_id;
    end loop;
    if exists (select from moving m join unit u using (unit_id) join unit p on p.unit_id = u.parent_id where u.label_end > p.label_end) then
        raise exception 'there is no room for another unit there' using errcode = 'check_violation';
    end if;
    update clock_span s set label = u.label from unit u where u.unit_id = s.unit_id and s.label <> u.label and u.unit_id in (select unit_id from moving);
    update clock_span s set charged_label = u.label from unit u where u.unit_id = s.charged_unit_id and s.charged_label <> u.label and u.unit_id in (select unit_id from moving);
    update clock_span s set about_label = u.label from unit u where u.unit_id = s.about_unit_id and s.about_label <> u.label and u.unit_id in (select unit_id from moving);
    perform nextval('change_seq');
end $$;

create function unit_state(id int) returns jsonb language sql stable security definer set search_path = desk, pg_temp as $$
    select to_jsonb(u) - '{unit_id,level,label,label_end,sort_key}'::text[] || jsonb_build_object('contacts', (
               select coalesce(jsonb_object_agg(k.rank, jsonb_build_object('name', k.name, 'phone', k.phone, 'email', k.email, 'webhook', k.webhook)), '{}')
                 from unit_contact k where k.unit_id = u.unit_id))
      from unit u where u.unit_id = id $$;
create function unit_values(v jsonb) returns void language plpgsql immutable set search_path = desk, pg_temp as $$
begin
    if length(btrim(coalesce(v ->> 'name', ''))) not between 1 and 100 then perform refuse('no_name'); end if;
    if (v ->> 'outlets')::bigint < 0 or (v ->> 'customers')::bigint < 0 then perform refuse('bad_number'); end if;
end $$;
-- v: what the forms of a unit change; `contacts` {rank: {name, phone, email, webhook}}, a contact without a name goes.
create function admin_unit_set(id int, seen jsonb, v jsonb, sorted text) returns void language plpgsql security definer set search_path = desk, pg_temp as $$
declare old jsonb; below_ bigint; open_ bigint; shown bigint; k record;
begin
    perform administrator_acts();
    perform pg_advisory_xact_lock(hashtext('desk.tree'));
    old := unit_state(id);
    perform unchanged(jsonb_build_object('unit', id), old, seen);
    v := old || v;
    perform unit_values(v);
    if exists (select from unit u where u.code = nullif(btrim(v ->> 'code'), '') and u.unit_id <> id) then perform refuse('code_taken'); end if;
    if (old ->> 'active')::boolean and not (v ->> 'active')::boolean then
        select count(*) - 1 into below_ from unit u join unit b on b.label between u.label and u.label_end and b.active where u.unit_id = id;
        if below_ > 0 then perform refuse('units_below', jsonb_build_object('n', below_)); end if;
        select count(distinct s.complaint_id), count(distinct s.complaint_id) filter (where not s.restricted) into open_, shown
          from clock_span s where s.unit_id = id and s.clock in ('r', 'o') and s.valid_to = 'infinity' and s.left_at = 'infinity';
        if open_ > 0 then perform refuse('open_complaints', jsonb_build_object('n', shown)); end if;
    end if;
    update unit set name = btrim(v ->> 'name'), name_en = nullif(btrim(v ->> 'name_en'), ''), short = nullif(btrim(v ->> 'short'), ''),
                    short_en = nullif(btrim(v ->> 'short_en'), ''), code = nullif(btrim(v ->> 'code'), ''), outlets = (v ->> 'outlets')::int,
                    customers = (v ->> 'customers')::bigint, focus = (v ->> 'focus')::boolean, accepts = (v ->> 'accepts')::boolean,
                    active = (v ->> 'active')::boolean, sort_key = coalesce(sorted, sort_key) where unit_id = id;
    for k in select key::smallint as rank, nullif(btrim(value ->> 'name'), '') as name, nullif(btrim(value ->> 'phone'), '') as phone,
                    nullif(btrim(value ->> 'email'), '') as email, nullif(btrim(value ->> 'webhook'), '') as webhook from jsonb_each(v -> 'contacts') loop
        if k.name is null and coalesce(k.phone, k.email, k.webhook) is not null then perform refuse('no_contact_name'); end if;
        if not webhook_ok(k.webhook) then perform refuse('bad_webhook'); end if;
        if k.email !~ '^[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;]+$' then perform refuse('bad_email'); end if;
        delete from unit_contact c where c.unit_id = id and c.rank = k.rank and k.name is null;
        insert into unit_contact (unit_id, rank, name, phone, email, webhook) select id, k.rank, k.name, k.phone, k.email, k.webhook where k.name is not null
        on conflict (unit_id, rank) do update set name = excluded.name, phone = excluded.phone, email = excluded.email, webhook = excluded.webhook;
    end loop;
    perform audit_change('unit_changed', jsonb_build_object('unit', id, 'name', old ->> 'name'), old, unit_state(id));
end $$;
create function admin_unit_add(above int, v jsonb, sorted text) returns int language plpgsql security definer set search_path = desk, pg_temp as $$
declare made int; p unit;
begin
    perform administrator_acts();
    perform pg_advisory_xact_lock(hashtext('desk.tree'));
    perform unit_values(v);
    select * into p from unit where unit_id = above;
    if above is not null and (not found or not p.active or p.kind = 'unmapped') then perform refuse('bad_parent'); end if;
    if p.level >= 5 then perform refuse('too_deep'); end if;
    if exists (select from unit u where u.code = nullif(btrim(v ->> 'code'), '')) then perform refuse('code_taken'); end if;
    insert into unit (parent_id, kind, name, name_en, short, short_en, code, outlets, customers, focus, accepts, sort_key)
    values (above, unit_kind(coalesce(p.level + 1, 0)), btrim(v ->> 'name'), nullif(btrim(v ->> 'name_en'), ''), nullif(btrim(v ->> 'short'), ''),
            nullif(btrim(v ->> 'short_en'), ''), nullif(btrim(v ->> 'code'), ''), (v ->> 'outlets')::int, (v ->> 'customers')::bigint,
            coalesce((v ->> 'focus')::boolean, false), coalesce((v ->> 'accepts')::boolean, false), coalesce(sorted, '')) returning unit_id into made;
    perform audit_change('unit_added', jsonb_build_object('unit', made, 'name', v ->> 'name'), '{}', unit_state(made));
    return made;
end $$;
-- What a unit is called by how deep it stands, where nobody said otherwise.
create function unit_kind(level int) returns text language sql immutable as $$
    select (array['head', 'branch1', 'branch2', 'outlet'])[least(level, 3) + 1] $$;
-- A move, and how much of it there is: units that stand elsewhere, complaints that have another place (without financial crime). Not `really`: only that.
create function unit_moved(id int, above int, really boolean) returns jsonb language plpgsql security definer set search_path = desk, pg_temp as $$
declare u unit; p unit; deep int; ids int[]; result jsonb;
begin
    select * into u from unit where unit_id = id;
    if not found then perform refuse('not_there'); end if;
    select * into p from unit where unit_id = above;
    if not found or not p.active or p.kind = 'unmapped' or u.parent_id = above or p.label between u.label and u.label_end then perform refuse('bad_parent'); end if;
    if u.parent_id is null then perform refuse('a_root'); end if;
    select max(b.level) - u.level, array_agg(b.unit_id) into deep, ids from unit b where b.label between u.label and u.label_end;
    if p.level + 1 + deep > 5 then perform refuse('too_deep'); end if;
    result := jsonb_build_object('units', cardinality(ids), 'complaints', (select count(distinct s.complaint_id) from clock_span s
        where not s.restricted and (s.unit_id = any (ids) or s.charged_unit_id = any (ids) or s.about_unit_id = any (ids))));
    if not really then return result; end if;
    begin
        perform unit_move(id, above);
    exception when check_violation then perform refuse('no_room');
    end;
    -- what an import had put aside is placed now: its kind follows from where it stands
    update unit b set kind = unit_kind(b.level), source_id = null where b.unit_id = any (ids) and b.kind = 'unmapped';
    return result;
end $$;
create function admin_unit_move_preview(id int, above int) returns jsonb language plpgsql security definer set search_path = desk, pg_temp as $$
begin perform administrator(); return unit_moved(id, above, false); end $$;
create function admin_unit_move(id int, seen jsonb, above int) returns bigint language plpgsql security definer set search_path = desk, pg_temp as $$
declare old jsonb; result jsonb;
begin
    perform administrator_acts();
    perform pg_advisory_xact_lock(hashtext('desk.tree'));
    old := unit_state(id);
    perform unchanged(jsonb_build_object('unit', id), old, seen);
    result := unit_moved(id, above, true);
    perform audit_change('unit_moved', jsonb_build_object('unit', id, 'name', old ->> 'name') || result, old, unit_state(id));
    return (result ->> 'complaints')::bigint;
end $$;
create function admin_moves(few int) returns table (unit_id int, parent_from int, parent_to int, at timestamptz, who text)
language plpgsql stable security definer set search_path = desk, pg_temp as $$
begin
    perform administrator();
    return query
    select m.unit_id, m.parent_id, coalesce(lead(m.parent_id) over (partition by m.unit_id order by m.until), u.parent_id), m.until,
           (select who_is(a.user_id) from audit a where a.act = 'unit_moved' and a.params @> jsonb_build_object('unit', m.unit_id) and a.at >= m.until order by a.audit_id limit 1)
      from unit_parent m join unit u using (unit_id) order by m.until desc limit few;
end $$;

-- -- sources

create function source_state(id int) returns jsonb language sql stable security definer set search_path = desk, pg_temp as $$
    select jsonb_build_object('name', s.name, 'tz', s.tz, 'pack', s.pack) from source s where s.source_id = id $$;
create function admin_sources() returns table (source_id smallint, name text, tz text, pack text, demo boolean, seen_at timestamptz, complaints bigint,
                                               file text, finished_at timestamptz, rows int, quarantined bigint)
language plpgsql stable security definer set search_path = desk, pg_temp as $$
begin
    perform administrator();
    return query
    select s.source_id, s.name, s.tz, s.pack, s.demo, s.seen_at,
           (select count(*) from complaint c where c.source_id = s.source_id and not c.restricted), b.file, b.finished_at, b.rows,
           (select count(*) from quarantine q join import_batch i using (batch_id) where i.source_id = s.source_id)
      from source s
      left join lateral (select i.file, i.finished_at, i.rows from import_batch i where i.source_id = s.source_id order by i.batch_id desc limit 1) b on true
     order by s.source_id;
end $$;
create function admin_source_set(id int, seen jsonb, v jsonb) returns void language plpgsql security definer set search_path = desk, pg_temp as $$
declare old jsonb; n bigint;
begin
    perform administrator_acts();
    perform from source where source_id = id for update;
    old := source_state(id);
    perform unchanged(jsonb_build_object('source', id), old, seen);
    if length(btrim(coalesce(v ->> 'name', ''))) not between 1 and 60 then perform refuse('no_name'); end if;
    if exists (select from source s where s.name = btrim(v ->> 'name') and s.source_id <> id) then perform refuse('name_taken'); end if;
    if (v ->> 'tz', v ->> 'pack') is distinct from (old ->> 'tz', old ->> 'pack') then
        if exists (select from complaint c where c.source_id = id) then perform refuse('has_complaints'); end if;
        if not exists (select from pg_timezone_names z where z.name = v ->> 'tz') then perform refuse('bad_zone'); end if;
        if not exists (select from policy p where p.pack = v ->> 'pack') then perform refuse('bad_pack'); end if;
    end if;
    update source set name = btrim(v ->> 'name'), tz = v ->> 'tz', pack = v ->> 'pack' where source_id = id;
    perform audit_change('source_changed', jsonb_build_object('source', id), old, source_state(id));
end $$;

-- -- grants: to r_admin what asks for an administrator itself, and what anybody may know; the rest to nobody but the owner
do $$ declare f record; begin
    for f in select p.oid::regprocedure::text as call, p.proname from pg_proc p where p.pronamespace = 'desk'::regnamespace and p.proname in (
            'refuse', 'administrator', 'administrator_acts', 'differs', 'audit_change', 'unchanged', 'user_state', 'user_put', 'user_add', 'sessions_end', 'user_enable', 'link_make',
            'administrator_acts_on', 'administrator_remains', 'admin_users', 'admin_user', 'admin_user_add', 'admin_user_set', 'admin_user_enable', 'admin_user_link',
            'admin_user_unlock', 'admin_sessions_end', 'policy_earliest', 'policy_state', 'policy_make', 'admin_policy_preview', 'admin_policy_publish', 'admin_policy_withdraw',
            'limits_touched', 'calendar_changed', 'calendar_load', 'year_state', 'provisional_count', 'admin_calendars', 'admin_calendar_preview', 'admin_calendar_load',
            'admin_calendar_recompute', 'webhook_ok', 'unit_state', 'unit_values', 'admin_unit_set', 'admin_unit_add', 'unit_kind', 'unit_moved', 'admin_unit_move_preview',
            'admin_unit_move', 'admin_moves', 'source_state', 'admin_sources', 'admin_source_set') loop
        execute format('revoke execute on function %s from public', f.call);
        if f.proname like 'admin\_%' or f.proname in ('policy_earliest', 'policy_state', 'year_state', 'unit_state', 'source_state') then
            execute format('grant execute on function %s to r_admin', f.call);
        end if;
    end loop;
    revoke execute on function unit_move(int, int), recompute_provisional(int, date) from r_admin;      -- these leave no audit row
    grant execute on function calendar_load(int, int, date[], boolean[], text[], text[], text), webhook_ok(text) to r_intake;
    grant insert, select, update (result) on request to r_admin;
    create policy administer on request to r_admin using (user_id = me()) with check (user_id = me());
end $$;
