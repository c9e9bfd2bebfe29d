-- Rules that hold whoever writes: end of the clock, exclusions, history, version, spans, keys.

create function setting(name text) returns text language sql stable as $$ select nullif(current_setting('app.' || name, true), '') $$;
create function me() returns int language sql stable as $$ select setting('user_id')::int $$;

-- End of the reply clock (product.md §3): customer and source unit both have the reply; comment book and own receipts: the customer;
-- anonymous: the source unit if any, else verified and filed. A source that knows only closed_at: that is the end.
create function reply_end(rule text, c complaint, anonymous boolean) returns timestamptz language sql immutable as $$
    select case
        when rule = 'closed' then coalesce(c.closed_at, greatest(c.customer_replied_at, c.office_replied_at))
        when c.customer_replied_at is null and c.office_replied_at is null then coalesce(case when anonymous then c.filed_at end, c.closed_at)
        when anonymous and c.source_unit_id is not null then c.office_replied_at
        when anonymous then coalesce(c.filed_at, c.closed_at, c.customer_replied_at)
        when rule = 'customer' or c.source_unit_id is null then c.customer_replied_at
        when c.customer_replied_at is not null and c.office_replied_at is not null then greatest(c.customer_replied_at, c.office_replied_at)
    end $$;

create function complaint_before() returns trigger language plpgsql set search_path = desk, pg_temp as $$
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
    new.restricted := k.restricted or (tg_op = 'UPDATE' and old.restricted);
    new.ended_at := reply_end(p.end_rule, new, new.anonymous or k.anonymous);
    new.major := new.major or coalesce(new.amount > p.major_amount, false);
    if new.amount > p.major_amount and not 'amount' = any (new.major_reasons) then
        new.major_reasons := new.major_reasons || 'amount'::text;
    end if;
    -- The handler may not be the person complained about (article 11).
    if new.handler is not null and new.person is not null and btrim(new.handler) = btrim(new.person)
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
create trigger complaint_before before insert or update on complaint for each row execute function complaint_before();

-- Store what span_of() says. Nothing else writes clock_span.
create function respan(ids bigint[]) returns void language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    if cardinality(ids) = 0 then return; end if;
    delete from clock_span where complaint_id = any (ids);       -- of new complaints: nothing, at the cost of one look each
    insert into clock_span (complaint_id, clock, seq, valid_from, valid_to, entry, unit_id, label, charged_unit_id, charged_label, about_unit_id, about_label,
            category_id, channel_id, received_at, started_at, started_ord, target_at, due_at, due_ord, due_from, limit_id, provisional, first_category_id,
            first_target_at, first_due_at, ended_at, ended_ord, excluded_at, source_id, calendar_id, restricted)
    select complaint_id, clock, seq, valid_from, valid_to, entry, unit_id, label, charged_unit_id, charged_label, about_unit_id, about_label,
            category_id, channel_id, received_at, started_at, started_ord, target_at, due_at, due_ord, due_from, limit_id, provisional, first_category_id,
            first_target_at, first_due_at, ended_at, ended_ord, excluded_at, source_id, calendar_id, restricted
      from span_of(ids);
    perform nextval('change_seq');
end $$;

create function complaint_added() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    insert into complaint_key (source_id, complaint_no, complaint_id) select source_id, complaint_no, complaint_id from fresh;
    insert into event (complaint_id, at, code, user_id, unit_to, category_to, params)
    select complaint_id, received_at, 'received', me(), first_unit_id, first_category_id,
           case when batch_id is null then '{}'::jsonb else jsonb_build_object('batch', batch_id) end from fresh;
    perform respan(array(select complaint_id from fresh));
    return null;
end $$;
create trigger complaint_added after insert on complaint referencing new table as fresh for each statement execute function complaint_added();

-- Every change leaves an event: who, when, from, to, reason. app.act names the act, app.at the moment it happened (default: now),
-- app.correction: the file corrects what was said before, nothing new happened.
create function complaint_changed() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
declare happened timestamptz := coalesce(setting('at')::timestamptz, clock_timestamp());
        act text := setting('act'); why text := setting('reason');
begin
    if exists (select from fresh n join old_rows o using (complaint_id)
                where n.received_at <> o.received_at or n.source_id <> o.source_id or n.complaint_no <> o.complaint_no)
       and setting('correction') is null then
        raise exception 'receipt and number of a complaint are changed by a correction only' using errcode = 'check_violation';
    end if;
    insert into event (complaint_id, at, code, clock, user_id, unit_from, unit_to, category_from, category_to, was_at, keeps_limit, reason, params)
    select n.complaint_id, x.at, x.code, case when o.ended_at <= happened and x.code in ('moved', 'hop_sent', 'reassigned') then 'o' else 'r' end,
           me(), x.unit_from, x.unit_to, x.category_from, x.category_to, x.was_at, coalesce(x.keeps, false), why, x.params
      from fresh n
      join old_rows o using (complaint_id)
      left join lateral (select s.due_at from clock_span s where s.complaint_id = n.complaint_id and s.clock = 'r' order by s.seq desc limit 1) s on true
     cross join lateral (values
            (n.unit_id <> o.unit_id, happened, coalesce(act, 'moved'), o.unit_id, n.unit_id, null, null, null, null,
                jsonb_strip_nulls(jsonb_build_object('handler', n.handler))),
            (n.unit_id = o.unit_id and n.handler is distinct from o.handler, happened, 'handler_changed', null, null, null, null, null, null,
                jsonb_strip_nulls(jsonb_build_object('from', o.handler, 'to', n.handler))),
            (n.category_id <> o.category_id, happened, 'recategorised', null, null, o.category_id, n.category_id, null, happened > s.due_at, '{}'),
            (n.dispatched_at is not null and o.dispatched_at is null, n.dispatched_at, 'dispatched', null, null, null, null, null, null, '{}'),
            (n.read_at is not null and o.read_at is null, n.read_at, 'read', null, null, null, null, null, null, '{}'),
            (n.customer_replied_at is not null and o.customer_replied_at is null, n.customer_replied_at, 'replied_customer', null, null, null, null, null, null, '{}'),
            (n.office_replied_at is not null and o.office_replied_at is null, n.office_replied_at, 'replied_office', null, null, null, null, null, null, '{}'),
            (n.ended_at is not null and o.ended_at is null, n.ended_at, 'done', null, null, null, null, null, null, '{}'),
            (n.ended_at is null and o.ended_at is not null, happened, 'returned', null, n.unit_id, null, null, o.ended_at, null, '{}'),
            (n.filed_at is not null and o.filed_at is null, n.filed_at, 'filed', null, null, null, null, null, null, '{}'),
            (n.excluded_at is not null and o.excluded_at is null, n.excluded_at, 'excluded', null, null, null, null, null, null,
                jsonb_build_object('why', n.exclusion)),
            (n.excluded_at is null and o.excluded_at is not null, happened, 'restored', null, null, null, null, o.excluded_at, null, '{}')
          ) x (is_so, at, code, unit_from, unit_to, category_from, category_to, was_at, keeps, params)
     where x.is_so and setting('correction') is null;
    if setting('correction') is not null then
        insert into event (complaint_id, at, code, user_id, reason, params)
        select n.complaint_id, clock_timestamp(), 'corrected', me(), why,
               jsonb_strip_nulls(jsonb_build_object('batch', n.batch_id, 'fields', (select jsonb_object_agg(a.key, jsonb_build_array(b.value, a.value))
                   from jsonb_each(to_jsonb(n)) a join jsonb_each(to_jsonb(o)) b using (key)
                  where a.value <> b.value and a.key not in ('version', 'changed_at', 'batch_id', 'digest'))))
          from fresh n join old_rows o using (complaint_id);
    end if;
    perform respan(array(select complaint_id from fresh));
    return null;
end $$;
create trigger complaint_changed after update on complaint referencing new table as fresh old table as old_rows
    for each statement execute function complaint_changed();
create function no_delete() returns trigger language plpgsql as $$
begin raise exception '% is kept: nothing is deleted here', tg_table_name using errcode = 'insufficient_privilege'; end $$;
create trigger complaint_kept before delete or truncate on complaint execute function no_delete();
create trigger event_kept before delete or truncate or update on event execute function no_delete();
create trigger audit_kept before delete or truncate or update on audit execute function no_delete();

-- History written directly (imports, demo): cutting events rebuild the spans. Inside complaint_changed() its own respan follows.
-- A limit moves only by what the pack's policy names (params.by: extension, pause), an extension only while the limit has not passed.
create function event_added() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    if exists (select from fresh e join complaint c using (complaint_id) join policy p using (policy_id)
                where e.code = 'limit_moved' and coalesce(e.params ->> 'by', 'extension') <> all (p.moves)) then
        raise exception 'the policy lets nothing of this kind move a limit' using errcode = 'check_violation', constraint = 'limit_may_not_move';
    end if;
    if exists (select from fresh e
                 join clock_span s on s.complaint_id = e.complaint_id and s.clock = e.clock and s.valid_from <= e.at and e.at < s.valid_to
                where e.code = 'limit_moved' and e.at > s.due_at) then
        raise exception 'the limit has passed: it moves no more' using errcode = 'check_violation', constraint = 'limit_has_passed';
    end if;
    if pg_trigger_depth() = 1 then
        perform respan(array(select distinct complaint_id from fresh where cut or voids is not null));
    end if;
    return null;
end $$;
create trigger event_added after insert on event referencing new table as fresh for each statement execute function event_added();

-- Child rows that move a clock, and the event each leaves in the history.
create function child_changed() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    case tg_table_name
    when 'redo' then
        insert into event (complaint_id, at, code, clock, user_id, reason)
        select n.complaint_id, n.started_at, 'reopened', 'o', me(), n.reason from fresh n where tg_op = 'INSERT'
        union all select n.complaint_id, n.ended_at, 'redone', 'o', me(), null from fresh n where n.ended_at is not null;
    when 'withdrawal' then
        insert into event (complaint_id, at, code, user_id, reason, params)
        select n.complaint_id, n.requested_at, 'withdrawal_requested', me(), n.reason, '{}'::jsonb from fresh n where tg_op = 'INSERT'
        union all select n.complaint_id, n.verified_at, 'withdrawal_verified', me(), null, jsonb_build_object('result', n.result, 'late', n.late)
                    from fresh n where n.verified_at is not null;
    when 'call_back' then
        insert into event (complaint_id, at, code, user_id, params)
        select n.complaint_id, n.at, 'called_back', coalesce(n.user_id, me()), jsonb_strip_nulls(jsonb_build_object('by', n.by_whom, 'outcome', n.outcome, 'score', n.score))
          from fresh n;
    when 'reply' then
        insert into event (complaint_id, at, code, user_id, params)
        select n.complaint_id, n.at, 'reply_written', me(), jsonb_build_object('complete', n.complete) from fresh n where tg_op = 'INSERT';
    when 'delay' then
        insert into event (complaint_id, at, code, user_id, reason)
        select n.complaint_id, n.reported_at, 'delay_reported', me(), n.reason from fresh n where tg_op = 'INSERT';
        insert into event (complaint_id, at, code, user_id, due_to, reason, params)      -- an approved extension moves the limit, once
        select n.complaint_id, n.approved_at, 'limit_moved', me(), n.due_to, n.reason, jsonb_build_object('by', 'extension', 'delay', n.delay_no)
          from fresh n
         where n.kind = 'extension' and n.approved_at is not null and n.due_to is not null
           and not exists (select from event e where e.complaint_id = n.complaint_id and e.code = 'limit_moved' and e.params ->> 'delay' = n.delay_no::text);
    when 'directive' then
        insert into event (complaint_id, at, code, user_id, params)
        select n.complaint_id, n.at, 'directive', me(), jsonb_build_object('leader', n.leader) from fresh n where tg_op = 'INSERT';
    when 'hop' then
        insert into event (complaint_id, at, code, user_id, unit_to)
        select n.complaint_id, n.signed_at, 'signed', me(), n.unit_id from fresh n where n.signed_at is not null;
    else null;
    end case;
    if tg_table_name in ('redo', 'withdrawal', 'call_back', 'delay') then
        perform respan(array(select distinct complaint_id from fresh));
    else
        perform nextval('change_seq');
    end if;
    return null;
end $$;
do $$ declare t text; begin
    foreach t in array array['redo', 'withdrawal', 'call_back', 'reply', 'delay', 'directive', 'hop'] loop
        execute format('create trigger %s_added after insert on %1$s referencing new table as fresh for each statement execute function child_changed()', t);
        execute format('create trigger %s_changed after update on %1$s referencing new table as fresh for each statement execute function child_changed()', t);
    end loop;
end $$;

-- A withdrawal counts only if requested before the limit and verified voluntary; then from the day it was requested.
create function withdrawal_before() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
declare due timestamptz;
begin
    if new.result is not null and new.verified_at is null then new.verified_at := clock_timestamp(); end if;
    if new.result is not null and (tg_op = 'INSERT' or old.result is null) then
        select s.due_at into due from clock_span s where s.complaint_id = new.complaint_id and s.clock = 'r'
               and s.valid_from <= new.requested_at order by s.seq desc limit 1;
        new.late := coalesce(new.requested_at > due, false);
        if new.result = 'voluntary' then
            update complaint set excluded_at = new.requested_at, exclusion = 'withdrawn'
             where complaint_id = new.complaint_id and excluded_at is null and (ended_at is null or ended_at > new.requested_at);
        end if;
    end if;
    return new;
end $$;
create trigger withdrawal_before before insert or update on withdrawal for each row execute function withdrawal_before();

-- The working day of an act, by the database clock: urges are at most one a complaint, level and working day.
create function work_day_of(t timestamptz, cal int) returns date language sql stable as $$
    select w2.day from calendar c
      join workday w on w.calendar_id = c.calendar_id and w.day = (t at time zone c.tz)::date
      join workday w2 on w2.calendar_id = c.calendar_id and w2.working and w2.ordinal = greatest(w.ordinal, 1)
     where c.calendar_id = cal $$;

create function urge_before() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
declare c complaint;
begin
    select * into c from complaint where complaint_id = new.complaint_id;
    if tg_op = 'INSERT' then
        new.work_day := coalesce(new.work_day, work_day_of(new.sent_at, c.calendar_id));
        select l.due_at into new.ack_due_at from limit_at(c.policy_id, 'u', c.category_id, null, c.channel_id, new.sent_at, c.calendar_id, null) l;
        select l.due_at into new.answer_due_at from limit_at(c.policy_id, 'a', c.category_id, null, c.channel_id, new.sent_at, c.calendar_id, null) l;
    end if;
    return new;
end $$;
create trigger urge_before before insert on urge for each row execute function urge_before();
create function urge_changed() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    if tg_op = 'INSERT' then
        insert into event (complaint_id, at, code, user_id, unit_to, reason, params)
        select n.complaint_id, n.sent_at, 'urged', coalesce(n.user_id, me()), n.unit_id, n.note,
               jsonb_strip_nulls(jsonb_build_object('urge', n.urge_id, 'level', n.level, 'contact', n.contact, 'via', n.via, 'spoke_to', n.spoke_to,
                                                    'promised', n.promised_on, 'letter', n.letter_no)) from fresh n;
    end if;
    insert into event (complaint_id, at, code, user_id, unit_to, params)
    select n.complaint_id, n.acknowledged_at, 'urge_acknowledged', me(), n.unit_id, jsonb_build_object('urge', n.urge_id)
      from fresh n where n.acknowledged_at is not null
       and not exists (select from event e where e.complaint_id = n.complaint_id and e.code = 'urge_acknowledged' and e.params ->> 'urge' = n.urge_id::text);
    perform nextval('change_seq');
    return null;
end $$;
create trigger urge_added after insert on urge referencing new table as fresh for each statement execute function urge_changed();
create trigger urge_changed after update on urge referencing new table as fresh for each statement execute function urge_changed();

-- A unit moves in the tree: its subtree is relabelled, nothing else.
create function unit_move(moved int, new_parent int) returns void language plpgsql security definer set search_path = desk, pg_temp as $$
declare r record;
begin
    perform pg_advisory_xact_lock(hashtext('desk.tree'));
    if exists (select from unit a join unit b on b.unit_id = new_parent where a.unit_id = moved and b.label between a.label and a.label_end) then
        raise exception 'a unit cannot stand below itself' using errcode = 'check_violation';
    end if;
    insert into unit_parent (unit_id, parent_id) select unit_id, parent_id from unit where unit_id = moved;
    update unit set parent_id = new_parent where unit_id = moved;
    create temporary table if not exists moving (unit_id int, depth int) on commit drop;
    delete from moving;
    insert into moving with recursive below as (
        select moved as unit_id, 0 as depth union all select u.unit_id, b.depth + 1 from unit u join below b on u.parent_id = b.unit_id)
    select * from below;
    for r in select m.unit_id, u.parent_id from moving m join unit u using (unit_id) order by m.depth, u.label loop
        update unit u set level = coalesce(p.level + 1, 0), label = q.label, label_end = q.label + unit_width(coalesce(p.level + 1, 0)) - 1
          from (select 1) one
          left join unit p on p.unit_id = r.parent_id
         cross join lateral (select coalesce((select max(s.label) from unit s where s.parent_id is not distinct from r.parent_id and s.unit_id <> r.unit_id
                                                 and s.level = coalesce(p.level + 1, 0)), p.label, 0) + unit_width(coalesce(p.level + 1, 0)) as label) q
         where u.unit_id = r.unit_id;
    end loop;
    update clock_span s set label = u.label from unit u where u.unit_id = s.unit_id and s.label <> u.label and u.unit_id in (select unit_id from moving);
    update clock_span s set charged_label = u.label from unit u where u.unit_id = s.charged_unit_id and s.charged_label <> u.label and u.unit_id in (select unit_id from moving);
    update clock_span s set about_label = u.label from unit u where u.unit_id = s.about_unit_id and s.about_label <> u.label and u.unit_id in (select unit_id from moving);
    perform nextval('change_seq');
end $$;

-- A year of the calendar was loaded: computed again are provisional limits and whatever stands on a day from `since` on, the first
-- whose ordinal or kind changed. A limit before that day rests on days before it. Returns how many complaints.
create function recompute_provisional(cal int, since date default 'infinity') returns bigint
language plpgsql security definer set search_path = desk, pg_temp as $$
declare ids bigint[]; done bigint := 0; moment timestamptz;
begin
    select case when isfinite(since) then since::timestamp at time zone c.tz else 'infinity' end into moment from calendar c where c.calendar_id = cal;
    for ids in select array_agg(complaint_id) from (select complaint_id, row_number() over (order by complaint_id) / 5000 as part
                 from (select distinct complaint_id from clock_span where calendar_id = cal
                          and (provisional or started_at >= moment or ended_at >= moment
                               or (due_at >= moment and due_at < 'infinity') or (first_due_at >= moment and first_due_at < 'infinity'))) s) x
               group by part loop
        perform respan(ids);
        done := done + cardinality(ids);
    end loop;
    return done;
end $$;

-- Rebuild from the raw rows and compare: the complaints whose stored spans differ. Nothing = true.
create function check_spans(from_id bigint default 0, to_id bigint default 9223372036854775807) returns setof bigint
language plpgsql security definer set search_path = desk, pg_temp as $$
declare ids bigint[];
begin
    for ids in select array_agg(complaint_id) from (select complaint_id, row_number() over (order by complaint_id) / 5000 as part from complaint
                where complaint_id between from_id and to_id) x group by part loop
        return query
        select distinct q.complaint_id from (
            (select to_jsonb(s) - 'left_at' as j, s.complaint_id from span_of(ids) s
             except all select to_jsonb(s) - 'left_at', s.complaint_id from clock_span s where s.complaint_id = any (ids))
            union all
            (select to_jsonb(s) - 'left_at', s.complaint_id from clock_span s where s.complaint_id = any (ids)
             except all select to_jsonb(s) - 'left_at', s.complaint_id from span_of(ids) s)) q;
    end loop;
end $$;

-- The tick. At most once a second when data changed, at least once a minute; `covers` after a write: one that covers that moment.
create function tick_now(covers timestamptz default null) returns table (version bigint, as_of timestamptz)
language plpgsql security definer set search_path = desk, pg_temp as $$
declare last tick; changes bigint; snap pg_snapshot; quiet boolean;
begin
    select * into last from tick t order by t.version desc limit 1;
    select last_value into changes from change_seq;
    snap := pg_current_snapshot();
    quiet := pg_snapshot_xmin(snap) = pg_snapshot_xmax(snap);
    if last.version is null or (covers is not null and last.as_of < covers)
       or (clock_timestamp() - last.as_of >= interval '1 second' and (last.changes <> changes or not last.settled))
       or clock_timestamp() - last.as_of >= interval '60 seconds' then
        if covers is not null or last.version is null then perform pg_advisory_xact_lock(hashtext('desk.tick'));
        elsif not pg_try_advisory_xact_lock(hashtext('desk.tick')) then
            return query select last.version, last.as_of; return;
        end if;
        select * into last from tick t order by t.version desc limit 1;      -- somebody may have been faster
        insert into tick values (coalesce(last.version, 0) + 1, greatest(clock_timestamp(), last.as_of + interval '1 microsecond', covers), changes, quiet)
            returning * into last;
        delete from tick t where t.version < last.version - 1000;
    end if;
    return query select last.version, last.as_of;
end $$;

-- The unit that a source names, by code or name where exactly one has it; else it is created below "unmapped" of this source.
create function unit_for(src smallint, path text[]) returns table (unit_id int, added int)
language plpgsql security definer set search_path = desk, pg_temp as $$
declare root int; here int; next_one int; part text; made int := 0; n int;
begin
    perform pg_advisory_xact_lock(hashtext('desk.tree'));
    if cardinality(path) > 0 then
        select min(u.unit_id), count(*) into here, n from unit u
         where u.source_id is null and path[cardinality(path)] in (u.code, u.name)
           and (cardinality(path) = 1 or exists (select from unit p where p.unit_id = u.parent_id and path[cardinality(path) - 1] in (p.code, p.name)));
        if n = 1 then return query select here, 0; return; end if;
    end if;
    select u.unit_id into root from unit u where u.source_id = src and u.parent_id is null;
    if root is null then
        insert into unit (kind, name, name_en, source_id) select 'unmapped', '未对应（' || s.name || '）', 'Unmapped (' || s.name || ')', src
          from source s where s.source_id = src returning unit.unit_id into root;
    end if;
    here := root;
    foreach part in array path loop
        select u.unit_id into next_one from unit u where u.parent_id = here and u.name = part;
        if next_one is null then
            insert into unit (parent_id, kind, name, name_en, source_id) values (here, 'unmapped', part, part, src) returning unit.unit_id into next_one;
            made := made + 1;
        end if;
        here := next_one;
    end loop;
    return query select here, made;
end $$;
