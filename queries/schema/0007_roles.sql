-- Who sees which complaint (product.md §7), identities, and what a regulator gets instead of rows.

-- -- one rule of when an account counts; everything about accounts asks it
alter table app_user add column if not exists valid_from timestamptz, add column if not exists valid_until timestamptz;
create function holds(u app_user) returns boolean language sql stable set search_path = desk, pg_temp as $$
    select u.active and now() >= coalesce(u.valid_from, '-infinity') and now() < coalesce(u.valid_until, 'infinity') $$;

create or replace function my_scope() returns int8multirange language sql stable security definer set search_path = desk, pg_temp as $$
    select coalesce(range_agg(int8range(t.label, t.label_end, '[]')), '{}'::int8multirange)
      from app_user u join user_scope s using (user_id) join unit t using (unit_id) where u.user_id = me() and holds(u) $$;
create or replace function sees_all() returns boolean language sql stable security definer set search_path = desk, pg_temp as $$
    select coalesce((select u.all_units from app_user u where u.user_id = me() and holds(u)), false) $$;
create or replace function sees_restricted() returns boolean language sql stable security definer set search_path = desk, pg_temp as $$
    select coalesce((select u.sees_restricted and u.role in ('supervisor', 'intake') or u.role = 'discipline'
                       from app_user u where u.user_id = me() and holds(u)), false) $$;
create or replace view viewer with (security_barrier = true) as
    select user_id, login, name, role, sees_restricted, demo from app_user u where user_id = me() and holds(u);

-- Nobody sees a complaint about themselves: those whose person complained about bears the account's name.
create index complaint_person on complaint (plain_name(person)) where person is not null;
create function about_me() returns bigint[] language sql stable security definer set search_path = desk, pg_temp as $$
    select coalesce(array_agg(c.complaint_id order by c.complaint_id), '{}') from app_user u join complaint c on plain_name(c.person) = plain_name(u.name)
     where u.user_id = me() and c.person is not null and not u.builtin $$;
create function none_about_me() returns boolean language sql stable security definer set search_path = desk, pg_temp as $$ select about_me() = '{}' $$;
-- A service centre: what it accepted or dispatched, wherever it is handled. A department: besides its own cases those it has to rectify.
create function accepted_by_us() returns setof bigint language sql stable security definer rows 50000 set search_path = desk, pg_temp as $$
    select c.complaint_id from complaint c
     where c.accepting_unit_id = any (array(select u.unit_id from unit u where u.label <@ (select my_scope())))
        or c.source_unit_id = any (array(select u.unit_id from unit u where u.label <@ (select my_scope()))) $$;
create function rectified_by_us() returns setof bigint language sql stable security definer set search_path = desk, pg_temp as $$
    select r.complaint_id from rectification r join unit u using (unit_id) where u.label <@ (select my_scope()) $$;

-- The part of the tree in which figures are asked for where no unit is named. Row security decides what is seen; for roles whose
-- complaints lie all over the tree it is the whole tree.
create function asks_all() returns boolean language sql stable security definer set search_path = desk, pg_temp as $$
    select coalesce((select u.all_units or u.role in ('service', 'department') from app_user u where u.user_id = me() and holds(u)), false) $$;
create function ask_lo() returns bigint language sql stable security definer set search_path = desk, pg_temp as $$
    select case when asks_all() then 0 else my_lo() end $$;
create function ask_hi() returns bigint language sql stable security definer set search_path = desk, pg_temp as $$
    select case when asks_all() then 9223372036854775807 else my_hi() end $$;
create function ask_one() returns boolean language sql stable security definer set search_path = desk, pg_temp as $$ select asks_all() or one_range() $$;

drop policy in_scope on clock_span;
drop policy in_scope on complaint;
do $$
declare
    readers text := 'r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline';
    away text := 'r_regulator, r_auditor, r_admin';
    inside text := '(%1$s between (select my_lo()) and (select my_hi()) and ((select one_range()) or %1$s <@ (select my_scope())))';
    t text;
begin
    -- figures and rows: by the tree, by what was accepted, by what is led
    execute format('create policy in_scope on clock_span for select to r_supervisor, r_leader, r_unit, r_discipline using (%s or %s or %s)',
                   format(inside, 'label'), format(inside, 'charged_label'), format(inside, 'about_label'));
    execute format('create policy led on clock_span for select to r_department using (%s or %s or complaint_id in (select rectified_by_us()))',
                   format(inside, 'label'), format(inside, 'charged_label'));
    execute 'create policy accepted on clock_span for select to r_service using (complaint_id in (select accepted_by_us()))';
    -- a former holder sees its own stretch and no more: the complaint is seen by those who have to do with it now
    execute format('create policy in_scope on complaint for select to %s using (exists (select from clock_span s
                     where s.complaint_id = complaint.complaint_id and s.valid_to = ''infinity''))', replace(readers, 'r_service, ', ''));
    execute 'create policy accepted on complaint for select to r_service using (complaint_id in (select accepted_by_us()))';
    foreach t in array array['clock_span', 'complaint'] loop
        execute format('create policy crime_only on %I as restrictive for select to r_discipline using (restricted)', t);
        execute format('create policy not_about_me on %I as restrictive for select to %s using ((select none_about_me()) or complaint_id <> all ((select about_me())::bigint[]))', t, readers);
        execute format('alter policy whole on %I rename to all_units', t);       -- asked first: policies are asked in the order of their names
    end loop;
    -- supervisors, administrators, auditors and regulators of other things read no complaint at all
    foreach t in array array['clock_span', 'open_stretch', 'complaint', 'complaint_text', 'event', 'hop', 'reply', 'call_back', 'urge', 'redo', 'withdrawal', 'delay', 'contest',
                             'directive', 'rectification', 'regulator_report'] loop
        execute format('revoke all on %I from %s', t, away);
    end loop;
    execute 'revoke all on unit_contact from r_regulator';
    execute 'revoke all on import_batch, quarantine from r_auditor';
    execute 'revoke all on complaint_text from ' || readers;
    execute 'revoke execute on all functions in schema desk from r_regulator';
    execute 'grant execute on function setting(text), me(), my_scope(), sees_all(), my_lo(), my_hi(), one_range(), ask_lo(), ask_hi(), ask_one(), exported(text, text, bigint),
             tick_now(timestamptz) to r_regulator';
end $$;

-- The same rule for functions that run as the owner: which of these complaints the account may open. A test compares it with the policies.
create function visible(ids bigint[]) returns setof bigint rows 200 language plpgsql stable security definer set search_path = desk, pg_temp as $$
declare
    u app_user;
    mine int8multirange := my_scope();
    crime boolean := sees_restricted();
    aside bigint[] := about_me();
begin
    select * into u from app_user a where a.user_id = me() and holds(a);
    if not found or u.role not in ('supervisor', 'leader', 'unit', 'service', 'department', 'discipline') then
        return;
    end if;
    return query
        select c.complaint_id from complaint c
         where c.complaint_id = any (ids) and (crime or not c.restricted) and (u.role <> 'discipline' or c.restricted) and c.complaint_id <> all (aside)
           and (u.all_units
                or u.role = 'service' and exists (select from unit a where a.unit_id in (c.accepting_unit_id, c.source_unit_id) and a.label <@ mine)
                or u.role = 'department' and exists (select from rectification r join unit a using (unit_id)
                                                      where r.complaint_id = c.complaint_id and a.label <@ mine)
                or u.role <> 'service' and exists (select from clock_span s
                       where s.complaint_id = c.complaint_id and s.valid_to = 'infinity'
                         and (s.label <@ mine or s.charged_label <@ mine or u.role <> 'department' and s.about_label <@ mine)));
end $$;
create or replace function may_see(id bigint) returns boolean language sql stable security definer set search_path = desk, pg_temp as $$
    select exists (select from visible(array[id])) $$;

-- The number of a complaint of which one stretch was one's own.
create function number_of_own(id bigint) returns text language sql stable security definer set search_path = desk, pg_temp as $$
    select c.complaint_no from complaint c
     where c.complaint_id = id and not c.restricted and id <> all (about_me())
       and exists (select from clock_span s where s.complaint_id = id and (s.label <@ (select my_scope()) or s.charged_label <@ (select my_scope()))) $$;

create function own_complaint(number text) returns bigint language sql stable security definer set search_path = desk, pg_temp as $$
    select c.complaint_id from complaint c where c.complaint_no = number and number_of_own(c.complaint_id) is not null order by 1 limit 1 $$;

-- -- identity in free text: identity numbers, cards, telephones, e-mail, however the digits are written and spaced. Only what is hidden changes,
-- and digits become plain ones; find_words() relies on it.
create or replace function mask_text(t text) returns text language sql immutable as $$
    select case when t !~ '[0-9０-９①-⑨⓪٠-٩⁰¹²³⁴-⁹₀-₉].*[0-9０-９①-⑨⓪٠-٩⁰¹²³⁴-⁹₀-₉]|[@＠]|[零〇一二三四五六七八九幺]{7}' then t else
        regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(
        translate(t, '０１２３４５６７８９①②③④⑤⑥⑦⑧⑨⓪٠١٢٣٤٥٦٧٨٩⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉＠＋', '0123456789123456789001234567890123456789' || '0123456789@+'),
        -- 18 or 15 figures of an identity card, 16 to 19 of a bank card
        '(?<!\d)([1-9]\d{2})((?:[\s　\-－—–.·_]?\d){2,3})((?:[\s　\-－—–.·_]?\d){7,11})((?:[\s　\-－—–.·_]?\d){2}[\s　\-－—–.·_]?[\dXxＸｘ])(?![\d])', '\1***********\4', 'g'),
        -- a mobile number, with or without the country in front
        '(?<![\d*])((?:\+?86|0086)?[\s　\-－—–.·_]?1[\s　\-－—–.·_]{0,2}[3-9][\s　\-－—–.·_]{0,2}\d)(?:[\s　\-－—–.·_]{0,2}\d){4}((?:[\s　\-－—–.·_]{0,2}\d){4})(?!\d)', '\1****\2', 'g'),
        -- a number of a town
        '(?<![\d*])(0\d{2,3})[)）\s　\-－—–]{0,2}\d{3,4}[\s　\-－—–]?(\d{4})(?!\d)', '\1****\2', 'g'),
        -- a passport or permit
        '(?<![A-Za-z0-9])([EGDPHMCS][A-Za-z]?)\d{5,6}(\d{2})(?!\d)', '\1******\2', 'g'),
        '([A-Za-zＡ-Ｚａ-ｚ0-9._%+-])[A-Za-zＡ-Ｚａ-ｚ0-9._%+-]*\s?@\s?(?=[A-Za-zＡ-Ｚａ-ｚ0-9])', '\1***@', 'g'),
        '[零〇一二三四五六七八九幺]{7,}', '*******', 'g') end $$;

-- A title stands in every list: it is kept masked, the words as they came stand with the identity.
alter table complainant add column title text;
create function complaint_title() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
declare shown text := mask_text(new.title);
begin
    if shown <> new.title then
        insert into complainant (complaint_id, title) values (new.complaint_id, new.title)
        on conflict (complaint_id) do update set title = excluded.title;
        new.title := shown;
    end if;
    return new;
end $$;
create trigger complaint_title before insert or update of title on complaint for each row execute function complaint_title();
do $$ begin
    if exists (select from complaint where mask_text(title) <> title) then
        perform set_config('app.correction', 'masked', true), set_config('app.reason', 'titles are kept masked', true);
        update complaint set title = title where mask_text(title) <> title;
    end if;
end $$;
-- What did not land may hold an identity, and administrators read it.
create function quarantine_masked() returns trigger language plpgsql set search_path = desk, pg_temp as $$
begin
    new.value := case when new.field in ('complainant_name', 'complainant_phone', 'text', 'demand', 'reply_text', 'title') and new.value <> '' then '***'
                      else mask_text(new.value) end;
    return new;
end $$;
create trigger quarantine_masked before insert on quarantine for each row execute function quarantine_masked();

-- What a complaint says, as everybody reads it.
create function texts_of(id bigint) returns table (text text, demand text, reply text) language sql stable security definer set search_path = desk, pg_temp as $$
    select mask_text(x.text), mask_text(x.demand), mask_text(x.reply) from complaint_text x where x.complaint_id = id and may_see(id) $$;

-- The identity itself: for a reason, to those who answer people, with its trace in the same transaction. It writes, so a read-only door cannot ask.
create function reveal(id bigint, why text) returns table (name text, phone text, id_no text, email text, title text, text text, demand text)
language plpgsql volatile security definer set search_path = desk, pg_temp as $$
begin
    if not exists (select from app_user u where u.user_id = me() and holds(u) and u.role in ('supervisor', 'service', 'discipline')) then
        raise insufficient_privilege using message = 'identities are not shown to this role';
    end if;
    if length(btrim(coalesce(why, ''))) < 4 then
        raise check_violation using message = 'a reason is required', constraint = 'reveal_reason';
    end if;
    if not may_see(id) then
        return;
    end if;
    perform audit_add('reveal', id, jsonb_build_object('reason', left(mask_text(btrim(why)), 500)));
    return query select p.name, p.phone, p.id_no, p.email, coalesce(p.title, c.title), x.text, x.demand
                   from complaint c left join complainant p using (complaint_id) left join complaint_text x using (complaint_id) where c.complaint_id = id;
end $$;

-- Search runs as the owner: the same words as in 0002, by the rule above.
create or replace function find_words(words text[]) returns setof bigint rows 200 language plpgsql stable security definer set search_path = desk, pg_temp as $$
declare
    word text;
    shown text;          -- the word as a pattern
    sieve text;
    wide text;           -- … with full-width digits
    begins text;
    holds text;          -- how a column is asked: %1$s
    op text;
    about int[];
    now_at int[];
    found bigint[];
begin
    foreach word in array words loop
        word := translate(word, '０１２３４５６７８９＠', '0123456789@');
        shown := '%' || regexp_replace(word, '([\\%_])', '\\\1', 'g') || '%';
        sieve := regexp_replace(shown, '\*+', '%', 'g');
        begins := case when length(word) < 4 then substr(shown, 2) else shown end;
        wide := translate(sieve, '0123456789@', '０１２３４５６７８９＠');
        op := case when word ~ '[A-Za-z]' or lower(word) <> upper(word) then 'ilike' else 'like' end;       -- like is four times as fast
        holds := case when word !~ '[ -~[:digit:]①-⑨⓪⁰-₉零〇一二三四五六七八九幺Ａ-Ｚａ-ｚ＋－—–·　]' then format('%%1$s %s $1', op)
                      when wide = sieve then format('%%1$s %1$s $2 and mask_text(%%1$s) %1$s $1', op)
                      else format('(%%1$s %1$s $2 or %%1$s %1$s $7) and mask_text(%%1$s) %1$s $1', op) end;
        about := array(select u.unit_id from unit u where concat_ws(chr(1), u.name, u.short, u.name_en, u.short_en) ilike shown);
        now_at := about || array(select k.unit_id from unit_contact k where k.rank = 1 and k.name ilike shown);
        execute format($q$
            select array(
                select c.complaint_id from complaint c
                 where ($4 is null or c.complaint_id = any ($4))
                   and (c.unit_id = any ($5) or c.about_unit_id = any ($6) or c.complaint_no %1$s $3 or c.handler %1$s $1 or %2$s)
                union
                select t.complaint_id from complaint_text t
                 where ($4 is null or t.complaint_id = any ($4)) and (%3$s or %4$s))$q$,
            op, format(holds, 'c.title'), format(holds, 't.text'), format(holds, 't.demand'))
            into found using shown, sieve, begins, found, now_at, about, wide;
        exit when found = '{}';
    end loop;
    return query select visible(found);
end $$;

-- -- accounts: the same rule of when one counts
create or replace function sign_in_account(wanted text) returns table (user_id int, hash text)
language sql stable security definer set search_path = desk, pg_temp as $$
    select u.user_id, k.hash from app_user u join credential k using (user_id) where u.login = wanted and holds(u) and not u.builtin $$;
create or replace function demo_account(wanted text) returns table (user_id int)
language sql stable security definer set search_path = desk, pg_temp as $$
    select u.user_id from app_user u where u.login = wanted and u.demo and holds(u) $$;
create or replace function demo_accounts() returns table (login text, name text, role text)
language sql stable security definer set search_path = desk, pg_temp as $$
    select u.login, u.name, u.role from app_user u where u.demo and holds(u) order by u.user_id $$;
create or replace function session_begin(account int, new_token bytea, by_way text, from_address text, idle_for interval, lasts interval) returns bigint
language plpgsql security definer set search_path = desk, pg_temp as $$
declare id bigint;
begin
    perform from app_user u where u.user_id = account and holds(u) and not u.builtin and (by_way <> 'demo' or u.demo);
    if not found then
        raise exception 'no such account' using errcode = 'insufficient_privilege';
    end if;
    insert into session (token, user_id, how, address, idle, ends_at)
    values (new_token, account, by_way, from_address, idle_for, clock_timestamp() + lasts) returning session_id into id;
    delete from sign_in_failure f where f.user_id = account;
    insert into audit (user_id, act, params) values (account, 'sign_in', jsonb_build_object('how', by_way, 'address', from_address, 'session', id));
    return id;
end $$;
create or replace function session_find(of_token bytea) returns table (session_id bigint, login text, how text, user_id int)
language sql stable security definer set search_path = desk, pg_temp as $$
    select s.session_id, u.login, s.how, u.user_id from session s join app_user u using (user_id)
     where s.token = of_token and session_is_live(s) and holds(u) $$;
create or replace function link_find(of_token bytea) returns table (user_id int, login text, name text)
language sql stable security definer set search_path = desk, pg_temp as $$
    select u.user_id, u.login, u.name from set_up_link l join app_user u using (user_id)
     where l.token = of_token and l.used_at is null and clock_timestamp() < l.ends_at and holds(u) $$;
create or replace function link_use(of_token bytea, new_hash text) returns int
language plpgsql security definer set search_path = desk, pg_temp as $$
declare account int;
begin
    update set_up_link l set used_at = clock_timestamp() from app_user u
     where l.token = of_token and l.used_at is null and clock_timestamp() < l.ends_at and u.user_id = l.user_id and holds(u)
    returning l.user_id into account;
    if account is not null then
        perform password_set(account, new_hash, null);
    end if;
    return account;
end $$;

drop function account(text);
create function account(wanted text) returns table (user_id int, login text, name text, role text, sees_restricted boolean, scope int[], apart bigint[])
language sql stable security definer set search_path = desk, pg_temp as $$
    select u.user_id, u.login, u.name, u.role, u.sees_restricted,
           case when u.all_units then '{0}' else array(select s.unit_id from user_scope s where s.user_id = u.user_id order by 1) end,
           coalesce((select array_agg(c.complaint_id order by c.complaint_id) from complaint c
                      where c.person is not null and plain_name(c.person) = plain_name(u.name) and not u.builtin), '{}')
      from app_user u where u.login = wanted and holds(u) $$;
drop function session_account(bigint, text, boolean);
create function session_account(id bigint, of_login text, looks boolean)
returns table (user_id int, login text, name text, role text, sees_restricted boolean, scope int[], apart bigint[], how text)
language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    if looks then
        update session s set seen_at = clock_timestamp()
         where s.session_id = id and session_is_live(s) and s.seen_at < clock_timestamp() - interval '20 seconds';
    end if;
    return query select a.user_id, a.login, a.name, a.role, a.sees_restricted, a.scope, a.apart, s.how
                   from session s join app_user u using (user_id), account(u.login) a
                  where s.session_id = id and u.login = of_login and session_is_live(s);
end $$;

-- What policies ask once a statement does not keep the statement from running on several cores.
alter function setting(text) parallel safe;
alter function me() parallel safe;
alter function my_scope() parallel safe;
alter function my_lo() parallel safe;
alter function my_hi() parallel safe;
alter function one_range() parallel safe;
alter function sees_all() parallel safe;
alter function sees_restricted() parallel safe;
alter function about_me() parallel safe;
alter function none_about_me() parallel safe;
alter function holds(app_user) parallel safe;

-- -- regulators: no table of complaints is granted to them. Figures over whole months with small cells suppressed, and complaints released one by one.
create table released (
    complaint_id bigint primary key,
    released_at  timestamptz not null default clock_timestamp(),
    user_id      int,
    reason       text not null,
    withdrawn_at timestamptz
);
alter table released enable row level security;
alter table released force row level security;
create policy owner_all on released to desk_owner using (true) with check (true);
create policy in_scope on released for select to r_supervisor, r_leader using (exists (select from complaint c where c.complaint_id = released.complaint_id));
grant select on released to r_supervisor, r_leader;

create function release(id bigint, shown boolean, why text) returns boolean language plpgsql volatile security definer set search_path = desk, pg_temp as $$
declare changed boolean;
begin
    if not exists (select from app_user u where u.user_id = me() and holds(u) and u.role = 'supervisor') or not may_see(id) then
        raise insufficient_privilege using message = 'not released by this account';
    end if;
    if exists (select from complaint c where c.complaint_id = id and c.restricted) then
        raise check_violation using message = 'reports of financial crime are not released', constraint = 'release_restricted';
    end if;
    if length(btrim(coalesce(why, ''))) < 2 then
        raise check_violation using message = 'a reason is required', constraint = 'release_reason';
    end if;
    if shown then
        insert into released (complaint_id, user_id, reason) values (id, me(), mask_text(why))
        on conflict (complaint_id) do update set released_at = clock_timestamp(), user_id = excluded.user_id, reason = excluded.reason, withdrawn_at = null
         where released.withdrawn_at is not null;
    else
        update released set withdrawn_at = clock_timestamp() where complaint_id = id and withdrawn_at is null;
    end if;
    changed := found;
    if changed then
        insert into event (complaint_id, at, code, user_id, reason)
        values (id, clock_timestamp(), case when shown then 'released' else 'release_withdrawn' end, me(), mask_text(why));
        perform audit_add(case when shown then 'release' else 'release_withdrawn' end, id, jsonb_build_object('reason', mask_text(why)));
        perform nextval('change_seq');
    end if;
    return changed;
end $$;

-- Which numbers of a table are not shown. n: rows × columns, the last of each the total (one column: a plain list). Small: 1 to 4. Every hidden number
-- gets a partner in its row, one in its column and the fourth of that rectangle, so that it could be one more or one less and every total that is
-- shown would still hold (complementary suppression by rectangles; Cox 1980). `rest`, where given, is what a number is taken from (late of due):
-- a difference that is small is as telling as a number that is.
create function hide_small(n bigint[], rest bigint[], hidden boolean[]) returns boolean[] language plpgsql immutable set search_path = desk, pg_temp as $$
declare
    r int := array_length(n, 1); c int := array_length(n, 2);
    todo boolean[]; i int; j int; a int; b int; cost bigint; best bigint; best_a int; best_b int;
    free boolean[];      -- may be a partner: could itself be one more or less
begin
    todo := hidden;
    free := array_fill(false, array[r, c]);
    for i in 1..r loop for j in 1..c loop
        if n[i][j] between 1 and 4 or rest is not null and rest[i][j] between 1 and 4 then todo[i][j] := true; end if;
        free[i][j] := n[i][j] >= 2 and (rest is null or rest[i][j] >= 2);
    end loop; end loop;
    for i in 1..r loop for j in 1..c loop
        continue when not todo[i][j];
        hidden[i][j] := true;
        best := null;
        for a in 1..r loop
            continue when a = i or not free[a][j];
            if c = 1 then
                cost := case when hidden[a][j] then 0 else n[a][j] end;
                if best is null or cost < best then best := cost; best_a := a; best_b := j; end if;
                continue;
            end if;
            for b in 1..c loop
                continue when b = j or not free[i][b] or not free[a][b];
                cost := case when hidden[a][j] then 0 else n[a][j] end + case when hidden[i][b] then 0 else n[i][b] end
                      + case when hidden[a][b] then 0 else n[a][b] end;
                if best is null or cost < best then best := cost; best_a := a; best_b := b; end if;
            end loop;
        end loop;
        if best is null then       -- nothing fits: its row and its column are not shown at all
            for a in 1..r loop hidden[a][j] := true; end loop;
            for b in 1..c loop hidden[i][b] := true; end loop;
        else
            hidden[best_a][j] := true; hidden[i][best_b] := true; hidden[best_a][best_b] := true;
        end if;
    end loop; end loop;
    return hidden;
end $$;

-- Figures of whole past months: rows are units of one level (1 or 2) within the scope, columns one dimension (none, category, channel); 0 = total.
-- received by the unit complained about; due, kept and late by the accountable unit. null = not shown. Financial crime is not counted.
create function oversight(first_month date, months int, deep int, by_what text)
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
    cols := case by_what when 'category' then array(select k.category_id from category k where not k.restricted order by 1)
                         when 'channel' then array(select k.channel_id from channel k order by 1) else '{}' end;
    if lines is null then return; end if;
    r := cardinality(lines) + 1; c := cardinality(cols) + 1;
    got := array_fill(0::bigint, array[r, c]); owed := got; over := got;
    for cell in
        select g.unit_id as line, x.col, sum(x.got)::bigint as got, sum(x.owed)::bigint as owed, sum(x.over)::bigint as over
          from (select (s.about_label >> cut) << cut as place, case by_what when 'category' then s.category_id when 'channel' then s.channel_id end as col,
                       count(*) as got, 0 as owed, 0 as over
                  from state(t) s where s.clock = 'r' and not s.restricted and s.received_at >= starts and s.received_at < stops group by 1, 2
                union all
                select (s.charged_label >> cut) << cut, case by_what when 'category' then s.category_id when 'channel' then s.channel_id end,
                       0, count(*), count(*) filter (where s.state <> 'A')
                  from state(t) s where s.clock = 'r' and not s.restricted and s.due_at >= starts and s.due_at < stops and s.state in ('A', 'B', 'E')
                 group by 1, 2) x
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

-- The complaints that were released, within the regulator's scope: without the person complained about, the handler, or a unit below level 2.
create function released_to_me(number text default null)
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
         order by x.released_at desc, c.complaint_id desc limit 1000;
end $$;
create function released_text(number text) returns table (text text, demand text) language sql stable security definer set search_path = desk, pg_temp as $$
    select mask_text(x.text), mask_text(x.demand) from released_to_me(number) r
      join complaint c on c.complaint_no = r.complaint_no join released z using (complaint_id) left join complaint_text x using (complaint_id)
     where z.withdrawn_at is null $$;

do $$ declare f text; begin
    for f in select oid::regprocedure::text from pg_proc where pronamespace = 'desk'::regnamespace and has_function_privilege('public', oid, 'execute') loop
        execute format('revoke execute on function %s from public', f);
    end loop;
    execute 'grant execute on function ask_lo(), ask_hi(), ask_one(), holds(app_user), about_me(), none_about_me(), accepted_by_us(), rectified_by_us(), number_of_own(bigint), own_complaint(text), texts_of(bigint), visible(bigint[])
             to r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline';
    execute 'grant execute on function reveal(bigint, text) to r_supervisor, r_service, r_discipline';
    execute 'grant execute on function release(bigint, boolean, text) to r_supervisor';
    execute 'grant execute on function oversight(date, int, int, text), released_to_me(text), released_text(text) to r_regulator';
    execute 'grant execute on function account(text), session_account(bigint, text, boolean) to desk_app';
    execute 'grant execute on function ask_lo(), ask_hi(), ask_one() to r_auditor, r_admin, r_intake';
    -- a trigger and an index of complaint ask these for whoever writes a row
    execute 'grant execute on function mask_text(text), plain_name(text) to r_intake, r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline';
end $$;
