import uuid
from typing import Any

from django.db import migrations, models
from django.db.models import Q


def create_site(apps: Any, schema_editor: Any) -> None:
    # In the transaction that creates the table, so that no other process can add another row.
    apps.get_model("conversations", "Site").objects.create(pk=1)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0015_reword_labels")]

    operations = [
        migrations.CreateModel(
            name="Site",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False)),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.CheckConstraint(condition=Q(pk=1), name="one_site")],
            },
        ),
        migrations.RunPython(create_site, migrations.RunPython.noop),
    ]
