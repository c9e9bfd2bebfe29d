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
