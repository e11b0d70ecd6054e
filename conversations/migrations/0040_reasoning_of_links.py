from typing import Any

from django.db import migrations
from django.db.models import Exists, OuterRef


def leave_out_deleted_reasoning(apps: Any, _: Any) -> None:
    """Turn reasoning off in links that are older than a deletion of all the reasoning of their conversation.

    They show as many characters of reasoning as there were, so what was written after the deletion appeared in them.
    """
    deletions = apps.get_model("conversations", "AuditEntry").objects.filter(
        conversation_id=OuterRef("conversation_id"),
        act="pruned",
        details__reasoning_only=1,
        at__gte=OuterRef("created_at"),
    )
    links = apps.get_model("conversations", "Share").objects.filter(with_reasoning=True)
    links.filter(Exists(deletions)).update(with_reasoning=False)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0039_imported_text")]

    operations = [migrations.RunPython(leave_out_deleted_reasoning, migrations.RunPython.noop)]
