from typing import Any

import django.db.models.deletion
from django.db import migrations, models

RENAMED = {"item": "queueitem", "dayofuse": "dailycounts"}


def rename_content_types(apps: Any, schema_editor: Any) -> None:
    _rename(apps, RENAMED)


def restore_content_types(apps: Any, schema_editor: Any) -> None:
    _rename(apps, {new: old for old, new in RENAMED.items()})


def _rename(apps: Any, names: dict[str, str]) -> None:
    content_types = apps.get_model("contenttypes", "ContentType").objects.filter(app_label="conversations")
    for old, new in names.items():
        content_types.filter(model=old).update(model=new)


class Migration(migrations.Migration):
    """Python names only: tables and columns stay as they are, so older replicas keep running beside newer ones."""

    dependencies = [
        ("conversations", "0013_what_was_sent"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RunPython(rename_content_types, restore_content_types),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RenameModel("Item", "QueueItem"),
                migrations.AlterModelTable("QueueItem", "conversations_item"),
                migrations.AlterField(
                    "QueueItem",
                    "conversation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="queue_items",
                        to="conversations.conversation",
                    ),
                ),
                migrations.AlterField(
                    "QueueItem",
                    "message",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="queue_items",
                        to="conversations.message",
                    ),
                ),
                migrations.AlterField(
                    "QueueItem",
                    "rule",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="queue_items",
                        to="conversations.rule",
                    ),
                ),
                migrations.RenameModel("DayOfUse", "DailyCounts"),
                migrations.AlterModelTable("DailyCounts", "conversations_dayofuse"),
            ]
        ),
    ]
