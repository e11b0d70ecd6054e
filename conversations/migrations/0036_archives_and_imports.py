import uuid
from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

import conversations.models.archive

# An earlier version, side by side with this one or after a rollback, deletes users without knowing of their archives.
POSTGRESQL = [
    """alter table conversations_archive add constraint archive_of_user
foreign key (owner_id) references conversations_user on delete set null""",
]
SQLITE = [
    """create trigger archives_of_user after delete on conversations_user
begin
    update conversations_archive set owner_id = null where owner_id = old.id;
end""",
]


def add_triggers(_: Any, schema_editor: Any) -> None:
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0035_api_tokens")]

    operations = [
        # Nullable, so that SQLite does not rebuild the tables, and an earlier version of the site can keep running.
        migrations.AddField("conversation", "imported_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "conversation",
            "imported_from",
            models.CharField(
                choices=[
                    ("ponder", "an export of this kind of site"),
                    ("chatgpt", "ChatGPT"),
                    ("open-webui", "Open WebUI"),
                    ("shared", "a shared link"),
                ],
                max_length=10,
                null=True,
            ),
        ),
        migrations.AddField("conversation", "source_id", models.CharField(max_length=200, null=True)),
        migrations.AddField("conversation", "source_digest", models.CharField(max_length=64, null=True)),
        migrations.AddConstraint(
            "conversation",
            models.UniqueConstraint(
                condition=Q(source_digest__isnull=False), fields=["owner", "source_digest"], name="imported_once"
            ),
        ),
        migrations.AddField("message", "imported", models.JSONField(null=True)),
        migrations.CreateModel(
            name="Archive",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("writing", "Writing"),
                            ("ready", "Ready"),
                            ("failed", "Failed"),
                            ("deleting", "Deleting"),
                            ("deleted", "Deleted"),
                        ],
                        default="queued",
                        max_length=8,
                    ),
                ),
                ("reasoning", models.BooleanField()),
                ("attempt", models.PositiveSmallIntegerField(default=0)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("beat_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField(default=conversations.models.archive.expiry)),
                ("size", models.BigIntegerField(null=True)),
                ("error", models.TextField(blank=True)),
                (
                    "owner",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="archives",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        condition=Q(owner=None) | Q(state__in=["queued", "writing", "deleting"]),
                        fields=["state"],
                        name="archive_to_do",
                    ),
                    models.Index(fields=["expires_at"], name="archive_expiry"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=Q(state__in=("queued", "writing")), fields=["owner"], name="one_archive_at_a_time"
                    )
                ],
            },
        ),
        migrations.RunPython(add_triggers, migrations.RunPython.noop),
    ]
