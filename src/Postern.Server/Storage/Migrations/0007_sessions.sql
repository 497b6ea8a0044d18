-- How long the sessions of one credential have lasted is asked whenever a client secret with a longest duration is presented.
create index session_by_credential on session (credential_id) where credential_id is not null;

-- Clients hang up sessions in rooms by their id alone, at whatever node; others end with their connection.
alter table session add column in_room integer not null default 0;
