from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

# An earlier version of the site, side by side with this one or after a rollback, does not know of tokens. So the
# database deletes them with their owner, and revokes them when the account is deactivated, whatever does that.
POSTGRESQL = [
    """alter table conversations_apitoken add constraint api_token_of_user
foreign key (owner_id) references conversations_user on delete cascade""",
    """create function conversations_revoke_tokens() returns trigger language plpgsql as $$
begin
    update conversations_apitoken set revoked_at = now() where owner_id = new.id and revoked_at is null;
    return null;
end $$""",
    """create trigger user_deactivated after update of is_active on conversations_user
for each row when (old.is_active and not new.is_active) execute function conversations_revoke_tokens()""",
]
# A migration for which Django rebuilds one of these tables must create its triggers again.
SQLITE = [
    """create trigger api_tokens_of_user after delete on conversations_user
begin
    delete from conversations_apitoken where owner_id = old.id;
end""",
    """create trigger user_deactivated after update of is_active on conversations_user
when old.is_active and not new.is_active
begin
    update conversations_apitoken set revoked_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
    where owner_id = new.id and revoked_at is null;
end""",
]


def add_triggers(_: Any, schema_editor: Any) -> None:
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0034_share_links")]

    operations = [
        migrations.CreateModel(
            name="ApiToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=60)),
                ("scopes", models.CharField(max_length=40)),
                ("digest", models.CharField(max_length=64, unique=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("expires_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(null=True)),
                ("revoked_at", models.DateTimeField(null=True)),
                (
                    "owner",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="api_tokens",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"default_permissions": ()},
        ),
        migrations.RunPython(add_triggers, migrations.RunPython.noop),
    ]
