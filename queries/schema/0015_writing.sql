-- Writing costs what it does, and not what planning it costs.

-- What the stretches of one complaint are is one long statement. Its plan is the same for every complaint, and making it took six times as long as running it.
alter function span_of(bigint[]) set plan_cache_mode = force_generic_plan;

-- An import writes what its complaints are found by once, at its end, instead of asking after each of them by itself.
drop trigger search_complete on complaint;
create constraint trigger search_complete after insert on complaint deferrable initially deferred for each row when (new.batch_id is null) execute function search_complete();
create function search_imported() returns trigger language plpgsql security definer set search_path = desk, pg_temp as $$
begin
    perform search_write(array(select c.complaint_id from complaint c
                                where c.source_id = new.source_id and c.batch_id = new.batch_id
                                  and not exists (select from search_doc d where d.complaint_id = c.complaint_id)));
    return null;
end $$;
revoke execute on function search_imported() from public;
create constraint trigger search_imported after insert on import_batch deferrable initially deferred for each row execute function search_imported();
