-- Rows that are written on the way to a credential or a session stand in the tree of their key, which begins with their time: on SQLite a
-- table's rows and its key were two trees, each with its own page in every commit. A signed credential has no hash to be found by. Nodes that run
-- beside this must not write into tables that are about to go.

{postgres}lock table credential, session in access exclusive mode;{/postgres}

create table credential_clustered (
    id {text} primary key,
    project_id {text} not null,
    agent_id {text},
    kind {text} not null,
    subject {text},
    key_id {text} not null,
    hash {blob},
    minted_at bigint not null,
    start_by bigint not null,
    uses integer,
    max_duration bigint,
    origins {text} not null,
    fixed {text},
    revoked_at bigint
){clustered};

insert into credential_clustered (id, project_id, agent_id, kind, subject, key_id, hash, minted_at, start_by, uses, max_duration, origins, fixed, revoked_at)
    select id, project_id, agent_id, kind, subject, key_id, hash, minted_at, start_by, uses, max_duration, origins, fixed, revoked_at from credential;
drop table credential;
alter table credential_clustered rename to credential;
create unique index credential_by_hash on credential (hash) where hash is not null;

create table session_clustered (
    id {text} primary key,
    project_id {text} not null,
    agent_id {text} not null,
    credential_id {text},
    subject {text},
    node {text} not null,
    started_at bigint not null,
    end_by bigint not null,
    ended_at bigint,
    end_reason {text},
    close_code integer,
    detail {text},
    public_address {text},
    in_room integer not null default 0
){clustered};

insert into session_clustered (id, project_id, agent_id, credential_id, subject, node, started_at, end_by, ended_at, end_reason, close_code, detail, public_address, in_room)
    select id, project_id, agent_id, credential_id, subject, node, started_at, end_by, ended_at, end_reason, close_code, detail, public_address, in_room from session;
drop table session;
alter table session_clustered rename to session;
create index session_open on session (node) where ended_at is null;
create index session_open_by_agent on session (agent_id) where ended_at is null;
create index session_open_by_address on session (public_address) where ended_at is null and public_address is not null;
create index session_by_credential on session (credential_id) where credential_id is not null;
