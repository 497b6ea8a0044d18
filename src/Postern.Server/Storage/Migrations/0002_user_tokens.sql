-- The keys with which customers' backends sign user tokens, and the times before which such tokens are refused.

create table user_token_key (
    id {text} primary key,
    project_id {text} not null references project (id),
    name {text} not null,
    sealed {blob} not null,
    agents {text} not null,
    signer_encodes_json integer not null,
    created_at bigint not null,
    updated_at bigint not null,
    last_used_at bigint,
    cut_off bigint
);
create index user_token_key_by_project on user_token_key (project_id, created_at, id);

create table user_cut_off (
    project_id {text} not null references project (id),
    subject {text} not null,
    at bigint not null,
    primary key (project_id, subject)
);
