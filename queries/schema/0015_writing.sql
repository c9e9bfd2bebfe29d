-- Writing costs what it does, and not what planning it costs.

-- What the stretches of one complaint are is one long statement. Its plan is the same for every complaint, and making it took six times as long as running it.
alter function span_of(bigint[]) set plan_cache_mode = force_generic_plan;
alter function eventful(bigint[]) set plan_cache_mode = force_generic_plan;

-- An import writes what its complaints are found by once, at its end, instead of asking after each of them by itself.
drop trigger search_complete on complaint;
create constraint trigger search_complete after insert on complaint deferrable initially deferred for each row when (new.batch_id is null) execute function search_complete();
-- How long a list of what is not sorted into the index yet may become belongs to who writes: a short one where others search meanwhile and a single complaint
-- comes, a longer one for a file, which is sorted in at its end (a third of the time).
alter index search_grams reset (gin_pending_list_limit);
alter function search_write(bigint[]) set gin_pending_list_limit = '1MB';
create function search_imported() returns trigger language plpgsql security definer set search_path = desk, pg_temp set gin_pending_list_limit = '16MB' as $$
begin
    execute $q$
        insert into search_doc (complaint_id, received_at, no, body)
        select c.complaint_id, c.received_at, lower(c.complaint_no), lower(concat_ws(chr(1), mask_text(c.title), c.handler, mask_text(t.text), mask_text(t.demand)))
          from complaint c left join complaint_text t using (complaint_id)
         where c.source_id = $1 and c.batch_id = $2 and not exists (select from search_doc d where d.complaint_id = c.complaint_id)
         order by c.complaint_id $q$ using new.source_id, new.batch_id;
    perform gin_clean_pending_list('search_grams');
    return null;
end $$;
revoke execute on function search_imported() from public;
create constraint trigger search_imported after insert on import_batch deferrable initially deferred for each row execute function search_imported();

-- Readers look at up to so many touched complaints themselves (2,000 before): where an import has just touched more, reading all raw rows in the place of the
-- cells takes minutes of a large bank, and these seconds.
create or replace function rollup_touched(t timestamptz, zone text, catalogue text, lo bigint, hi bigint, most int default 20000) returns bigint[]
language plpgsql stable security definer set search_path = desk, pg_temp as $$
declare ids bigint[];
begin
    if not exists (select from rollup_head h where h.ready and h.zone = rollup_touched.zone and h.catalogue = rollup_touched.catalogue)
       or not exists (select from app_user u where u.user_id = me() and holds(u) and u.role in ('supervisor', 'leader', 'unit'))
       or not one_range() or not sees_all() and (lo < my_lo() or hi > my_hi()) then      -- beyond the scope some rows are seen, for other reasons than their place
        return null;
    end if;
    ids := array(select complaint_id from rollup_dirty limit 20 * most) || array(select complaint_id from rollup_fact where touched_at > t limit 20 * most);
    if cardinality(ids) >= 20 * most then return null; end if;
    ids := array(select distinct id from unnest(ids || about_me()) id);      -- complaints about the reader are in the cells, and not in what the reader sees
    return case when cardinality(ids) <= most then ids end;
end $$;
