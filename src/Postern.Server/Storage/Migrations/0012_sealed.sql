-- What a mint fixes lies sealed, until two days after. What stood in clear is not carried over: credentials with fixed values live for a day at
-- the most, and those of before are refused from now on: mint them anew.

drop table fixed_values;
update credential set fixed = null where fixed is not null;

create table fixed_values (
    credential_id {text} primary key,
    sealed {blob} not null,
    until bigint not null
){clustered};
