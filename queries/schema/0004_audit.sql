-- The audit as a chain: every row carries the hash of itself and of the one before, so that a changed, removed or reordered row is found
-- (queries/audit.py verifies it with its own arithmetic). Rows are chained when their transaction commits, under one lock, taken last.

alter table audit add column chain_no bigint, add column hash bytea;
create unique index audit_chain_no on audit (chain_no);
create index audit_unchained on audit (audit_id) where chain_no is null;
create index audit_at on audit (at);
create table audit_head (                                  -- where the chain ends: without it nobody would miss the newest rows
    one          boolean primary key default true check (one),
    chain_no     bigint not null,
    hash         bytea not null
);
alter table audit_head enable row level security;
alter table audit_head force row level security;
create policy owner_all on audit_head to desk_owner using (true) with check (true);
create policy read on audit_head for select to r_auditor using (true);
grant select on audit_head to r_auditor;
insert into audit_head (chain_no, hash) values (0, sha256('complaint desk'));

-- What is hashed: previous hash, then number, id, microseconds since 1970, account, act, complaint, parameters as PostgreSQL writes them.
create function audit_hash(before bytea, a audit) returns bytea language sql immutable as $$
    select sha256(before || convert_to(concat_ws('|', a.chain_no, a.audit_id, (extract(epoch from a.at) * 1000000)::bigint, coalesce(a.user_id::text, '-'), a.act,
                                                 coalesce(a.complaint_id::text, '-'), a.params::text), 'UTF8')) $$;

-- The rows of this transaction that are not chained yet: nobody else's can be seen here, they are chained before they can be.
create function audit_chain_up() returns void language plpgsql security definer set search_path = desk, pg_temp as $$
declare head audit_head; a audit;
begin
    perform pg_advisory_xact_lock(hashtext('desk.audit'));
    select * into head from audit_head;
    for a in select * from audit where chain_no is null order by audit_id loop
        head.chain_no := head.chain_no + 1;
        a.chain_no := head.chain_no;
        head.hash := audit_hash(head.hash, a);
        update audit set chain_no = head.chain_no, hash = head.hash where audit_id = a.audit_id;
    end loop;
    update audit_head set chain_no = head.chain_no, hash = head.hash;
end $$;
create function audit_committed() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    if exists (select from audit where audit_id = new.audit_id and chain_no is null) then     -- the first row of a transaction chains them all
        perform audit_chain_up();
    end if;
    return null;
end $$;

-- A row changes once, from unchained to chained, and is never deleted.
create function audit_is_kept() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and old.chain_no is null and to_jsonb(new) - 'chain_no' - 'hash' = to_jsonb(old) - 'chain_no' - 'hash' then
        return new;
    end if;
    raise exception 'the audit is kept: nothing in it is changed or deleted' using errcode = 'insufficient_privilege';
end $$;
drop trigger audit_kept on audit;
create trigger audit_kept before delete or truncate on audit execute function no_delete();
create trigger audit_fixed before update on audit for each row execute function audit_is_kept();
create trigger audit_head_kept before delete or truncate on audit_head execute function no_delete();
select audit_chain_up();
create constraint trigger audit_committed after insert on audit deferrable initially deferred for each row execute function audit_committed();

-- The auditor reads numbers of complaints, not complaints; and takes away lists as everybody does.
create function audit_number(id bigint) returns text language sql stable security definer set search_path = desk, pg_temp as $$
    select complaint_no from complaint where complaint_id = id $$;
create function audit_complaints(number text) returns setof bigint language sql stable security definer set search_path = desk, pg_temp as $$
    select complaint_id from complaint where complaint_no = number $$;
create function audit_people() returns table (user_id int, name text, login text) language sql stable security definer set search_path = desk, pg_temp as $$
    select u.user_id, u.name, u.login from app_user u where exists (select from audit a where a.user_id = u.user_id) order by u.name $$;
do $$ declare f text; begin
    foreach f in array array['audit_hash(bytea, audit)', 'audit_chain_up()', 'audit_committed()', 'audit_is_kept()', 'audit_number(bigint)', 'audit_complaints(text)', 'audit_people()'] loop
        execute format('revoke execute on function %s from public', f);
    end loop;
    grant execute on function audit_number(bigint), audit_complaints(text), audit_people(), exported(text, text, bigint) to r_auditor;
end $$;
create index audit_person on audit (user_id, at);
