from typing import Any

import django.db.models.deletion
from django.db import migrations, models

CONVERSATIONS = """
update conversations_feedback set conversation_id = (
    select conversation_id from conversations_message where id = conversations_feedback.message_id
)
"""


def check_now(apps: Any, schema_editor: Any) -> None:
    """Check the new references now, because PostgreSQL cannot alter a table with pending deferred checks."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("set constraints all immediate")


class Migration(migrations.Migration):
    dependencies = [("conversations", "0010_legal_holds")]

    operations = [
        migrations.CreateModel(
            name="DayOfUse",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("zone", models.CharField(max_length=64)),
                ("day", models.DateField()),
                ("counts", models.JSONField(default=dict)),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("zone", "day"), name="one_count_of_a_day")],
            },
        ),
        migrations.AddField(
            model_name="feedback",
            name="conversation",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="conversations.conversation",
            ),
        ),
        migrations.RunSQL(CONVERSATIONS, migrations.RunSQL.noop),
        migrations.RunPython(check_now, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="feedback",
            name="conversation",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="conversations.conversation",
            ),
        ),
    ]
