from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# An earlier version of the site, side by side with this one or after a rollback, does not know that there is more to
# delete.
POSTGRESQL = """alter table conversations_sharedcopy add constraint shared_copies_of_user
foreign key (owner_id) references conversations_user on delete cascade"""
# A migration for which Django rebuilds the table of users must create the trigger again.
SQLITE = """create trigger shared_copies_of_user after delete on conversations_user
begin
    delete from conversations_sharedcopy where owner_id = old.id;
end"""


def add_trigger(_: Any, schema_editor: Any) -> None:
    statement = POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE
    schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0040_reasoning_of_links")]

    operations = [
        migrations.CreateModel(
            name="SharedCopy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("made_at", models.DateTimeField()),
                (
                    "owner",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="shared_copies",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"default_permissions": ()},
        ),
        migrations.RunPython(add_trigger, migrations.RunPython.noop),
    ]
