from typing import Any

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

# A worker of a version from before attachments would answer without them, and its statements cannot be changed. So the
# database leaves out the row when such a worker claims one in a conversation with files: its UPDATE matches nothing, as
# if another had been quicker, and one that reads files claims it.
POSTGRESQL = [
    """create function conversations_claim_with_files() returns trigger language plpgsql as $$
begin
    if exists (select from conversations_worker where id = new.worker_id and reads_files) then
        return new;
    end if;
    if exists (
        select from conversations_message message join conversations_attachment file on file.message_id = message.id
        where message.conversation_id = new.conversation_id
    ) then
        return null;
    end if;
    return new;
end $$""",
    """create trigger generation_with_files before update of worker_id on conversations_generation
for each row when (old.status = 'queued' and new.status = 'thinking')
execute function conversations_claim_with_files()""",
]
# A migration for which Django rebuilds the table of generations must create the trigger again.
SQLITE = [
    """create trigger generation_with_files before update of worker_id on conversations_generation
when old.status = 'queued' and new.status = 'thinking'
and not exists (select 1 from conversations_worker where id = new.worker_id and reads_files)
and exists (
    select 1 from conversations_message message join conversations_attachment file on file.message_id = message.id
    where message.conversation_id = new.conversation_id
)
begin
    select raise(ignore);
end"""
]


def add_trigger(_: Any, schema_editor: Any) -> None:
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0032_attachments")]

    # Nullable, so that SQLite does not rebuild the tables and an earlier version of the site can keep running.
    operations = [
        migrations.AddField("worker", "reads_files", models.BooleanField(null=True)),
        migrations.AddField(
            "attachment",
            "composer",
            models.ForeignKey(
                "conversations.conversation",
                django.db.models.deletion.CASCADE,
                null=True,
                related_name="waiting_files",
                db_constraint=False,
                db_index=False,
            ),
        ),
        migrations.AddIndex(
            "attachment",
            models.Index(fields=["composer"], condition=Q(composer__isnull=False), name="attachment_in_composer"),
        ),
        migrations.RunPython(add_trigger, migrations.RunPython.noop),
    ]
