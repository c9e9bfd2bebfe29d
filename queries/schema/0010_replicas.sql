-- Reads on standbys (queries/replicas.py): how far the primary was when this session wrote last. A standby that has not come so far
-- does not serve it. Only called where DATABASE_READ_URL is set.

alter table session add column wrote pg_lsn;

create function session_wrote(id bigint) returns void language sql security definer set search_path = desk, pg_temp as $$
    update session set wrote = pg_current_wal_insert_lsn() where session_id = id $$;

-- Bytes of WAL: written out by now (the next place to write at may lie behind the head of a page, where a standby never comes while
-- nothing is written), and when this session wrote last (0: never).
create function session_lsn(id bigint) returns table (now bigint, wrote bigint) language sql volatile security definer set search_path = desk, pg_temp as $$
    select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint,
           coalesce((select pg_wal_lsn_diff(s.wrote, '0/0')::bigint from session s where s.session_id = id), 0) $$;

revoke execute on function session_wrote(bigint), session_lsn(bigint) from public;
grant execute on function session_wrote(bigint), session_lsn(bigint) to desk_app;
