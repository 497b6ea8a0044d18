-- How many sessions of an agent with limits have begun on a day (of UTC, counted from 1970), and who holds those with public agents.

create table agent_day (
    agent_id {text} primary key,
    day bigint not null,
    sessions bigint not null
);

alter table session add column public_address {text};

create index session_open_by_agent on session (agent_id) where ended_at is null;
create index session_open_by_address on session (public_address) where ended_at is null and public_address is not null;
