-- A personal access token's text begins with its id, so that its row is found by that, and no second tree is written at every mint. What a mint
-- fixes stands alone, sealed, under the credential's id. Nothing is carried over: personal access tokens and credentials with fixed values live
-- for a day at the most, and those of before are refused from now on: mint them anew. A node of before refuses those of now, as it must.

drop index credential_by_hash;
delete from credential where kind <> 'PersonalAccessToken';
update credential set fixed = null where fixed is not null;

create table fixed_values (
    credential_id {text} primary key,
    sealed {blob} not null,
    until bigint not null
){clustered};
