from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

# Instructions count as stored text, like messages (0020). Versions are added and deleted, never changed.
POSTGRESQL = [
    """create function conversations_add_instructions() returns trigger language plpgsql as $$
begin
    insert into conversations_storedtext as stored (user_id, bytes)
    select owner_id, sum(octet_length(content)) from added group by owner_id
    on conflict (user_id) do update set bytes = stored.bytes + excluded.bytes;
    return null;
end $$""",
    """create trigger stored_instructions_grow after insert on conversations_instructions
referencing new table as added for each statement execute function conversations_add_instructions()""",
    """create function conversations_remove_instructions() returns trigger language plpgsql as $$
begin
    update conversations_storedtext as stored set bytes = stored.bytes - removed.bytes from (
        select owner_id, sum(octet_length(content)) as bytes from deleted group by owner_id
    ) as removed where stored.user_id = removed.owner_id;
    return null;
end $$""",
    """create trigger stored_instructions_shrink after delete on conversations_instructions
referencing old table as deleted for each statement execute function conversations_remove_instructions()""",
    # An earlier version of the site, side by side with this one, does not know that there is more to delete.
    """alter table conversations_instructions add constraint instructions_of_user
foreign key (owner_id) references conversations_user on delete cascade""",
    """alter table conversations_instructions add constraint instructions_of_conversation
foreign key (conversation_id) references conversations_conversation on delete cascade""",
]
# A migration for which Django rebuilds the table of instructions must create the triggers again.
SQLITE = [
    """create trigger stored_instructions_grow after insert on conversations_instructions
begin
    insert into conversations_storedtext (user_id, bytes)
    values (new.owner_id, length(cast(new.content as blob)))
    on conflict (user_id) do update set bytes = bytes + excluded.bytes;
end""",
    """create trigger stored_instructions_shrink after delete on conversations_instructions
begin
    update conversations_storedtext set bytes = bytes - length(cast(old.content as blob)) where user_id = old.owner_id;
end""",
]


def add_triggers(_: Any, schema_editor: Any) -> None:
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement, params=None)


def reference(related_name: str = "+", **options: Any) -> models.ForeignKey:
    """Return a reference to a version. Nullable, so that SQLite does not rebuild the table; see also the indexes."""
    return models.ForeignKey(
        "conversations.instructions",
        django.db.models.deletion.SET_NULL,
        null=True,
        db_index=False,
        related_name=related_name,
        **options,
    )


class Migration(migrations.Migration):
    dependencies = [("conversations", "0029_model_and_depth")]

    operations = [
        migrations.CreateModel(
            name="Instructions",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("content", models.TextField(blank=True, max_length=8000)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "conversation",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="instruction_versions",
                        to="conversations.conversation",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="instruction_versions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"default_permissions": ()},
        ),
        migrations.RunPython(add_triggers, migrations.RunPython.noop),
        migrations.AddField("generation", "prompt_estimate", models.PositiveIntegerField(null=True)),
        migrations.AddField("user", "instructions", reference("applied_to_user", editable=False)),
        migrations.AddField("conversation", "instructions", reference("applied_to")),
        migrations.AddField("generation", "user_instructions", reference()),
        migrations.AddField("generation", "conversation_instructions", reference()),
        # With a condition, so that they stay empty where nobody has instructions.
        migrations.AddIndex(
            "conversation",
            models.Index(
                condition=Q(instructions__isnull=False), fields=["instructions"], name="conversation_instructed"
            ),
        ),
        migrations.AddIndex(
            "generation",
            models.Index(
                condition=Q(user_instructions__isnull=False),
                fields=["user_instructions"],
                name="generation_user_instructed",
            ),
        ),
        migrations.AddIndex(
            "generation",
            models.Index(
                condition=Q(conversation_instructions__isnull=False),
                fields=["conversation_instructions"],
                name="generation_instructed",
            ),
        ),
    ]
