-- What was urged in a period, by the day of a complaint's last urge (five numbers an urge, the day first): of a month these are few, of all that was ever urged at a channel many.
create index rollup_fact_urged_last on rollup_fact ((urges[cardinality(urges) - 4]), label, channel_id, category_id) where urges is not null;
