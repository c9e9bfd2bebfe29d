-- A number is looked for by its fours alone. A pair of digits stands in every complaint, and the fours hold all pairs: to ask for both made the index read a
-- million places to say what it had said already. What stands beside a number (宁B2026) keeps the pair across the border.
create or replace function search_terms(words text[]) returns table (holds text, grams text, labels bigint[]) language plpgsql stable set search_path = desk, pg_temp as $$
declare
    word text; low text; shown text; c text[];
    about int[]; now_at int[];
begin
    foreach word in array words loop
        word := translate(word, '０１２３４５６７８９＠', '0123456789@');
        shown := '%' || regexp_replace(word, '([\\%_])', '\\\1', 'g') || '%';
        low := lower(shown);
        c := string_to_array(regexp_replace(lower(word), '([!-~])[!-~]{2,}([!-~])', '\1' || chr(2) || '\2', 'g'), null);
        select string_agg(format('''%s''%s', replace(replace(g.gram, '\', '\\'), '''', ''''''), g.open), ' & ') into grams from (
            select x || coalesce(y, '') as gram, case when y is null then ':*' else '' end as open
              from unnest(c, c[2:]) as u(x, y)
             where (y is not null or cardinality(c) = 1) and chr(2) not in (x, coalesce(y, ''))
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

-- What many complaints are found by is sorted into the index some thousands at a time and not a few hundred: 150,000 with their texts in 16 s instead of 27. Nobody reads a
-- long list meanwhile: it is sorted in before anything else is written. Of few complaints the list stays as short as it was.
alter index search_grams reset (gin_pending_list_limit);
create or replace function search_write(ids bigint[]) returns void language plpgsql security definer set search_path = desk, pg_temp as $$
declare many boolean := cardinality(ids) > 1000;
begin
    perform set_config('gin_pending_list_limit', case when many then '8192' else '1024' end, true);
    if many then perform set_config('work_mem', '16MB', true); end if;
    perform from search_doc where complaint_id = any (ids) order by complaint_id for update;
    insert into search_doc as d (complaint_id, received_at, no, body)
    select c.complaint_id, c.received_at, lower(c.complaint_no),
           lower(concat_ws(chr(1), mask_text(c.title), c.handler, mask_text(t.text), mask_text(t.demand)))
      from complaint c left join complaint_text t using (complaint_id)
     where c.complaint_id = any (ids)
     order by c.complaint_id
        on conflict (complaint_id) do update set received_at = excluded.received_at, no = excluded.no, body = excluded.body
     where (d.received_at, d.no, d.body) is distinct from (excluded.received_at, excluded.no, excluded.body);
    if many then perform gin_clean_pending_list(to_regclass('search_grams')); end if;      -- not while a bench fills tables without their indexes
end $$;

-- That too much was touched since a moment is known after a few looks: of a past moment of a busy desk it was said after four hundred thousand, at 100 ms each time.
create or replace function rollup_touched(t timestamptz, zone text, catalogue text, lo bigint, hi bigint, most int default 2000) returns bigint[]
language plpgsql stable security definer set search_path = desk, pg_temp as $$
declare waiting bigint[]; folded bigint[]; ids bigint[];
begin
    if not exists (select from rollup_head h where h.ready and h.zone = rollup_touched.zone and h.catalogue = rollup_touched.catalogue)
       or not exists (select from app_user u where u.user_id = me() and holds(u) and u.role in ('supervisor', 'leader', 'unit'))
       or not one_range() or not sees_all() and (lo < my_lo() or hi > my_hi()) then      -- beyond the scope some rows are seen, for other reasons than their place
        return null;
    end if;
    folded := array(select complaint_id from rollup_fact where touched_at > t limit 2 * most);          -- two clocks a complaint
    if cardinality(folded) >= 2 * most then return null; end if;
    waiting := array(select complaint_id from rollup_dirty limit 20 * most);                            -- as often as it was touched
    if cardinality(waiting) >= 20 * most then return null; end if;
    ids := array(select distinct id from unnest(waiting || folded || about_me()) id);      -- complaints about the reader are in the cells, and not in what the reader sees
    return case when cardinality(ids) <= most then ids end;
end $$;
