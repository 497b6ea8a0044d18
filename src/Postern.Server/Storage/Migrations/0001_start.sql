-- One text for both databases. {text} sorts and compares by bytes, {blob} and {identity} are the engine's own words for them.
-- Times are milliseconds since 1970-01-01 UTC.

create table project (
    id {text} primary key,
    name {text} not null,
    dialect {text},
    default_access {text},
    created_at bigint not null
);

create table api_key (
    id {text} primary key,
    project_id {text} not null references project (id),
    name {text} not null,
    prefix {text} not null,
    hash {blob} not null unique,
    scopes integer not null,
    created_at bigint not null,
    revoked_at bigint
);

create table signing_key (
    id {text} primary key,
    sealed {blob} not null,
    state {text} not null,
    created_at bigint not null,
    verifies_until bigint
);

create table agent (
    id {text} primary key,
    project_id {text} not null references project (id),
    name {text} not null,
    dialect {text} not null,
    document {text} not null,
    private_by_default integer not null,
    upstream_url {text},
    upstream_headers {blob},
    media_url {text},
    media_secret {blob},
    only_dialects {text} not null default '',
    created_at bigint not null,
    updated_at bigint not null
);
create index agent_by_project on agent (project_id, created_at, id);

create table session (
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
    detail {text}
);
create index session_open on session (node) where ended_at is null;

create table conversation (
    id {text} primary key,
    project_id {text} not null,
    agent_id {text} not null,
    subject {text},
    claimed_subject {text},
    credential_id {text},
    authorization_method {text} not null,
    initiation {text} not null,
    text_only integer not null,
    started_at bigint not null,
    ended_at bigint,
    end_reason {text},
    close_code integer,
    detail {text},
    message_count integer not null default 0,
    likes integer not null default 0,
    dislikes integer not null default 0,
    feedback {text},
    rating integer,
    comment {text}
);
create index conversation_by_project on conversation (project_id, started_at, id);

create table turn (
    conversation_id {text} not null references conversation (id) on delete cascade,
    position integer not null,
    role {text} not null,
    message {text} not null,
    at bigint not null,
    primary key (conversation_id, position)
);

create table agent_alias (
    project_id {text} not null references project (id),
    alias {text} not null,
    agent_id {text} not null references agent (id) on delete cascade,
    primary key (project_id, alias)
);

create table credential (
    id {text} primary key,
    project_id {text} not null,
    agent_id {text},
    kind {text} not null,
    subject {text},
    key_id {text} not null,
    hash {blob} unique,
    minted_at bigint not null,
    start_by bigint not null,
    uses integer,
    max_duration bigint,
    origins {text} not null,
    fixed {text},
    revoked_at bigint
);

create table revocation (
    credential_id {text} primary key,
    at bigint not null,
    until bigint not null
);

create table redemption (
    credential_id {text} primary key,
    uses integer not null,
    first_at bigint not null
);

create table try_code (
    hash {blob} primary key,
    created_at bigint not null,
    expires_at bigint not null,
    used_at bigint
);

create table speaker (
    project_id {text} not null references project (id),
    name {text} not null,
    id {text} not null unique,
    created_at bigint not null,
    primary key (project_id, name)
);

create table audit (
    seq {identity},
    at bigint not null,
    name {text} not null,
    project_id {text},
    agent_id {text},
    key_id {text},
    credential_id {text},
    session_id {text},
    subject {text},
    reason {text},
    detail {text},
    address {text},
    occurrences integer not null
);

create index audit_by_credential on audit (credential_id) where credential_id is not null;

create table change (
    seq bigint primary key,
    kind {text} not null,
    id {text} not null
);

create table counter (
    name {text} primary key,
    value bigint not null
);
insert into counter (name, value) values ('change', 0);
