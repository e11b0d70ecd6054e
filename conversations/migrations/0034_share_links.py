import uuid
from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

# An earlier version of the site, side by side with this one or after a rollback, does not know that there is more to
# delete.
POSTGRESQL = [
    """alter table conversations_share add constraint share_of_user
foreign key (owner_id) references conversations_user on delete cascade""",
    """alter table conversations_share add constraint share_of_conversation
foreign key (conversation_id) references conversations_conversation on delete cascade""",
]
# A migration for which Django rebuilds one of these tables must create its triggers again.
SQLITE = [
    """create trigger shares_of_conversation after delete on conversations_conversation
begin
    delete from conversations_share where conversation_id = old.id;
end""",
    """create trigger shares_of_user after delete on conversations_user
begin
    delete from conversations_share where owner_id = old.id;
end""",
]


def add_triggers(_: Any, schema_editor: Any) -> None:
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0033_composer_and_workers")]

    operations = [
        migrations.CreateModel(
            name="Share",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("token_hash", models.CharField(max_length=64, unique=True)),
                (
                    "audience",
                    models.CharField(
                        choices=[
                            ("members", "People who sign in here"),
                            ("public", "Everyone who has the link, without signing in"),
                        ],
                        db_default=models.Value("members"),
                        max_length=7,
                    ),
                ),
                ("with_reasoning", models.BooleanField(db_default=False)),
                ("with_files", models.BooleanField(db_default=False)),
                ("pins", models.JSONField()),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("end_reason", models.CharField(blank=True, db_default="", max_length=200)),
                ("visits", models.PositiveBigIntegerField(db_default=0)),
                (
                    "conversation",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="shares",
                        to="conversations.conversation",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="shares",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"default_permissions": ()},
        ),
        migrations.AddField("storedfile", "shared_key", models.UUIDField(null=True)),
        migrations.AddIndex(
            "storedfile",
            models.Index(condition=Q(shared_key__isnull=False), fields=["shared_key"], name="file_shared"),
        ),
        migrations.RunPython(add_triggers, migrations.RunPython.noop),
    ]
