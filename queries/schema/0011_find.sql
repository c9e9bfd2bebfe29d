-- Search at millions of complaints: every complaint once as it is read (number; title, handler, text and demand, masked and in small letters), with an
-- inverted index over its pairs of neighbouring characters. A pair is the shortest word of Chinese; nothing but PostgreSQL itself is needed for it.

create table search_doc (
    complaint_id bigint primary key,
    received_at  timestamptz not null,
    no           text not null,
    body         text not null                     -- fields apart by chr(1), which no word holds
);
alter table search_doc enable row level security;
alter table search_doc force row level security;
create policy owner_all on search_doc to desk_owner using (true) with check (true);

-- What a complaint is found by: pairs of characters (the last one with chr(1), so that every character begins a pair and one character is found as the
-- beginning of pairs); four ASCII characters in a row, because pairs of digits stand everywhere; and when it came: its week, 8 weeks and 64 weeks.
-- As it is written because it runs for every complaint: two lists unnested side by side, which takes half the time of a join. Its cost keeps the planner
-- from making it anew for every row of a small table instead of asking the index.
create function search_grams(no text, body text, at timestamptz) returns tsvector language plpgsql immutable strict parallel safe cost 20000 as $$
declare
    c text[] := string_to_array(no || chr(1) || body || chr(1), null);
    week int := floor(extract(epoch from at) / 604800);
begin
    return array_to_tsvector(array_remove(array(select unnest(c) || unnest(c[2:])), null)
        || array(select substr(m[1], i, 4) from regexp_matches(no || chr(1) || body, '[!-~]{4,}', 'g') m, generate_series(1, length(m[1]) - 3) i)
        || array[chr(2) || 'w' || week, chr(2) || 'm' || week / 8, chr(2) || 'y' || week / 64]);
end $$;

insert into search_doc (complaint_id, received_at, no, body)
select c.complaint_id, c.received_at, lower(c.complaint_no),
       lower(concat_ws(chr(1), mask_text(c.title), c.handler, mask_text(t.text), mask_text(t.demand)))
  from complaint c left join complaint_text t using (complaint_id) order by c.complaint_id;
create index search_newest on search_doc (received_at desc, complaint_id desc);
-- Writers append to a short list, which is sorted in when it is full: a reader looks it through, so it stays short.
create index search_grams on search_doc using gin (search_grams(no, body, received_at)) with (fastupdate = on, gin_pending_list_limit = 1024);
analyze search_doc;

create index complaint_number on complaint (complaint_no);
-- Names of units and their first contacts by the same index: a bank has forty thousand.
create function unit_said(name text, short text, name_en text, short_en text) returns text language sql immutable parallel safe as $$
    select lower(name || chr(1) || coalesce(short, '') || chr(1) || coalesce(name_en, '') || chr(1) || coalesce(short_en, '')) $$;
create index unit_grams on unit using gin (search_grams('', unit_said(name, short, name_en, short_en), 'epoch'));
create index unit_contact_grams on unit_contact using gin (search_grams('', lower(name), 'epoch')) where rank = 1;

-- Write these complaints anew as they are read. Their rows are held first: who changes the title and who changes the text see each other's words.
create function search_write(ids bigint[]) returns void language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    perform from search_doc where complaint_id = any (ids) order by complaint_id for update;
    insert into search_doc as d (complaint_id, received_at, no, body)
    select c.complaint_id, c.received_at, lower(c.complaint_no),
           lower(concat_ws(chr(1), mask_text(c.title), c.handler, mask_text(t.text), mask_text(t.demand)))
      from complaint c left join complaint_text t using (complaint_id)
     where c.complaint_id = any (ids)
     order by c.complaint_id
        on conflict (complaint_id) do update set received_at = excluded.received_at, no = excluded.no, body = excluded.body
     where (d.received_at, d.no, d.body) is distinct from (excluded.received_at, excluded.no, excluded.body);
end $$;
create function search_added() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    perform search_write(array(select f.complaint_id from fresh f));
    return null;
end $$;
create function search_changed() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    perform search_write(array[new.complaint_id]);
    return null;
end $$;
-- A complaint is written once: with its text where that comes first or in the same transaction, and at the latest when the transaction commits.
create function search_complete() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    if not exists (select from search_doc d where d.complaint_id = new.complaint_id) then
        -- with those that come next, because an import brings a hundred thousand: nobody else's can be seen here without having been written
        perform search_write(array(select c.complaint_id from complaint c
                                    where c.complaint_id >= new.complaint_id
                                      and not exists (select from search_doc d where d.complaint_id = c.complaint_id)
                                    order by c.complaint_id limit 5000));
    end if;
    return null;
end $$;
create function search_begun() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
declare ids bigint[] := array(select f.complaint_id from fresh f join complaint_text t using (complaint_id));
begin
    if ids <> '{}' then
        perform search_write(ids);
    end if;
    return null;
end $$;
create trigger search_begun after insert on complaint referencing new table as fresh for each statement execute function search_begun();
create constraint trigger search_complete after insert on complaint deferrable initially deferred for each row execute function search_complete();
create trigger search_added after insert on complaint_text referencing new table as fresh for each statement execute function search_added();
create trigger search_changed after update on complaint for each row
    when (old.title is distinct from new.title or old.handler is distinct from new.handler or old.complaint_no <> new.complaint_no or old.received_at <> new.received_at)
    execute function search_changed();
create trigger search_changed after update on complaint_text for each row
    when (old.text is distinct from new.text or old.demand is distinct from new.demand) execute function search_changed();

-- What a complaint must hold for these words: `holds`, a condition on search_doc d that decides; `grams`, which the index must hold for it (null: the
-- index cannot tell, because a unit's name may hold the word); `labels`, the places of these units in the tree.
create function search_terms(words text[]) returns table (holds text, grams text, labels bigint[]) language plpgsql stable set search_path = desk, pg_temp as $$
declare
    word text; low text; shown text; c text[];
    about int[]; now_at int[];
begin
    foreach word in array words loop
        word := translate(word, '０１２３４５６７８９＠', '0123456789@');
        shown := '%' || regexp_replace(word, '([\\%_])', '\\\1', 'g') || '%';
        low := lower(shown);
        c := string_to_array(lower(word), null);
        select string_agg(format('''%s''%s', replace(replace(g.gram, '\', '\\'), '''', ''''''), g.open), ' & ') into grams from (
            select x || coalesce(y, '') as gram, case when y is null then ':*' else '' end as open
              from unnest(c, c[2:]) as u(x, y)
             where y is not null or cardinality(c) = 1
            union
            select substr(m[1], i, 4), '' from regexp_matches(lower(word), '[!-~]{4,}', 'g') m, generate_series(1, length(m[1]) - 3) i) g;
        about := array(select u.unit_id from unit u
                        where (grams is null or search_grams('', unit_said(u.name, u.short, u.name_en, u.short_en), 'epoch') @@ grams::tsquery)
                          and unit_said(u.name, u.short, u.name_en, u.short_en) like low);
        now_at := about || array(select k.unit_id from unit_contact k
                                  where k.rank = 1 and (grams is null or search_grams('', lower(k.name), 'epoch') @@ grams::tsquery) and lower(k.name) like low);
        holds := format('(d.body like %L or d.no like %L', low, case when length(word) < 4 then substr(low, 2) else low end);
        if now_at <> '{}' then
            holds := holds || format(' or exists (select from complaint c where c.complaint_id = d.complaint_id and (c.unit_id = any (%L::int[]) or c.about_unit_id = any (%L::int[])))',
                                     now_at, about);
        end if;
        holds := holds || ')';
        labels := array(select u.label from unit u where u.unit_id = any (now_at));
        return next;
    end loop;
end $$;

-- Complaints in which every word stands somewhere: number (from its beginning; four characters and more anywhere), title, text and demand as they are
-- shown (masked), names of the units, first contact, handler. The newest first, at most so many, received from `since` on and before or at `until`;
-- `more`: there are others behind them. Scope is applied here, by the rule of visible(), because it runs as the owner.
-- The way is chosen by what is there: few complaints in the scope: these are read; words that stand in one of five: the newest are read until there are
-- enough; else by the index, week by week (or 8, 64 weeks, for rare words), because a list of all complaints with a word cannot be cut short.
create function find_newest(words text[], most int default null, since timestamptz default '-infinity', until timestamptz default 'infinity')
returns table (ids bigint[], more boolean) language plpgsql stable security definer set search_path = desk, pg_temp as $$
declare
    u app_user;
    mine int8multirange := my_scope();
    top int := coalesce(most, 2000000000);
    decides text; must text; also text; places bigint[];
    scope_ids bigint[]; scope_spans int;
    newest timestamptz; oldest timestamptz;
    hits int; seen int := 0; part bigint[]; step text; weeks int; block int; last_block int;
    at timestamptz; id bigint; n int; walk constant int := 4000;
begin
    ids := '{}'; more := false;
    select * into u from app_user a where a.user_id = me() and holds(a);
    if not found or words = '{}' then
        return next; return;
    end if;
    select string_agg(t.holds, ' and '), string_agg(t.grams, ' & ') filter (where t.labels = '{}') into decides, must from search_terms(words) t;
    select t.labels, t.grams into places, also from search_terms(words) t where t.labels <> '{}' order by cardinality(t.labels) limit 1;
    decides := decides || ' and d.received_at between $2 and $3';

    select min(d.received_at), max(d.received_at) into oldest, newest from search_doc d;
    if newest is null then
        return next; return;
    end if;
    newest := least(newest, until); oldest := greatest(oldest, since);

    -- how common the words are: in how many of the newest two thousand they stand
    execute format($q$select count(*) from (select * from search_doc d where d.received_at <= $3 and d.received_at >= $2
                                             order by d.received_at desc, d.complaint_id desc limit 2000) d where %s$q$, decides) into hits using null::bigint[], since, until;

    -- few in the scope
    if not u.all_units or u.role = 'discipline' then
        if u.role = 'discipline' then
            scope_ids := array(select c.complaint_id from complaint c where c.restricted);
        elsif u.role <> 'service' then
            select count(*) into scope_spans from (
                select from unnest(mine) r join clock_span s on s.label >= lower(r) and s.label < upper(r)
                union all select from unnest(mine) r join clock_span s on s.about_label >= lower(r) and s.about_label < upper(r) limit 100000) x;
            if scope_spans < 3000 or scope_spans < 100000 and (hits >= 20 or must is null) then
                scope_ids := array(
                    select s.complaint_id from unnest(mine) r join clock_span s on s.label >= lower(r) and s.label < upper(r)
                    union select s.complaint_id from unnest(mine) r join clock_span s on s.charged_label >= lower(r) and s.charged_label < upper(r)
                    union select s.complaint_id from unnest(mine) r join clock_span s on s.about_label >= lower(r) and s.about_label < upper(r)
                    union select r from rectified_by_us() r where u.role = 'department');
            end if;
        end if;
        if scope_ids is not null then
            execute format($q$select array_agg(d.complaint_id order by d.received_at desc, d.complaint_id desc)
                                from search_doc d where d.complaint_id = any ($1) and %s$q$, decides) into part using scope_ids, since, until;
            part := array(select x.id from unnest(part) with ordinality x(id, place) join visible(part) v on v = x.id order by x.place);
            ids := coalesce(part[:top], '{}'); more := coalesce(cardinality(part) > top, false);
            return next; return;
        end if;
    end if;

    -- no index can tell: every word stands in some unit's name. Of few units: their complaints and those the index has.
    if must is null and places is not null and (hits < 400 or most is null) then
        part := array(select s.complaint_id from clock_span s where s.label = any (places) union select s.complaint_id from clock_span s where s.about_label = any (places));
        if also is not null then
            execute 'select array_agg(d.complaint_id) from search_doc d where search_grams(d.no, d.body, d.received_at) @@ $1::tsquery' into scope_ids using also;
        end if;
        execute format($q$select array_agg(d.complaint_id order by d.received_at desc, d.complaint_id desc) from search_doc d
                           where d.complaint_id = any ($1) and %s$q$, decides) into part using part || coalesce(scope_ids, '{}'), since, until;
        ids := array(select x.id from unnest(part) with ordinality x(id, place) join visible(part) v on v = x.id order by x.place limit top + 1);
        ids := coalesce(ids, '{}'); more := coalesce(cardinality(ids) > top, false); ids := ids[:top];
        return next; return;
    end if;

    if must is null or most is not null and hits >= 400 then
        at := 'infinity'; id := 9223372036854775807;
        loop
            execute format($q$select array_agg(d.complaint_id order by d.received_at desc, d.complaint_id desc) filter (where %s), count(*),
                                     (array_agg(d.received_at order by d.received_at, d.complaint_id))[1], (array_agg(d.complaint_id order by d.received_at, d.complaint_id))[1]
                                from (select * from search_doc d where (d.received_at, d.complaint_id) < ($4, $5) and d.received_at between $2 and $3
                                       order by d.received_at desc, d.complaint_id desc limit $6) d$q$, decides)
                into part, n, at, id using null::bigint[], since, until, at, id, walk;
            ids := ids || array(select x.id from unnest(part) with ordinality x(id, place) join visible(part) v on v = x.id order by x.place);
            seen := seen + n;
            more := n = walk;
            exit when not more or cardinality(ids) > top or seen >= 100000 and cardinality(ids) >= 200;
        end loop;
    else
        step := case when hits >= 20 then 'w' when hits >= 3 then 'm' else 'y' end;
        weeks := case step when 'w' then 1 when 'm' then 8 else 64 end;
        block := floor(extract(epoch from newest) / 604800)::int / weeks;
        last_block := floor(extract(epoch from oldest) / 604800)::int / weeks;
        while block >= last_block loop
            execute format($q$select array_agg(d.complaint_id order by d.received_at desc, d.complaint_id desc) from search_doc d
                               where search_grams(d.no, d.body, d.received_at) @@ $1::tsquery and %s$q$, decides)
                into part using format('%s & ''%s%s%s''', must, chr(2), step, block), since, until;
            ids := ids || array(select x.id from unnest(part) with ordinality x(id, place) join visible(part) v on v = x.id order by x.place);
            seen := seen + coalesce(cardinality(part), 0);
            more := block > last_block;
            exit when cardinality(ids) > top or most is not null and seen >= 60000 and cardinality(ids) >= 200;
            block := block - 1;
        end loop;
    end if;
    more := more and most is not null or cardinality(ids) > top;
    ids := ids[:top];
    -- a number that was typed whole comes first, wherever it stands
    if cardinality(ids) > 1 then
        part := array(select v from visible(array(select c.complaint_id from complaint c
                       where c.complaint_no in (array_to_string(words, ' '), upper(array_to_string(words, ' ')), lower(array_to_string(words, ' ')))
                         and c.received_at between since and until)) v);
        if part <> '{}' then
            ids := (part || array(select x.id from unnest(ids) with ordinality x(id, place) where x.id <> all (part) order by x.place))[:top];
        end if;
    end if;
    return next;
end $$;

create or replace function find_words(words text[]) returns setof bigint rows 200 language sql stable security definer set search_path = desk, pg_temp as $$
    select unnest(f.ids) from find_newest(words) f $$;
-- Those of these complaints in which every word stands: for a list that is known and short.
create function find_among(part bigint[], words text[]) returns setof bigint rows 200 language plpgsql stable security definer set search_path = desk, pg_temp as $$
declare decides text;
begin
    select string_agg(t.holds, ' and ') into decides from search_terms(words) t;
    part := array(select v from visible(part) v);
    return query execute format('select d.complaint_id from search_doc d where d.complaint_id = any ($1) and %s', decides) using part;
end $$;

-- -- persons: looked up by a keyed hash of the whole number or name; the index holds no identity, and without the key nothing can be tried out on it
create table search_key (one boolean primary key default true check (one), inside bytea not null, outside bytea not null);
alter table search_key enable row level security;
alter table search_key force row level security;
create policy owner_all on search_key to desk_owner using (true) with check (true);
insert into search_key (inside, outside)
select decode(string_agg(replace(gen_random_uuid()::text, '-', ''), '') filter (where i <= 4), 'hex'),
       decode(string_agg(replace(gen_random_uuid()::text, '-', ''), '') filter (where i > 4), 'hex') from generate_series(1, 8) i;
-- Nested with two keys (Bellare, Canetti, Krawczyk 1996), 16 bytes of it.
create function person_key(kind text, plain text) returns bytea language sql stable security definer set search_path = desk, pg_temp as $$
    select substr(sha256(k.outside || sha256(k.inside || convert_to(kind || ':' || nullif(plain, ''), 'UTF8'))), 1, 16) from search_key k $$;

alter table complainant add column phone_hash bytea, add column id_hash bytea, add column name_hash bytea;
create function complainant_hashed() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
declare i bytea; o bytea;
begin
    select k.inside, k.outside into i, o from search_key k;        -- person_key() three times, at a third of its cost
    new.phone_hash := substr(sha256(o || sha256(i || convert_to('phone:' || nullif(plain_number(new.phone), ''), 'UTF8'))), 1, 16);
    new.id_hash := substr(sha256(o || sha256(i || convert_to('id_no:' || nullif(plain_number(new.id_no), ''), 'UTF8'))), 1, 16);
    new.name_hash := substr(sha256(o || sha256(i || convert_to('name:' || nullif(plain_name(new.name), ''), 'UTF8'))), 1, 16);
    return new;
end $$;
update complainant set phone_hash = person_key('phone', plain_number(phone)), id_hash = person_key('id_no', plain_number(id_no)),
                       name_hash = person_key('name', plain_name(name));
create trigger complainant_hashed before insert or update of name, phone, id_no on complainant for each row execute function complainant_hashed();
drop index complainant_phone, complainant_id_no, complainant_name;
create index complainant_phone on complainant (phone_hash, complaint_id) where phone_hash is not null;
create index complainant_id_no on complainant (id_hash, complaint_id) where id_hash is not null;
create index complainant_name on complainant (name_hash, complaint_id) where name_hash is not null;

-- As in 0002: whole, by few roles, never without its trace. The newest first, a thousand at a time: some names are those of thousands.
create or replace function find_person(who text) returns setof bigint language plpgsql volatile security definer set search_path = desk, pg_temp as $$
declare
    digits text := plain_number(who);
    called text := plain_name(who);
    kind text; hash bytea;
    found bigint[] := '{}'; part bigint[]; last bigint := 9223372036854775807;
begin
    if not exists (select from app_user u where u.user_id = me() and holds(u) and u.role in ('supervisor', 'service', 'discipline')) then
        raise insufficient_privilege using message = 'persons are not searched by this role';
    end if;
    kind := case when translate(who, '０１２３４５６７８９＋－（）Ｘｘ　', '0123456789+-()XX ') !~ '^[0-9Xx+() -]+$' then case when length(called) >= 2 then 'name' end
                 when length(digits) in (15, 18) then 'id_no'
                 when length(digits) >= 7 then 'phone' end;
    if kind is null then
        return;                                            -- too short to be whole: nothing is looked up, nothing is found
    end if;
    hash := person_key(kind, case when kind = 'name' then called else digits end);
    loop
        part := case kind
            when 'phone' then array(select p.complaint_id from complainant p where p.phone_hash = hash and p.complaint_id < last order by p.complaint_id desc limit 1000)
            when 'id_no' then array(select p.complaint_id from complainant p where p.id_hash = hash and p.complaint_id < last order by p.complaint_id desc limit 1000)
            else array(select p.complaint_id from complainant p where p.name_hash = hash and p.complaint_id < last order by p.complaint_id desc limit 1000) end;
        exit when part = '{}';
        found := found || array(select v from visible(part) v order by 1 desc);
        exit when cardinality(found) >= 1000 or cardinality(part) < 1000;
        last := part[cardinality(part)];
    end loop;
    found := found[:1000];
    perform audit_add('person_search', null, jsonb_build_object('kind', kind, 'found', cardinality(found), 'complaints', to_jsonb(found[1:100]), 'masked',
        case when kind = 'name' then left(called, 1) || '**'
             when length(digits) >= 11 then left(digits, 3) || '****' || right(digits, 4)
             else left(digits, 2) || '****' || right(digits, 1) end));
    return query select unnest(found);
end $$;

do $$ begin
    execute 'revoke execute on function search_grams(text, text, timestamptz), search_write(bigint[]), search_added(), search_changed(), search_begun(), search_complete(), unit_said(text, text, text, text), search_terms(text[]),
             find_newest(text[], int, timestamptz, timestamptz), find_among(bigint[], text[]), person_key(text, text), complainant_hashed() from public';
    execute 'grant execute on function find_newest(text[], int, timestamptz, timestamptz), find_among(bigint[], text[])
             to r_supervisor, r_leader, r_unit, r_service, r_department, r_discipline';
end $$;
