from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

# An earlier version of the site, side by side with this one or after a rollback, does not know that there is more to
# delete. It deletes conversations before their owner.
TABLES = {"folder": "folders_of_user", "savedprompt": "saved_prompts_of_user"}
POSTGRESQL = """alter table conversations_{0} add constraint {1}
foreign key (owner_id) references conversations_user on delete cascade"""
# A migration for which Django rebuilds the table of users must create the triggers again.
SQLITE = """create trigger {1} after delete on conversations_user
begin
    delete from conversations_{0} where owner_id = old.id;
end"""


def add_triggers(_: Any, schema_editor: Any) -> None:
    statement = POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE
    for names in TABLES.items():
        schema_editor.execute(statement.format(*names), params=None)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0037_deletion")]

    operations = [
        migrations.CreateModel(
            name="Folder",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=60)),
                ("key", models.CharField(editable=False, max_length=180)),
                (
                    "owner",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="folders",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=["owner", "key"], name="one_folder_of_a_name")],
            },
        ),
        migrations.CreateModel(
            name="SavedPrompt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=60)),
                ("text", models.TextField(max_length=8000)),
                (
                    "owner",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="saved_prompts",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"default_permissions": ()},
        ),
        # Nullable and without a default, so that SQLite does not rebuild the table.
        migrations.AddField(
            "conversation",
            "folder",
            models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="conversations",
                to="conversations.folder",
            ),
        ),
        migrations.AddIndex(
            "conversation",
            models.Index(
                condition=Q(folder=None),
                fields=["owner", "-placement", "-updated_at", "-id"],
                name="listed_in_no_folder",
            ),
        ),
        migrations.AddIndex(
            "conversation",
            models.Index(
                condition=Q(folder__isnull=False),
                fields=["folder", "-placement", "-updated_at", "-id"],
                name="listed_in_folder",
            ),
        ),
        migrations.RunPython(add_triggers, migrations.RunPython.noop),
    ]
