-- Who an identity provider's people are here: matched on issuer and subject, never on a name or an address of mail. Nobody is made by signing in.

create table federated_identity (
    issuer     text not null,
    subject    text not null,
    user_id    int not null references app_user,
    linked_at  timestamptz not null default clock_timestamp(),
    primary key (issuer, subject)
);
create table sign_in_attempt (                             -- on the way to the provider and back: once, from the same browser, within ten minutes
    state      bytea primary key,                          -- sha256 of what goes to the provider
    browser    bytea not null,                             -- sha256 of the cookie
    nonce      text not null,
    verifier   text not null,
    next       text not null,
    ends_at    timestamptz not null
);
do $$ declare t text; begin
    foreach t in array array['federated_identity', 'sign_in_attempt'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy owner_all on %I to desk_owner using (true) with check (true)', t);
    end loop;
end $$;

create function attempt_begin(of_state bytea, of_browser bytea, with_nonce text, with_verifier text, to_page text) returns void
language sql security definer set search_path = desk, pg_temp as $$
    delete from sign_in_attempt where ends_at < clock_timestamp();
    insert into sign_in_attempt values (of_state, of_browser, with_nonce, with_verifier, to_page, clock_timestamp() + interval '10 minutes') $$;
create function attempt_take(of_state bytea, of_browser bytea) returns table (nonce text, verifier text, next text)
language sql security definer set search_path = desk, pg_temp as $$
    delete from sign_in_attempt a where a.state = of_state and a.browser = of_browser and a.ends_at > clock_timestamp() returning a.nonce, a.verifier, a.next $$;
create function federated_account(of_issuer text, of_subject text) returns table (user_id int)
language plpgsql stable security definer set search_path = desk, pg_temp as $$      -- plpgsql: holds() comes with 0007
begin
    return query select u.user_id from federated_identity f join app_user u using (user_id)
                  where f.issuer = of_issuer and f.subject = of_subject and holds(u) and not u.builtin;
end $$;
-- The account that a reverse proxy names, which has proved by a secret that it is the proxy.
create function proxy_account(wanted text) returns table (user_id int)
language plpgsql stable security definer set search_path = desk, pg_temp as $$
begin
    return query select u.user_id from app_user u where u.login = wanted and holds(u) and not u.builtin and not u.demo;
end $$;
-- Somebody came from a provider or a proxy and was not let in; what they are called there is not kept.
create function sign_in_refused(by_way text, because text, from_address text) returns void
language sql security definer set search_path = desk, pg_temp as $$
    insert into audit (act, params) values ('sign_in_failed', jsonb_build_object('how', by_way, 'why', because, 'address', from_address)) $$;
do $$ declare f text; begin
    foreach f in array array['attempt_begin(bytea, bytea, text, text, text)', 'attempt_take(bytea, bytea)', 'federated_account(text, text)', 'proxy_account(text)',
                             'sign_in_refused(text, text, text)'] loop
        execute format('revoke execute on function %s from public', f);
        execute format('grant execute on function %s to desk_gate', f);
    end loop;
end $$;
