-- A personal access token's text begins with its id, so that its row is found by that, and no second tree is written at every mint. Texts of
-- before, which live for a day at the most, hold none and are unknown from now on: mint them anew. What a mint fixes stands alone, under the
-- credential's id; a node of before finds none and refuses to open such a credential, as it must.

drop index credential_by_hash;

create table fixed_values (
    credential_id {text} primary key,
    said {text} not null
){clustered};

insert into fixed_values (credential_id, said) select id, fixed from credential where fixed is not null;
delete from credential where kind <> 'PersonalAccessToken';
