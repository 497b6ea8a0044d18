-- The second wall around what belongs to one end user: a connection sees the rows of its sight (Sight), whatever its queries ask for. Forced,
-- as the tables belong to the role that Postern connects as. A connection that has said nothing is refused by an error and not told that there
-- is nothing. Such are those of an older version that still runs beside this: it can neither read conversations nor write them any more.

{postgres}
alter table conversation enable row level security, force row level security;
create policy sight on conversation using (current_setting('postern.sight') in ('*', project_id, project_id || ' ' || subject));

alter table message enable row level security, force row level security;
create policy sight on message using (current_setting('postern.sight') = '*' or exists (select 1 from conversation where conversation.seq = message.conversation));

alter table vote enable row level security, force row level security;
create policy sight on vote using (current_setting('postern.sight') = '*' or exists (select 1 from conversation where conversation.seq = vote.conversation));

alter table memory enable row level security, force row level security;
create policy sight on memory using (current_setting('postern.sight') in ('*', project_id, project_id || ' ' || subject));

alter table memory_size enable row level security, force row level security;
create policy sight on memory_size using (current_setting('postern.sight') in ('*', project_id, project_id || ' ' || subject));
{/postgres}
