-- How a person proves who they are: passwords, sessions that can be ended, set-up links, what failed. No role is granted these tables.
-- The login desk_gate, of which the server's gate alone knows the password, may call the functions below and nothing else.

create table credential (
    user_id    int primary key references app_user,
    hash       text not null,                              -- argon2id, with its salt and cost
    changed_at timestamptz not null default clock_timestamp()
);
create table session (
    session_id bigint generated always as identity primary key,
    token      bytea not null unique,                      -- sha256 of what the browser holds
    user_id    int not null references app_user,
    how        text not null check (how in ('password', 'oidc', 'proxy', 'demo')),
    address    text,
    began_at   timestamptz not null default clock_timestamp(),
    seen_at    timestamptz not null default clock_timestamp(),
    idle       interval not null,
    ends_at    timestamptz not null,
    ended_at   timestamptz,
    ended_by   text
);
create index on session (user_id) where ended_at is null;
create table sign_in_failure (
    at         timestamptz not null default clock_timestamp(),
    user_id    int references app_user,                    -- null: no such account; what was typed is not kept, it may be a password
    address    text not null
);
create index on sign_in_failure (user_id, at);
create index on sign_in_failure (address, at);
create table set_up_link (
    token      bytea primary key,                          -- sha256 of what stands in the link
    user_id    int not null references app_user,
    ends_at    timestamptz not null,
    used_at    timestamptz
);

do $$ declare t text; begin
    foreach t in array array['credential', 'session', 'sign_in_failure', 'set_up_link'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy owner_all on %I to desk_owner using (true) with check (true)', t);
    end loop;
end $$;

create function session_is_live(s session) returns boolean language sql stable set search_path = desk, pg_temp as $$
    select s.ended_at is null and clock_timestamp() < least(s.ends_at, s.seen_at + s.idle) $$;

-- -- for the gate

create function sign_in_account(wanted text) returns table (user_id int, hash text)
language sql stable security definer set search_path = desk, pg_temp as $$
    select u.user_id, k.hash from app_user u join credential k using (user_id) where u.login = wanted and u.active and not u.builtin $$;

create function demo_account(wanted text) returns table (user_id int)
language sql stable security definer set search_path = desk, pg_temp as $$
    select u.user_id from app_user u where u.login = wanted and u.demo and u.active $$;

-- Five failures of an account or twenty of an address within five minutes: nobody is asked again until they have passed.
create function sign_in_blocked(wanted text, from_address text) returns boolean
language sql stable security definer set search_path = desk, pg_temp as $$
    select (select count(*) >= 5 from sign_in_failure f join app_user u using (user_id)
             where u.login = wanted and f.at > clock_timestamp() - interval '5 minutes')
        or (select count(*) >= 20 from sign_in_failure f where f.address = from_address and f.at > clock_timestamp() - interval '5 minutes') $$;

create function sign_in_failed(wanted text, from_address text) returns void
language sql security definer set search_path = desk, pg_temp as $$
    delete from sign_in_failure where at < clock_timestamp() - interval '1 day';
    insert into sign_in_failure (user_id, address) values ((select u.user_id from app_user u where u.login = wanted), from_address);
    insert into audit (user_id, act, params) values ((select u.user_id from app_user u where u.login = wanted), 'sign_in_failed',
                                                     jsonb_build_object('address', from_address)) $$;

create function session_begin(account int, new_token bytea, by_way text, from_address text, idle_for interval, lasts interval) returns bigint
language plpgsql security definer set search_path = desk, pg_temp as $$
declare id bigint;
begin
    perform from app_user u where u.user_id = account and u.active and not u.builtin and (by_way <> 'demo' or u.demo);
    if not found then
        raise exception 'no such account' using errcode = 'insufficient_privilege';
    end if;
    insert into session (token, user_id, how, address, idle, ends_at)
    values (new_token, account, by_way, from_address, idle_for, clock_timestamp() + lasts) returning session_id into id;
    delete from sign_in_failure f where f.user_id = account;
    insert into audit (user_id, act, params) values (account, 'sign_in', jsonb_build_object('how', by_way, 'address', from_address, 'session', id));
    return id;
end $$;

create function session_find(of_token bytea) returns table (session_id bigint, login text, how text, user_id int)
language sql stable security definer set search_path = desk, pg_temp as $$
    select s.session_id, u.login, s.how, u.user_id from session s join app_user u using (user_id)
     where s.token = of_token and session_is_live(s) and u.active $$;

create function session_end(of_token bytea, why text) returns void
language sql security definer set search_path = desk, pg_temp as $$
    with ended as (update session set ended_at = clock_timestamp(), ended_by = why where token = of_token and ended_at is null
                   returning session_id, user_id)
    insert into audit (user_id, act, params) select user_id, 'sign_out', jsonb_build_object('session', session_id, 'why', why) from ended $$;

-- A new password ends every other session of the account.
create function password_set(account int, new_hash text, kept bytea) returns void
language sql security definer set search_path = desk, pg_temp as $$
    insert into credential (user_id, hash) values (account, new_hash)
    on conflict (user_id) do update set hash = excluded.hash, changed_at = clock_timestamp();
    update session set ended_at = clock_timestamp(), ended_by = 'password' where user_id = account and ended_at is null and token is distinct from kept;
    delete from sign_in_failure f where f.user_id = account;
    insert into audit (user_id, act) values (account, 'password') $$;

create function password_rehash(account int, new_hash text) returns void          -- the same password under today's cost
language sql security definer set search_path = desk, pg_temp as $$ update credential set hash = new_hash where user_id = account $$;

create function link_find(of_token bytea) returns table (user_id int, login text, name text)
language sql stable security definer set search_path = desk, pg_temp as $$
    select u.user_id, u.login, u.name from set_up_link l join app_user u using (user_id)
     where l.token = of_token and l.used_at is null and clock_timestamp() < l.ends_at and u.active $$;
create function link_use(of_token bytea, new_hash text) returns int
language plpgsql security definer set search_path = desk, pg_temp as $$
declare account int;
begin
    update set_up_link l set used_at = clock_timestamp() from app_user u
     where l.token = of_token and l.used_at is null and clock_timestamp() < l.ends_at and u.user_id = l.user_id and u.active
    returning l.user_id into account;
    if account is not null then
        perform password_set(account, new_hash, null);
    end if;
    return account;
end $$;

-- -- for the application: the account behind a session, as it is at this moment. `looks`: the person did something, so the session is not idle.
create function session_account(id bigint, of_login text, looks boolean)
returns table (user_id int, login text, name text, role text, sees_restricted boolean, scope int[], how text)
language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    if looks then
        update session s set seen_at = clock_timestamp()
         where s.session_id = id and session_is_live(s) and s.seen_at < clock_timestamp() - interval '20 seconds';
    end if;
    return query select a.user_id, a.login, a.name, a.role, a.sees_restricted, a.scope, s.how
                   from session s join app_user u using (user_id), account(u.login) a
                  where s.session_id = id and u.login = of_login and session_is_live(s);
end $$;

do $$ declare f text; begin
    for f in select oid::regprocedure::text from pg_proc where pronamespace = 'desk'::regnamespace
                and proname in ('session_is_live', 'sign_in_account', 'demo_account', 'sign_in_blocked', 'sign_in_failed', 'session_begin', 'session_find',
                                'session_end', 'password_set', 'password_rehash', 'link_find', 'link_use', 'session_account') loop
        execute format('revoke execute on function %s from public', f);
    end loop;
    grant usage on schema desk to desk_gate;
    grant execute on function sign_in_account(text), demo_account(text), sign_in_blocked(text, text), sign_in_failed(text, text),
        session_begin(int, bytea, text, text, interval, interval), session_find(bytea), session_end(bytea, text), password_set(int, text, bytea),
        password_rehash(int, text),
        link_find(bytea), link_use(bytea, text), demo_accounts() to desk_gate;
    grant execute on function session_account(bigint, text, boolean) to desk_app;
end $$;
