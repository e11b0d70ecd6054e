from typing import Any

from django.db import migrations

# What an imported file says of generations counts as stored text too (0020): a file can have as much of it as of text.
# An earlier version of the site imports nothing. On PostgreSQL, writers wait until what is imported already is counted.
POSTGRESQL = [
    "lock table conversations_message in share row exclusive mode",
    """create or replace function conversations_add_stored_text() returns trigger language plpgsql as $$
declare
    added bigint := octet_length(new.content) + octet_length(new.reasoning);
begin
    if tg_op = 'UPDATE' then
        added := added - octet_length(old.content) - octet_length(old.reasoning);
    else
        added := added + coalesce(octet_length(new.imported::text), 0);
    end if;
    if added <> 0 then
        insert into conversations_storedtext as stored (user_id, bytes)
        select owner_id, added from conversations_conversation where id = new.conversation_id
        on conflict (user_id) do update set bytes = stored.bytes + excluded.bytes;
    end if;
    return null;
end $$""",
    """create or replace function conversations_remove_stored_text() returns trigger language plpgsql as $$
begin
    update conversations_storedtext as stored set bytes = stored.bytes - removed.bytes from (
        select owner_id, sum(
            octet_length(content) + octet_length(reasoning) + coalesce(octet_length(imported::text), 0)
        ) as bytes
        from deleted join conversations_conversation on conversations_conversation.id = conversation_id
        group by owner_id
    ) as removed where stored.user_id = removed.owner_id;
    return null;
end $$""",
    """update conversations_storedtext as stored set bytes = stored.bytes + added.bytes from (
    select owner_id, sum(octet_length(imported::text)) as bytes
    from conversations_conversation join conversations_message on conversations_conversation.id = conversation_id
    where imported_at is not null and imported is not null group by owner_id
) as added where stored.user_id = added.owner_id""",
]
# A migration for which Django rebuilds the table of messages must create the triggers again.
SQLITE = [
    "drop trigger stored_text_grows",
    "drop trigger stored_text_shrinks",
    """create trigger stored_text_grows after insert on conversations_message
when new.content <> '' or new.reasoning <> '' or new.imported is not null
begin
    insert into conversations_storedtext (user_id, bytes)
    select owner_id, length(cast(new.content as blob)) + length(cast(new.reasoning as blob))
        + coalesce(length(cast(new.imported as blob)), 0)
    from conversations_conversation where id = new.conversation_id
    on conflict (user_id) do update set bytes = bytes + excluded.bytes;
end""",
    """create trigger stored_text_shrinks after delete on conversations_message
when old.content <> '' or old.reasoning <> '' or old.imported is not null
begin
    update conversations_storedtext set bytes = bytes - length(cast(old.content as blob))
        - length(cast(old.reasoning as blob)) - coalesce(length(cast(old.imported as blob)), 0)
    where user_id = (select owner_id from conversations_conversation where id = old.conversation_id);
end""",
    """update conversations_storedtext set bytes = bytes + (
    select coalesce(sum(length(cast(imported as blob))), 0)
    from conversations_conversation join conversations_message on conversations_conversation.id = conversation_id
    where owner_id = user_id and imported_at is not null
)""",
]


def count_imported(_: Any, schema_editor: Any) -> None:
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0038_organisation")]

    operations = [migrations.RunPython(count_imported, migrations.RunPython.noop)]
