-- Who may see and do what. Roles are created before this runs; they own nothing and are set per transaction.

create function my_scope() returns int8multirange language sql stable security definer set search_path = desk, pg_temp as $$
    select coalesce(range_agg(int8range(t.label, t.label_end, '[]')), '{}'::int8multirange)
      from app_user u join user_scope s using (user_id) join unit t using (unit_id) where u.user_id = me() and u.active $$;
create function sees_all() returns boolean language sql stable security definer set search_path = desk, pg_temp as $$
    select coalesce((select u.all_units from app_user u where u.user_id = me() and u.active), false) $$;
create function my_lo() returns bigint language sql stable security definer set search_path = desk, pg_temp as $$
    select case when sees_all() then 0 else coalesce(lower(my_scope()), 1) end $$;
create function my_hi() returns bigint language sql stable security definer set search_path = desk, pg_temp as $$
    select case when sees_all() then 9223372036854775807 else coalesce(upper(my_scope()) - 1, 0) end $$;      -- a range's upper end is outside it
create function one_range() returns boolean language sql stable security definer set search_path = desk, pg_temp as $$
    select sees_all() or (select count(*) = 1 from unnest(my_scope())) $$;
create function sees_restricted() returns boolean language sql stable security definer set search_path = desk, pg_temp as $$
    select coalesce((select u.sees_restricted or u.role = 'discipline' from app_user u where u.user_id = me() and u.active), false) $$;

create function audit_add(act text, complaint bigint, params jsonb) returns void language sql security definer set search_path = desk, pg_temp as $$
    insert into audit (user_id, act, complaint_id, params) values (me(), act, complaint, params) $$;

-- Identity found in text is masked: id numbers, phones, e-mail (full-width digits are folded first).
create function mask_text(t text) returns text language sql immutable as $$
    select regexp_replace(regexp_replace(regexp_replace(
        translate(t, '０１２３４５６７８９＠', '0123456789@'),
        '(\d{6})\d{8}(\d{3}[\dXx])', '\1********\2', 'g'),
        '(1[3-9]\d)[ -]?\d{4}[ -]?(\d{4})', '\1****\2', 'g'),
        '([A-Za-z0-9._%+-])[A-Za-z0-9._%+-]*@', '\1***@', 'g') $$;
create function may_see(id bigint) returns boolean language sql stable security definer set search_path = desk, pg_temp as $$
    select exists (select from clock_span s
                    where s.complaint_id = id and (not s.restricted or sees_restricted())
                      and (sees_all() or s.label <@ my_scope() or s.charged_label <@ my_scope() or s.about_label <@ my_scope())) $$;
create function complainant_masked(id bigint) returns table (name text, phone text) language sql stable security definer set search_path = desk, pg_temp as $$
    select left(p.name, 1) || '**', regexp_replace(p.phone, '^(.{3}).*(.{4})$', '\1****\2') from complainant p where p.complaint_id = id and may_see(id) $$;
-- Intake hands identities in and cannot read one: the table has no grant to anybody.
create function keep_persons(ids bigint[], names text[], phones text[]) returns void language sql security definer set search_path = desk, pg_temp as $$
    insert into complainant (complaint_id, name, phone) select * from unnest(ids, names, phones)
    on conflict (complaint_id) do update set name = excluded.name, phone = excluded.phone $$;

do $$
declare t text; viewers text := 'r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline, r_regulator, r_auditor, r_admin';
        r text;
begin
    execute format('grant usage on schema desk to %s, r_intake', viewers);
    -- every table: row security on, forced, and the owner's own policy (definer functions run as the owner)
    for t in select c.relname from pg_class c where c.relnamespace = 'desk'::regnamespace and c.relkind = 'r' and c.relname <> 'alembic_version' loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy owner_all on %I to desk_owner using (true) with check (true)', t);
    end loop;
    -- reference data: readable by all who may sign in
    foreach t in array array['unit', 'unit_contact', 'unit_parent', 'calendar', 'calendar_year', 'workday', 'category', 'channel', 'policy', 'policy_limit', 'source', 'tick'] loop
        execute format('grant select on %I to %s, r_intake', t, viewers);
        execute format('create policy read_all on %I for select to %s, r_intake using (true)', t, viewers);
    end loop;
    -- Spans: by place in the tree. Accounts that see every unit come as r_…_all, a member of r_whole: their policy is one look at the account,
    -- and the planner is free to take the index of the question. Financial crime is apart for all.
    execute format('grant select on clock_span, open_stretch to %s, r_intake', viewers);
    execute format($p$create policy in_scope on clock_span for select to %s using (
           (label between (select my_lo()) and (select my_hi()) and ((select one_range()) or label <@ (select my_scope())))
        or (charged_label between (select my_lo()) and (select my_hi()) and ((select one_range()) or charged_label <@ (select my_scope())))
        or (about_label between (select my_lo()) and (select my_hi()) and ((select one_range()) or about_label <@ (select my_scope()))))$p$, viewers);
    execute 'create policy whole on clock_span for select to r_whole using ((select sees_all()))';
    execute format('create policy not_restricted on clock_span as restrictive for select to %s using (not restricted or (select sees_restricted()))', viewers);
    -- a complaint is seen iff one of its stretches is
    execute format('grant select on complaint to %s', viewers);
    execute format('create policy in_scope on complaint for select to %s using (exists (select from clock_span s where s.complaint_id = complaint.complaint_id))', viewers);
    execute 'create policy whole on complaint for select to r_whole using ((select sees_all()))';
    execute format('create policy not_restricted on complaint as restrictive for select to %s using (not restricted or (select sees_restricted()))', viewers);
    foreach t in array array['event', 'hop', 'reply', 'call_back', 'urge', 'redo', 'withdrawal', 'delay', 'contest', 'directive', 'rectification', 'regulator_report'] loop
        execute format('grant select on %I to %s', t, viewers);
        execute format('create policy in_scope on %I for select to %s using (exists (select from complaint c where c.complaint_id = %1$I.complaint_id))', t, viewers);
    end loop;
    execute 'grant select on complaint_text to r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline';
    execute 'create policy in_scope on complaint_text for select to r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline
             using (exists (select from complaint c where c.complaint_id = complaint_text.complaint_id))';
    -- acts
    execute 'grant insert on urge to r_supervisor';
    execute 'create policy act on urge for insert to r_supervisor with check (exists (select from complaint c where c.complaint_id = urge.complaint_id))';
    execute 'grant update (unit_id, handler) on complaint to r_supervisor';
    execute 'create policy act on complaint for update to r_supervisor using (true) with check (true)';
    execute 'grant insert, select, update (result) on request to r_supervisor, r_unit';
    execute 'create policy own on request to r_supervisor, r_unit using (user_id = me()) with check (user_id = me())';
    execute 'grant insert on outbox to r_supervisor';
    execute 'create policy act on outbox for insert to r_supervisor with check (true)';
    execute 'grant update (acknowledged_at, answered_at, answer, promised_on) on urge to r_unit';
    execute 'create policy answer on urge for update to r_unit using (exists (select from clock_span s where s.complaint_id = urge.complaint_id))';
    -- data page, audit
    execute format('grant select on import_batch, quarantine to r_supervisor, r_leader, r_admin, r_auditor, r_intake');
    execute 'create policy read on import_batch for select to r_supervisor, r_leader, r_admin, r_auditor, r_intake using (true)';
    execute 'create policy read on quarantine for select to r_supervisor, r_leader, r_admin, r_auditor, r_intake using (true)';
    execute 'grant select on audit to r_auditor';
    execute 'create policy read on audit for select to r_auditor using (true)';
    -- intake: writes complaints and their acts, never reads an identity
    execute 'grant select, insert, update on complaint, complaint_text, hop, reply, call_back, redo, withdrawal, delay, contest, directive, rectification,
             regulator_report, urge, import_batch, source to r_intake';
    execute 'grant select, insert on event, quarantine, unit, unit_contact, category, channel, calendar, calendar_year, workday to r_intake';
    execute 'grant update on unit_contact, calendar_year, workday to r_intake';
    execute 'grant select on complaint_key to r_intake';
    foreach t in array array['complaint', 'complaint_text', 'hop', 'reply', 'call_back', 'redo', 'withdrawal', 'delay', 'contest', 'directive', 'rectification', 'regulator_report',
                             'urge', 'import_batch', 'source', 'event', 'quarantine', 'unit', 'unit_contact', 'category', 'channel', 'calendar', 'calendar_year', 'workday', 'complaint_key'] loop
        execute format('create policy intake on %I to r_intake using (true) with check (true)', t);
    end loop;
    execute 'create policy intake on clock_span for select to r_intake using (true)';
    execute format('revoke execute on all functions in schema desk from public');
    execute format('grant execute on all functions in schema desk to %s, r_intake', viewers);
    execute format('revoke execute on function keep_persons(bigint[], text[], text[]), respan(bigint[]), unit_move(int, int), recompute_provisional(int, date), audit_add(text, bigint, jsonb) from %s, r_intake', viewers);
    execute 'grant execute on function audit_add(text, bigint, jsonb) to r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline, r_auditor, r_admin, r_intake';
    execute 'grant execute on function recompute_provisional(int, date), unit_move(int, int) to r_admin, r_intake';
    execute 'grant execute on function keep_persons(bigint[], text[], text[]) to r_intake';
    execute 'revoke execute on function check_spans(bigint, bigint) from ' || viewers;
    execute 'grant execute on function check_spans(bigint, bigint) to r_supervisor, r_admin';
    execute 'grant usage on sequence change_seq to r_intake';
end $$;
-- Who am I: the one thing about accounts that a role may read.
create view viewer with (security_barrier = true) as
    select user_id, login, name, role, sees_restricted, demo from app_user where user_id = me() and active;
grant select on viewer to r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline, r_regulator, r_auditor, r_admin, r_intake;
-- The account behind a login, for the application's gate alone; and the demo's accounts for its role chooser.
create function account(wanted text) returns table (user_id int, login text, name text, role text, sees_restricted boolean, scope int[])
language sql stable security definer set search_path = desk, pg_temp as $$
    select u.user_id, u.login, u.name, u.role, u.sees_restricted,
           case when u.all_units then '{0}' else array(select s.unit_id from user_scope s where s.user_id = u.user_id order by 1) end
      from app_user u where u.login = wanted and u.active $$;
create function demo_accounts() returns table (login text, name text, role text)
language sql stable security definer set search_path = desk, pg_temp as $$
    select u.login, u.name, u.role from app_user u where u.demo and u.active order by u.user_id $$;
revoke execute on function account(text), demo_accounts() from public;
grant usage on schema desk to desk_app;
grant execute on function account(text), demo_accounts() to desk_app;
-- Names of accounts on a timeline; nothing else of an account is shown to others.
create function who_is(id int) returns text language sql stable security definer set search_path = desk, pg_temp as $$
    select name from app_user where user_id = id $$;
do $$ begin
    execute 'revoke execute on function who_is(int) from public';
    execute 'grant execute on function who_is(int) to r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline, r_regulator, r_auditor, r_admin';
end $$;
