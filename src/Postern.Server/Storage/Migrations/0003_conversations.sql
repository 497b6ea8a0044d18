-- Conversations belong to (project, agent, subject, id), and what was said is sealed. The rows of before are sealed and moved by
-- ConversationMove, which SQL cannot do; then it drops these tables.

alter table project add column retention_days integer not null default 90;

alter table conversation rename to former_conversation;
alter table turn rename to former_turn;
drop index conversation_by_project;

create table conversation (
    seq {identity},
    project_id {text} not null,
    agent_id {text} not null,
    subject {text} not null,
    id {text} not null,
    is_session integer not null,
    claimed_subject {text},
    credential_id {text},
    authorization_method {text} not null default '',
    text_only integer not null default 0,
    initiation {blob},
    title {blob},
    started_at bigint not null,
    active_at bigint not null,
    ended_at bigint,
    end_reason {text},
    close_code integer,
    detail {text},
    message_count integer not null default 0,
    input_tokens bigint not null default 0,
    output_tokens bigint not null default 0,
    likes integer not null default 0,
    dislikes integer not null default 0,
    feedback {text},
    rating integer,
    comment {blob},
    unique (project_id, agent_id, subject, id)
);
create index conversation_by_id on conversation (id);
create index conversation_by_start on conversation (project_id, started_at, id);
create index conversation_by_agent on conversation (project_id, agent_id, active_at);
create index conversation_by_subject on conversation (project_id, subject, active_at);

create table message (
    seq {identity},
    conversation bigint not null references conversation (seq) on delete cascade,
    id {text} not null,
    role {text} not null,
    from_agent integer not null,
    sealed {blob} not null,
    at bigint not null,
    input_tokens integer,
    output_tokens integer,
    unique (conversation, id)
);
create index message_by_id on message (id) where from_agent = 1;

create table vote (
    id {text} primary key,
    conversation bigint not null references conversation (seq) on delete cascade,
    message_id {text} not null,
    value integer not null,
    sealed {blob} not null,
    created_at bigint not null,
    updated_at bigint not null,
    unique (conversation, message_id)
);

create table memory (
    id {text} primary key,
    project_id {text} not null,
    agent_id {text} not null,
    subject {text} not null,
    kind {text} not null,
    sealed {blob} not null,
    created_at bigint not null,
    updated_at bigint not null
);
create index memory_by_owner on memory (project_id, agent_id, subject, updated_at);
create index memory_by_subject on memory (project_id, subject);

-- What each end user's memory holds: one row, changed under its lock, keeps two writers from passing the limit together.
create table memory_size (
    project_id {text} not null,
    agent_id {text} not null,
    subject {text} not null,
    records integer not null,
    bytes bigint not null,
    primary key (project_id, agent_id, subject)
);

insert into counter (name, value) values ('conversation_sweep', 0);
insert into counter (name, value) values ('change_kept_from', 0);
