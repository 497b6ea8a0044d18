-- A project may fix all that its mints say of a session; null is as in the settings.
alter table project add column lock_session integer;

-- Each node counts its beats. One that others find silent is dead until it beats again: its sessions then count towards no limit.
create table node (
    name {text} primary key,
    beat bigint not null,
    dead integer not null
);
