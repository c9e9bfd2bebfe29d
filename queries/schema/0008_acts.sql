-- What each role may do to a complaint (product.md §6, §7). Every act is a function; the tables behind it are granted to no reader. One rule, possible(),
-- says what the account that asks may do to this complaint now: the page offers it, and the act refuses what is not in it. The act writes its event, its
-- audit row (codes, never a text) and its message in the same transaction.

alter table directive add column answer text;              -- answered_at stands there already
alter table rectification add column feedback text;        -- done_at stands there already
alter table outbox add column user_id int references app_user;      -- to an account, where no unit may know

-- -- who may do what

create function acts_of(role text) returns text[] language sql immutable as $$
    select case role when 'supervisor' then '{decide,withdrawal,directive_answer,call_back,send_back,mark,unmark,note}'::text[]
                     when 'unit' then '{sign,answer,directive_answer,delay,contest}'
                     when 'leader' then '{directive}'
                     when 'service' then '{dispatch,withdrawal}'
                     when 'department' then '{rectify}'
                     when 'discipline' then '{handle,note}'
                     else '{}' end $$;

create function ours(unit int) returns boolean language sql stable security definer set search_path = desk, pg_temp as $$
    select sees_all() or exists (select from unit u where u.unit_id = unit and u.label <@ my_scope()) $$;
-- Who verifies a withdrawal: the unit that accepted the complaint, never the one complained about. What a service centre accepted is the service
-- centre's; the rest, and what a unit accepted about itself, is the office's.
create function verifies(role text, accepted int, about int) returns boolean language sql stable security definer set search_path = desk, pg_temp as $$
    select case role
        when 'service' then ours(accepted) and not exists (select from unit u where u.unit_id = about and u.label <@ my_scope())
        when 'supervisor' then accepted = about or not exists (
             select from unit a join app_user u on u.role = 'service' and holds(u) join user_scope s using (user_id) join unit t on t.unit_id = s.unit_id
              where a.unit_id = accepted and a.label between t.label and t.label_end
                and not exists (select from unit b where b.unit_id = about and b.label between t.label and t.label_end))
        else false end $$;

-- What this account may do to this complaint now, and with which row (urge, contest, withdrawal, directive, rectification; 0 = the complaint itself).
create function possible(id bigint) returns table (act text, no bigint) rows 10 language plpgsql stable security definer set search_path = desk, pg_temp as $$
declare
    u app_user; c complaint;
    live boolean; limited boolean; asked boolean; nameless boolean;
begin
    select * into u from app_user a where a.user_id = me() and holds(a);
    if not found or not may_see(id) then return; end if;
    select * into c from complaint x where x.complaint_id = id;
    live := c.excluded_at is null and (c.ended_at is null or exists (select from redo r where r.complaint_id = id and r.ended_at is null));
    asked := exists (select from contest r where r.complaint_id = id and r.decided_at is null);

    if u.role = 'unit' then
        if not ours(c.unit_id) then return; end if;        -- whose it was, or is only about, does nothing
        limited := exists (select from clock_span s where s.complaint_id = id and s.clock = 'r' and s.due_at is not null);
        return query
            select a.act, g.urge_id from (select * from urge x where x.complaint_id = id and x.via = 'message' order by x.sent_at desc, x.urge_id desc limit 1) g
             cross join lateral (values ('sign', g.acknowledged_at is null), ('answer', g.answered_at is null)) a (act, so)
             where live and a.so and ours(g.unit_id);
        return query select 'delay', 0::bigint where live and limited;
        return query select 'contest', 0::bigint where limited and not asked and c.excluded_at is null;
    end if;
    if u.role in ('unit', 'supervisor') then
        return query select 'directive_answer', d.directive_no::bigint from directive d where d.complaint_id = id and d.answered_at is null order by d.directive_no limit 1;
    end if;
    if u.role in ('supervisor', 'service') then
        return query select 'withdrawal', w.withdrawal_no::bigint from withdrawal w
                      where w.complaint_id = id and w.result is null and verifies(u.role, coalesce(w.by_unit_id, c.accepting_unit_id), c.about_unit_id)
                      order by w.withdrawal_no limit 1;
    end if;
    if u.role = 'supervisor' then
        select c.anonymous or k.anonymous into nameless from category k where k.category_id = c.category_id;
        return query select 'decide', r.contest_no::bigint from contest r where r.complaint_id = id and r.decided_at is null order by r.contest_no limit 1;
        return query select 'call_back', 0::bigint where c.ended_at is not null and c.excluded_at is null and not nameless
                        and (select count(*) < 3 and not coalesce(bool_or(b.outcome in ('answered', 'refused')), false) from call_back b
                              where b.complaint_id = id and b.by_whom = 'office' and b.at >= c.ended_at)
                        and (select coalesce(max(b.call_no), 0) < 9 from call_back b where b.complaint_id = id);
        return query select 'send_back', 0::bigint where c.ended_at is not null and not live and c.excluded_at is null;
        return query select case when marked(id) then 'unmark' else 'mark' end, 0::bigint;
    end if;
    return query select x.act, 0::bigint from (values ('note', u.role in ('supervisor', 'discipline')), ('directive', u.role = 'leader'),
        ('dispatch', u.role = 'service' and ours(c.accepting_unit_id) and c.dispatched_at is null and c.unit_id = c.accepting_unit_id and c.ended_at is null and c.excluded_at is null),
        ('handle', u.role = 'discipline' and c.restricted and c.ended_at is null and c.excluded_at is null)) x (act, so) where x.so;
    if u.role = 'department' then
        return query select 'rectify', r.rectification_no::bigint from rectification r
                      where r.complaint_id = id and r.done_at is null and ours(r.unit_id) order by r.rectification_no limit 1;
    end if;
end $$;
create function marked(id bigint) returns boolean language sql stable security definer set search_path = desk, pg_temp as $$
    select coalesce((select (e.params ->> 'on')::boolean from event e where e.complaint_id = id and e.code = 'marked' order by e.event_id desc limit 1), false) $$;

-- The complaint of an act, locked: acts on one complaint go one after another, and the second is told who was faster.
create function acting(what text, id bigint, which bigint default 0, seen int default null) returns complaint
language plpgsql volatile security definer set search_path = desk, pg_temp as $$
declare c complaint; last jsonb;
begin
    perform from app_user u where u.user_id = me() and holds(u) and what = any (acts_of(u.role));
    if not found then
        raise insufficient_privilege using message = 'this act is not for this account';
    end if;
    if not may_see(id) then perform refuse('not_there'); end if;
    select * into c from complaint x where x.complaint_id = id for update;
    select jsonb_build_object('who', who_is(e.user_id), 'at', e.recorded_at, 'what', e.code) into last from event e where e.complaint_id = id order by e.event_id desc limit 1;
    if c.version <> seen then perform refuse('changed_meanwhile', last); end if;
    if not exists (select from possible(id) p where p.act = what and p.no = which) then perform refuse('not_now', last); end if;
    return c;
end $$;
create function said(words text, code text default 'no_words') returns text language plpgsql set search_path = desk, pg_temp as $$
begin
    if length(btrim(coalesce(words, ''))) < 2 then perform refuse(code); end if;
    return left(btrim(words), 2000);
end $$;
create function today_of(c complaint) returns date language sql stable set search_path = desk, pg_temp as $$
    select (clock_timestamp() at time zone k.tz)::date from calendar k where k.calendar_id = c.calendar_id $$;

-- -- who is told. Nobody writes into the outbox but through this: about what this account did in this very transaction, in codes and numbers. Of a report
-- of financial crime a unit is told nothing; those who may see it are told that there is something to look at, and neither what nor which.
create function tell(what text, unit int, ids bigint[], params jsonb default '{}') returns void language plpgsql security definer set search_path = desk, pg_temp as $$
declare mine bigint[]; numbers text[]; crimes bigint[]; actor text := setting('user_id'); x int; crime bigint;
begin
    if what !~ '^[a-z_]{3,30}$' or exists (select from jsonb_each(params) p where jsonb_typeof(p.value) <> 'number') then
        raise check_violation using message = 'a message holds codes and numbers, never a text';
    end if;
    mine := array(select distinct e.complaint_id from event e where e.complaint_id = any (ids) and e.user_id = me() and e.recorded_at >= now());
    numbers := array(select c.complaint_no from complaint c where c.complaint_id = any (mine) and not c.restricted order by c.complaint_id);
    crimes := array(select c.complaint_id from complaint c where c.complaint_id = any (mine) and c.restricted);
    if numbers <> '{}' and unit is not null then
        insert into outbox (kind, unit_id, params) values (what, unit, params || jsonb_build_object('complaints', numbers));
    end if;
    if crimes <> '{}' then
        for x in select u.user_id from app_user u where holds(u) and not u.builtin and u.user_id <> actor::int
                    and (u.role = 'discipline' or u.role = 'supervisor' and u.sees_restricted) loop
            perform set_config('app.user_id', x::text, true);            -- the one rule of who sees what, asked as they would
            foreach crime in array crimes loop
                if may_see(crime) then
                    insert into outbox (kind, user_id) values ('look', x);
                    exit;
                end if;
            end loop;
            perform set_config('app.user_id', actor, true);
        end loop;
    end if;
end $$;
-- What stands there already about financial crime goes to nobody and says nothing.
update outbox o set kind = 'look', unit_id = null, params = '{}' where exists (
    select from complaint c where c.restricted and (o.params ->> 'complaint' = c.complaint_no or o.params -> 'complaints' ? c.complaint_no));

-- -- the acts

create function act_sign(id bigint, urge_no bigint) returns void language plpgsql volatile security definer set search_path = desk, pg_temp as $$
begin
    perform acting('sign', id, urge_no);
    update urge g set acknowledged_at = clock_timestamp()              -- and what came before it: who has the last one has them all
     where g.complaint_id = id and g.acknowledged_at is null and g.via = 'message' and ours(g.unit_id);
    perform audit_add('sign', id, jsonb_build_object('urge', urge_no));
end $$;
create function act_answer(id bigint, urge_no bigint, words text, promised date) returns void language plpgsql volatile security definer set search_path = desk, pg_temp as $$
declare c complaint := acting('answer', id, urge_no); t timestamptz := clock_timestamp(); answered text := said(words);
begin
    if promised < today_of(c) then perform refuse('bad_day'); end if;
    update urge g set acknowledged_at = coalesce(g.acknowledged_at, t), answered_at = t, answer = answered, promised_on = coalesce(promised, g.promised_on),
                      moved_at = coalesce(g.moved_at, t)
     where g.complaint_id = id and g.urge_id = urge_no;
    insert into event (complaint_id, at, code, user_id, unit_to, reason, params)
    select id, t, 'urge_answered', me(), g.unit_id, answered, jsonb_strip_nulls(jsonb_build_object('urge', urge_no, 'promised', promised))
      from urge g where g.complaint_id = id and g.urge_id = urge_no;
    perform audit_add('answer', id, jsonb_strip_nulls(jsonb_build_object('urge', urge_no, 'promised', promised)));
end $$;
create function act_delay(id bigint, why text, told timestamptz) returns void language plpgsql volatile security definer set search_path = desk, pg_temp as $$
declare c complaint := acting('delay', id); reported text := said(why, 'no_reason');
begin
    if told > clock_timestamp() or told < c.received_at then perform refuse('bad_moment'); end if;
    insert into delay (complaint_id, delay_no, reported_at, reason, customer_told_at)
    select id, coalesce(max(d.delay_no), 0) + 1, clock_timestamp(), reported, told from delay d where d.complaint_id = id;
    perform audit_add('delay', id, jsonb_build_object('told', told is not null));
end $$;
create function act_contest(id bigint, why text) returns void language plpgsql volatile security definer set search_path = desk, pg_temp as $$
declare c complaint := acting('contest', id);
begin
    insert into contest (complaint_id, contest_no, requested_at, unit_id, reason)
    select id, coalesce(max(r.contest_no), 0) + 1, clock_timestamp(), c.unit_id, said(why, 'no_reason') from contest r where r.complaint_id = id;
    perform audit_add('contest', id, '{}');
end $$;
create function act_decide(id bigint, contest_no_ bigint, granted boolean, why text, seen int) returns void
language plpgsql volatile security definer set search_path = desk, pg_temp as $$
declare c complaint := acting('decide', id, contest_no_, seen); t timestamptz := clock_timestamp(); by_unit int;
begin
    if granted is null then perform refuse('no_choice'); end if;
    update contest r set decided_at = t, upheld = granted, decision = said(why, 'no_reason')
     where r.complaint_id = id and r.contest_no = contest_no_ returning r.unit_id into by_unit;
    if granted then
        update complaint x set excluded_at = t, exclusion = 'contest' where x.complaint_id = id and x.excluded_at is null;
    end if;
    perform audit_add('decide', id, jsonb_build_object('upheld', granted));
    perform tell('decided', by_unit, array[id]);
end $$;
create function act_call_back(id bigint, how text, rated text, heard text) returns void language plpgsql volatile security definer set search_path = desk, pg_temp as $$
begin
    perform acting('call_back', id);
    if how is null then perform refuse('no_choice'); end if;
    if how = 'answered' and rated is null then perform refuse('no_score'); end if;
    insert into call_back (complaint_id, call_no, at, by_whom, outcome, score, words, user_id)
    select id, coalesce(max(b.call_no), 0) + 1, clock_timestamp(), 'office', how, case when how = 'answered' then rated end, nullif(btrim(left(heard, 2000)), ''), me()
      from call_back b where b.complaint_id = id;
    perform audit_add('call_back', id, jsonb_build_object('outcome', how));
end $$;
-- Returned for redo: the clock never stopped. (A customer who complains again opens a redo clock; that comes from the intake.)
create function act_send_back(id bigint, why text, seen int) returns void language plpgsql volatile security definer set search_path = desk, pg_temp as $$
declare c complaint := acting('send_back', id, 0, seen);
begin
    perform set_config('app.act', '', true), set_config('app.reason', said(why, 'no_reason'), true);
    update complaint x set customer_replied_at = null, office_replied_at = null, closed_at = null, filed_at = null where x.complaint_id = id;
    perform set_config('app.reason', '', true);
    perform audit_add('send_back', id, '{}');
    perform tell('returned', c.unit_id, array[id]);
end $$;
create function act_withdrawal(id bigint, withdrawal_no_ bigint, found_ text, words text) returns void
language plpgsql volatile security definer set search_path = desk, pg_temp as $$
declare c complaint := acting('withdrawal', id, withdrawal_no_);
begin
    if found_ is null then perform refuse('no_choice'); end if;
    perform set_config('app.act', '', true), set_config('app.said', left(btrim(coalesce(words, '')), 2000), true);
    update withdrawal w set verified_at = clock_timestamp(), result = found_ where w.complaint_id = id and w.withdrawal_no = withdrawal_no_;
    perform set_config('app.said', '', true);
    perform audit_add('withdrawal', id, jsonb_build_object('result', found_));
    perform tell('withdrawal_verified', c.unit_id, array[id]);
end $$;
create function act_mark(id bigint, wanted boolean, why text) returns void language plpgsql volatile security definer set search_path = desk, pg_temp as $$
begin
    perform acting(case when wanted then 'mark' else 'unmark' end, id);
    insert into event (complaint_id, at, code, user_id, reason, params)
    values (id, clock_timestamp(), 'marked', me(), nullif(btrim(left(why, 2000)), ''), jsonb_build_object('on', wanted));
    perform nextval('change_seq');
    perform audit_add(case when wanted then 'mark' else 'unmark' end, id, '{}');
end $$;
create function act_note(id bigint, words text) returns void language plpgsql volatile security definer set search_path = desk, pg_temp as $$
begin
    perform acting('note', id);
    insert into event (complaint_id, at, code, user_id, reason) values (id, clock_timestamp(), 'noted', me(), said(words));
    perform nextval('change_seq');
    perform audit_add('note', id, '{}');
    perform tell('noted', null, array[id]);
end $$;
create function act_directive(id bigint, words text, answer_by date) returns void language plpgsql volatile security definer set search_path = desk, pg_temp as $$
declare c complaint := acting('directive', id);
begin
    if answer_by < today_of(c) then perform refuse('bad_day'); end if;
    insert into directive (complaint_id, directive_no, at, leader, text, answer_due_at)
    select id, coalesce(max(d.directive_no), 0) + 1, clock_timestamp(), who_is(me()), said(words),
           (select day_end(answer_by, k.tz) from calendar k where k.calendar_id = c.calendar_id)
      from directive d where d.complaint_id = id;
    perform audit_add('directive', id, '{}');
    perform tell('directive', c.unit_id, array[id]);
end $$;
create function act_directive_answer(id bigint, directive_no_ bigint, words text) returns void language plpgsql volatile security definer set search_path = desk, pg_temp as $$
begin
    perform acting('directive_answer', id, directive_no_);
    update directive d set answered_at = clock_timestamp(), answer = said(words) where d.complaint_id = id and d.directive_no = directive_no_;
    perform audit_add('directive_answer', id, jsonb_build_object('directive', directive_no_));
end $$;
create function act_dispatch(id bigint, to_unit int, to_handler text, seen int) returns void language plpgsql volatile security definer set search_path = desk, pg_temp as $$
declare c complaint := acting('dispatch', id, 0, seen); t timestamptz := clock_timestamp(); named text := nullif(btrim(to_handler), '');
begin
    if not exists (select from unit u where u.unit_id = to_unit and u.active and u.kind <> 'unmapped') then perform refuse('no_unit'); end if;
    if to_unit = c.unit_id then perform refuse('same_unit'); end if;
    if plain_name(named) = plain_name(c.person) then perform refuse('conflict_of_interest', jsonb_build_object('person', c.person)); end if;     -- article 11
    perform set_config('app.act', 'hop_sent', true), set_config('app.at', t::text, true), set_config('app.reason', '', true);
    update complaint x set unit_id = to_unit, handler = named, dispatched_at = t where x.complaint_id = id;
    perform set_config('app.act', '', true), set_config('app.at', '', true);
    insert into hop (complaint_id, hop_no, unit_id, sent_at) select id, coalesce(max(h.hop_no), 0) + 1, to_unit, t from hop h where h.complaint_id = id;
    perform audit_add('dispatch', id, jsonb_build_object('to', to_unit));
    perform tell('dispatched', to_unit, array[id]);
end $$;
create function act_rectify(id bigint, rectification_no_ bigint, words text) returns void language plpgsql volatile security definer set search_path = desk, pg_temp as $$
begin
    perform acting('rectify', id, rectification_no_);
    update rectification r set done_at = clock_timestamp(), feedback = said(words) where r.complaint_id = id and r.rectification_no = rectification_no_;
    perform audit_add('rectify', id, jsonb_build_object('rectification', rectification_no_));
end $$;
-- A report of financial crime is answered and ends: whoever reported it, and the source unit, have the answer.
create function act_handle(id bigint, words text) returns void language plpgsql volatile security definer set search_path = desk, pg_temp as $$
declare c complaint := acting('handle', id); t timestamptz := clock_timestamp();
begin
    insert into event (complaint_id, at, code, user_id, reason) values (id, t, 'handled', me(), said(words));
    perform set_config('app.act', '', true), set_config('app.reason', '', true), set_config('app.at', '', true);
    update complaint x set customer_replied_at = case when x.anonymous then x.customer_replied_at else coalesce(x.customer_replied_at, t) end,
                           office_replied_at = case when x.source_unit_id is null then x.office_replied_at else coalesce(x.office_replied_at, t) end,
                           closed_at = t, filed_at = t
     where x.complaint_id = id;
    perform audit_add('handle', id, '{}');
    perform tell('handled', null, array[id]);
end $$;

-- What an act is about, as whoever does it reads it: the words of the urge, contest, withdrawal, directive or measure.
create function act_about(what text, id bigint, which bigint) returns table (at timestamptz, who text, words text, due timestamptz)
language plpgsql stable security definer set search_path = desk, pg_temp as $$
begin
    if not exists (select from possible(id) p where p.act = what and p.no = which) then return; end if;
    return query
    select g.sent_at, g.user_name, mask_text(g.note), case what when 'sign' then g.ack_due_at else g.answer_due_at end from urge g where what in ('sign', 'answer') and g.complaint_id = id and g.urge_id = which
    union all select r.requested_at, u.name, mask_text(r.reason), null from contest r join unit u using (unit_id) where what = 'decide' and r.complaint_id = id and r.contest_no = which
    union all select w.requested_at, null, mask_text(w.reason), null from withdrawal w where what = 'withdrawal' and w.complaint_id = id and w.withdrawal_no = which
    union all select d.at, d.leader, mask_text(d.text), d.answer_due_at from directive d where what = 'directive_answer' and d.complaint_id = id and d.directive_no = which
    union all select null, u.name, mask_text(r.measure), day_end(r.due_on, k.tz)
                from rectification r join unit u using (unit_id) join complaint c using (complaint_id) join calendar k using (calendar_id)
               where what = 'rectify' and r.complaint_id = id and r.rectification_no = which;
end $$;

-- -- the event of each child row: as before, and contests, answers to directives and rectifications, which left none
-- A call-back moves no clock but its own: without such a clock the stretches stay as they are.
create or replace function child_changed() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    case tg_table_name
    when 'redo' then
        insert into event (complaint_id, at, code, clock, user_id, reason)
        select n.complaint_id, n.started_at, 'reopened', 'o', me(), n.reason from fresh n where tg_op = 'INSERT'
        union all select n.complaint_id, n.ended_at, 'redone', 'o', me(), null from fresh n where n.ended_at is not null;
    when 'withdrawal' then
        insert into event (complaint_id, at, code, user_id, reason, params)
        select n.complaint_id, n.requested_at, 'withdrawal_requested', me(), n.reason, '{}'::jsonb from fresh n where tg_op = 'INSERT'
        union all select n.complaint_id, n.verified_at, 'withdrawal_verified', me(), setting('said'), jsonb_build_object('result', n.result, 'late', n.late)
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
        insert into event (complaint_id, at, code, user_id, reason, params)
        select n.complaint_id, n.at, 'directive', me(), n.text, jsonb_build_object('leader', n.leader) from fresh n where tg_op = 'INSERT'
        union all select n.complaint_id, n.answered_at, 'directive_answered', me(), n.answer, jsonb_build_object('directive', n.directive_no)
                    from fresh n
                   where n.answered_at is not null and not exists (select from event e where e.complaint_id = n.complaint_id and e.code = 'directive_answered'
                                                                      and e.params ->> 'directive' = n.directive_no::text);
    when 'contest' then
        insert into event (complaint_id, at, code, user_id, reason, params)
        select n.complaint_id, n.requested_at, 'contested', me(), n.reason, jsonb_build_object('contest', n.contest_no) from fresh n where tg_op = 'INSERT'
        union all select n.complaint_id, n.decided_at, 'contest_decided', me(), n.decision, jsonb_build_object('contest', n.contest_no, 'upheld', n.upheld)
                    from fresh n
                   where n.decided_at is not null and not exists (select from event e where e.complaint_id = n.complaint_id and e.code = 'contest_decided'
                                                                     and e.params ->> 'contest' = n.contest_no::text);
    when 'rectification' then
        insert into event (complaint_id, at, code, user_id, unit_to, reason, params)
        select n.complaint_id, n.done_at, 'rectified', me(), n.unit_id, n.feedback, jsonb_build_object('rectification', n.rectification_no)
          from fresh n
         where n.done_at is not null and not exists (select from event e where e.complaint_id = n.complaint_id and e.code = 'rectified'
                                                        and e.params ->> 'rectification' = n.rectification_no::text);
    when 'hop' then
        insert into event (complaint_id, at, code, user_id, unit_to)
        select n.complaint_id, n.signed_at, 'signed', me(), n.unit_id from fresh n where n.signed_at is not null;
    else null;
    end case;
    if tg_table_name = 'call_back' and not exists (select from policy_limit where clock = 'k' and amount is not null) then
        perform nextval('change_seq');
    elsif tg_table_name in ('redo', 'withdrawal', 'call_back', 'delay') then
        perform respan(array(select distinct complaint_id from fresh));
    else
        perform nextval('change_seq');
    end if;
    return null;
end $$;
do $$ declare t text; begin
    foreach t in array array['contest', 'rectification'] loop
        execute format('create trigger %s_added after insert on %1$s referencing new table as fresh for each statement execute function child_changed()', t);
        execute format('create trigger %s_changed after update on %1$s referencing new table as fresh for each statement execute function child_changed()', t);
    end loop;
end $$;

-- -- grants: the acts to their roles, nothing else to anybody
do $$ declare f record; who text[]; begin
    for f in select p.oid::regprocedure::text as call, p.proname as name from pg_proc p where p.pronamespace = 'desk'::regnamespace
                and (p.proname like 'act\_%' or p.proname in ('acts_of', 'ours', 'verifies', 'possible', 'marked', 'acting', 'said', 'today_of', 'tell')) loop
        execute format('revoke execute on function %s from public', f.call);
        if f.name like 'act\_%' then
            select array_agg('r_' || r) into who from unnest(array['supervisor', 'unit', 'leader', 'service', 'department', 'discipline']) r
             where substr(f.name, 5) = any (acts_of(r));
            if who is not null then
                execute format('grant execute on function %s to %s', f.call, array_to_string(who, ', '));
            end if;
        end if;
    end loop;
    execute 'grant execute on function possible(bigint), act_about(text, bigint, bigint) to r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline';
    execute 'grant execute on function tell(text, int, bigint[], jsonb) to r_supervisor';       -- for urge and reassign
    revoke insert on outbox from r_supervisor;
    drop policy act on outbox;
    revoke update (acknowledged_at, answered_at, answer, promised_on) on urge from r_unit;
    drop policy answer on urge;
    -- a row that did not land may be a whole complaint: no administrator's
    revoke select on quarantine from r_admin;
    drop policy read on quarantine;
    create policy read on quarantine for select to r_supervisor, r_leader, r_intake using (true);
    grant insert, select, update (result) on request to r_leader, r_service, r_department, r_discipline;
    drop policy own on request;
    create policy own on request to r_supervisor, r_unit, r_leader, r_service, r_department, r_discipline using (user_id = me()) with check (user_id = me());
end $$;
