-- Events that a statement leaves are numbered in the order of their complaints, whatever plan the planner takes for "not yet there": two loads of the same rows are equal to the number
-- of each event. Four orders beside 0008, nothing else.
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
           and not exists (select from event e where e.complaint_id = n.complaint_id and e.code = 'limit_moved' and e.params ->> 'delay' = n.delay_no::text)
         order by n.complaint_id, n.delay_no;
    when 'directive' then
        insert into event (complaint_id, at, code, user_id, reason, params)
        select complaint_id, at, code, me(), reason, params from (
            select n.complaint_id, n.at, 'directive' as code, n.text as reason, jsonb_build_object('leader', n.leader) as params, n.directive_no, 1 as part from fresh n where tg_op = 'INSERT'
            union all select n.complaint_id, n.answered_at, 'directive_answered', n.answer, jsonb_build_object('directive', n.directive_no), n.directive_no, 2
                        from fresh n
                       where n.answered_at is not null and not exists (select from event e where e.complaint_id = n.complaint_id and e.code = 'directive_answered'
                                                                          and e.params ->> 'directive' = n.directive_no::text)) said
         order by complaint_id, directive_no, part;
    when 'contest' then
        insert into event (complaint_id, at, code, user_id, reason, params)
        select complaint_id, at, code, me(), reason, params from (
            select n.complaint_id, n.requested_at as at, 'contested' as code, n.reason, jsonb_build_object('contest', n.contest_no) as params, n.contest_no, 1 as part from fresh n where tg_op = 'INSERT'
            union all select n.complaint_id, n.decided_at, 'contest_decided', n.decision, jsonb_build_object('contest', n.contest_no, 'upheld', n.upheld), n.contest_no, 2
                        from fresh n
                       where n.decided_at is not null and not exists (select from event e where e.complaint_id = n.complaint_id and e.code = 'contest_decided'
                                                                         and e.params ->> 'contest' = n.contest_no::text)) said
         order by complaint_id, contest_no, part;
    when 'rectification' then
        insert into event (complaint_id, at, code, user_id, unit_to, reason, params)
        select n.complaint_id, n.done_at, 'rectified', me(), n.unit_id, n.feedback, jsonb_build_object('rectification', n.rectification_no)
          from fresh n
         where n.done_at is not null and not exists (select from event e where e.complaint_id = n.complaint_id and e.code = 'rectified'
                                                        and e.params ->> 'rectification' = n.rectification_no::text)
         order by n.complaint_id, n.rectification_no;
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
