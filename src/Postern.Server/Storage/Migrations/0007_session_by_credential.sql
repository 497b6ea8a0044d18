-- How long the sessions of one credential have lasted is asked whenever a client secret with a longest duration is presented.
create index session_by_credential on session (credential_id) where credential_id is not null;
