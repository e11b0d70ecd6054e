from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

# Created before the sizes are added up: on PostgreSQL, this locks out writers until all of it is committed.
POSTGRESQL = [
    """create function conversations_add_stored_text() returns trigger language plpgsql as $$
declare
    added bigint := octet_length(new.content) + octet_length(new.reasoning);
begin
    if tg_op = 'UPDATE' then
        added := added - octet_length(old.content) - octet_length(old.reasoning);
    end if;
    if added <> 0 then
        insert into conversations_storedtext as stored (user_id, bytes)
        select owner_id, added from conversations_conversation where id = new.conversation_id
        on conflict (user_id) do update set bytes = stored.bytes + excluded.bytes;
    end if;
    return null;
end $$""",
    """create trigger stored_text_grows after insert or update of content, reasoning on conversations_message
for each row execute function conversations_add_stored_text()""",
    """create function conversations_remove_stored_text() returns trigger language plpgsql as $$
begin
    update conversations_storedtext as stored set bytes = stored.bytes - removed.bytes from (
        select owner_id, sum(octet_length(content) + octet_length(reasoning)) as bytes
        from deleted join conversations_conversation on conversations_conversation.id = conversation_id
        group by owner_id
    ) as removed where stored.user_id = removed.owner_id;
    return null;
end $$""",
    """create trigger stored_text_shrinks after delete on conversations_message
referencing old table as deleted for each statement execute function conversations_remove_stored_text()""",
    """insert into conversations_storedtext (user_id, bytes)
select owner_id, sum(octet_length(content)::bigint + octet_length(reasoning))
from conversations_message join conversations_conversation on conversations_conversation.id = conversation_id
group by owner_id""",
]
# A migration for which Django rebuilds the table of messages must create the triggers again.
SQLITE = [
    """create trigger stored_text_grows after insert on conversations_message
when new.content <> '' or new.reasoning <> ''
begin
    insert into conversations_storedtext (user_id, bytes)
    select owner_id, length(cast(new.content as blob)) + length(cast(new.reasoning as blob))
    from conversations_conversation where id = new.conversation_id
    on conflict (user_id) do update set bytes = bytes + excluded.bytes;
end""",
    """create trigger stored_text_changes after update of content, reasoning on conversations_message
begin
    insert into conversations_storedtext (user_id, bytes)
    select owner_id, length(cast(new.content as blob)) + length(cast(new.reasoning as blob))
        - length(cast(old.content as blob)) - length(cast(old.reasoning as blob))
    from conversations_conversation where id = new.conversation_id
    on conflict (user_id) do update set bytes = bytes + excluded.bytes;
end""",
    """create trigger stored_text_shrinks after delete on conversations_message
when old.content <> '' or old.reasoning <> ''
begin
    update conversations_storedtext set bytes = bytes - length(cast(old.content as blob))
        - length(cast(old.reasoning as blob))
    where user_id = (select owner_id from conversations_conversation where id = old.conversation_id);
end""",
    """insert into conversations_storedtext (user_id, bytes)
select owner_id, sum(length(cast(content as blob)) + length(cast(reasoning as blob)))
from conversations_message join conversations_conversation on conversations_conversation.id = conversation_id
group by owner_id""",
]


def count_stored_text(apps: Any, schema_editor: Any) -> None:
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("conversations", "0019_endpoint_error"),
    ]

    operations = [
        migrations.CreateModel(
            name="StoredText",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="stored_text",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("bytes", models.BigIntegerField(db_default=0)),
            ],
            options={"default_permissions": ()},
        ),
        migrations.RunPython(count_stored_text, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="generation",
            index=models.Index(condition=Q(status="queued"), fields=["owner"], name="generation_queued_by"),
        ),
        migrations.AddIndex(
            model_name="generation",
            index=models.Index(condition=Q(status="queued"), fields=["id"], name="generation_queue"),
        ),
    ]
