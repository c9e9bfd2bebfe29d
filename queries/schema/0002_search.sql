-- Search: by words over what the viewer may read, by the whole identity of a complainant; exports leave a trace.

-- Complaints in which every word stands somewhere: number (from its beginning; four characters and more anywhere), title, text and demand as they are
-- shown (masked, and only for roles that may read texts), names of the units, first contact, handler. Scope is applied here, because it runs as the owner:
-- under the viewer's own row security the words would be looked for only after every row had been checked.
-- Masking touches nothing but ASCII, full-width digits and ＠. A word without any of these stands in the masked text iff it stands in the raw one;
-- for the others the raw text is a sieve (a masked stretch, ***, may be anything) and the masked text decides.
create function find_words(words text[]) returns setof bigint rows 200 language plpgsql stable security definer set search_path = desk, pg_temp as $$
declare
    reads boolean := has_table_privilege(coalesce(nullif(current_setting('role'), 'none'), session_user), 'complaint_text', 'select');
    everything boolean := sees_all();
    crime boolean := sees_restricted();
    mine int8multirange := my_scope();
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
        holds := case when word !~ '[ -~[:digit:]]' then format('%%1$s %s $1', op)
                      when wide = sieve then format('%%1$s %1$s $2 and mask_text(%%1$s) %1$s $1', op)
                      else format('(%%1$s %1$s $2 or %%1$s %1$s $8) and mask_text(%%1$s) %1$s $1', op) end;
        about := array(select u.unit_id from unit u where concat_ws(chr(1), u.name, u.short, u.name_en, u.short_en) ilike shown);
        now_at := about || array(select k.unit_id from unit_contact k where k.rank = 1 and k.name ilike shown);
        execute format($q$
            select array(
                select c.complaint_id from complaint c
                 where ($5 is null or c.complaint_id = any ($5))
                   and (c.unit_id = any ($6) or c.about_unit_id = any ($7) or c.complaint_no %1$s $3 or c.handler %1$s $1 or %2$s)
                union
                select t.complaint_id from complaint_text t
                 where $4 and ($5 is null or t.complaint_id = any ($5)) and (%3$s or %4$s))$q$,
            op, format(holds, 'c.title'), format(holds, 't.text'), format(holds, 't.demand'))
            into found using shown, sieve, begins, reads, found, now_at, about, wide;
        exit when found = '{}';
    end loop;
    return query
        select c.complaint_id from complaint c
         where c.complaint_id = any (found) and (crime or not c.restricted)
           and (everything or exists (select from clock_span s
                                       where s.complaint_id = c.complaint_id and (crime or not s.restricted)
                                         and (s.label <@ mine or s.charged_label <@ mine or s.about_label <@ mine)));
end $$;

-- Numbers and names as they are compared: however they were typed, with or without +86, the zero of a town, spaces, dashes.
create function plain_number(t text) returns text language sql immutable as $$
    select ltrim(replace(regexp_replace(regexp_replace(upper(translate(t, '０１２３４５６７８９＋Ｘｘ', '0123456789+XX')), '[^0-9X+]', '', 'g'),
                                        '^(\+|00)86|^86(?=1[3-9]\d{9}$)', ''), '+', ''), '0') $$;
create function plain_name(t text) returns text language sql immutable as $$
    select regexp_replace(lower(t), '[\s　·•・．.]', '', 'g') $$;
create index complainant_phone on complainant (plain_number(phone));
create index complainant_id_no on complainant (plain_number(id_no));
create index complainant_name on complainant (plain_name(name));

-- Complaints of one person: a whole telephone number, identity number or name, never a part of one. For those who answer people; each question is
-- in the audit with what was found, the question itself masked. It writes, so it cannot be asked in a read-only transaction.
create function find_person(who text) returns setof bigint language plpgsql volatile security definer set search_path = desk, pg_temp as $$
declare
    digits text := plain_number(who);
    called text := plain_name(who);
    kind text;
    found bigint[];
begin
    if not exists (select from app_user u where u.user_id = me() and u.active and u.role in ('supervisor', 'service', 'discipline')) then
        raise insufficient_privilege using message = 'persons are not searched by this role';
    end if;
    kind := case when translate(who, '０１２３４５６７８９＋－（）Ｘｘ　', '0123456789+-()XX ') !~ '^[0-9Xx+() -]+$' then case when length(called) >= 2 then 'name' end
                 when length(digits) in (15, 18) then 'id_no'
                 when length(digits) >= 7 then 'phone' end;
    if kind is null then
        return;                                            -- too short to be whole: nothing is looked up, nothing is found
    end if;
    found := case kind
        when 'phone' then array(select p.complaint_id from complainant p where plain_number(p.phone) = digits and may_see(p.complaint_id) order by 1 desc limit 1000)
        when 'id_no' then array(select p.complaint_id from complainant p where plain_number(p.id_no) = digits and may_see(p.complaint_id) order by 1 desc limit 1000)
        else array(select p.complaint_id from complainant p where plain_name(p.name) = called and may_see(p.complaint_id) order by 1 desc limit 1000) end;
    perform audit_add('person_search', null, jsonb_build_object('kind', kind, 'found', cardinality(found), 'complaints', to_jsonb(found[1:100]), 'masked',
        case when kind = 'name' then left(called, 1) || '**'
             when length(digits) >= 11 then left(digits, 3) || '****' || right(digits, 4)
             else left(digits, 2) || '****' || right(digits, 1) end));
    return query select unnest(found);
end $$;

-- Who took which list away, and how many rows. For roles that may not write anything else, too.
create function exported(list text, format text, n bigint) returns void language sql volatile security definer set search_path = desk, pg_temp as $$
    select audit_add('export', null, jsonb_build_object('list', left(list, 200), 'format', left(format, 10), 'rows', n)) $$;

do $$
declare readers text := 'r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline, r_regulator';
begin
    execute 'revoke execute on function find_words(text[]), plain_number(text), plain_name(text), find_person(text), exported(text, text, bigint) from public';
    execute 'grant execute on function find_words(text[]), exported(text, text, bigint) to ' || readers;
    execute 'grant execute on function find_person(text) to r_supervisor, r_service, r_discipline';
end $$;
