-- Domains whose pages may ask an agent for completions.

create table agent_domain (
    id {text} primary key,
    agent_id {text} not null references agent (id) on delete cascade,
    domain {text} not null,
    created_at bigint not null,
    unique (agent_id, domain)
);
