import uuid
from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

# Files count as stored text, like messages (0020). An earlier version of the site, side by side with this one or after
# a rollback, does not know that there is more to delete, so the database deletes attachments with their message or
# owner. Whatever deletes an attachment, its stored file is then looked at.
POSTGRESQL = [
    """create function conversations_count_files() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' and old.owner_id is not null then
        update conversations_storedtext set bytes = bytes - old.bytes where user_id = old.owner_id;
    end if;
    if tg_op <> 'DELETE' and new.owner_id is not null then
        insert into conversations_storedtext as stored (user_id, bytes) values (new.owner_id, new.bytes)
        on conflict (user_id) do update set bytes = stored.bytes + excluded.bytes;
    end if;
    return null;
end $$""",
    """create trigger stored_files_counted after insert or delete or update of bytes on conversations_storedfile
for each row execute function conversations_count_files()""",
    """create function conversations_release_file() returns trigger language plpgsql as $$
begin
    update conversations_storedfile set released = true where id = old.stored_id;
    return null;
end $$""",
    """create trigger attachment_released after delete on conversations_attachment
for each row execute function conversations_release_file()""",
    """alter table conversations_attachment add constraint attachment_of_user
foreign key (owner_id) references conversations_user on delete cascade""",
    """alter table conversations_attachment add constraint attachment_of_message
foreign key (message_id) references conversations_message on delete cascade""",
    """alter table conversations_storedfile add constraint file_of_user
foreign key (owner_id) references conversations_user on delete set null""",
]
# A migration for which Django rebuilds one of these tables must create its triggers again.
SQLITE = [
    """create trigger stored_files_grow after insert on conversations_storedfile when new.owner_id is not null
begin
    insert into conversations_storedtext (user_id, bytes) values (new.owner_id, new.bytes)
    on conflict (user_id) do update set bytes = bytes + excluded.bytes;
end""",
    """create trigger stored_files_change after update of bytes on conversations_storedfile
begin
    update conversations_storedtext set bytes = bytes + new.bytes - old.bytes where user_id = new.owner_id;
end""",
    """create trigger stored_files_shrink after delete on conversations_storedfile
begin
    update conversations_storedtext set bytes = bytes - old.bytes where user_id = old.owner_id;
end""",
    """create trigger attachment_released after delete on conversations_attachment
begin
    update conversations_storedfile set released = 1 where id = old.stored_id;
end""",
    """create trigger attachments_of_message after delete on conversations_message
begin
    delete from conversations_attachment where message_id = old.id;
end""",
    """create trigger attachments_of_user after delete on conversations_user
begin
    delete from conversations_attachment where owner_id = old.id;
    update conversations_storedfile set owner_id = null where owner_id = old.id;
end""",
]


def add_triggers(_: Any, schema_editor: Any) -> None:
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement, params=None)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0031_title_source")]

    operations = [
        migrations.CreateModel(
            name="StoredFile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.UUIDField(default=uuid.uuid4, unique=True)),
                (
                    "state",
                    models.CharField(
                        choices=[("writing", "Writing"), ("stored", "Stored"), ("deleting", "Deleting")],
                        db_default=models.Value("writing"),
                        max_length=8,
                    ),
                ),
                ("released", models.BooleanField(db_default=False)),
                ("changed_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("sha256", models.CharField(max_length=64)),
                ("size", models.BigIntegerField()),
                ("bytes", models.BigIntegerField()),
                ("kind", models.CharField(blank=True, db_default="", max_length=12)),
                ("media_type", models.CharField(blank=True, db_default="", max_length=100)),
                ("picture_type", models.CharField(blank=True, db_default="", max_length=20)),
                ("width", models.PositiveIntegerField(db_default=0)),
                ("height", models.PositiveIntegerField(db_default=0)),
                ("text_bytes", models.BigIntegerField(db_default=0)),
                ("notice", models.TextField(blank=True, db_default="")),
                ("text", models.TextField(blank=True, db_default="")),
                (
                    "owner",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="stored_files",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        condition=Q(state="stored"), fields=["owner", "sha256"], name="one_stored_file_of_a_content"
                    )
                ],
                "indexes": [
                    models.Index(
                        condition=Q(released=True) | ~Q(state="stored"), fields=["id"], name="file_to_clean_up"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Attachment",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=200)),
                ("position", models.PositiveSmallIntegerField(db_default=0)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "message",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attachments",
                        to="conversations.message",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attachments",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "stored",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="attachments",
                        to="conversations.storedfile",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(condition=Q(message=None), fields=["created_at"], name="attachment_unsent")],
            },
        ),
        # Whether the site has begun to use a storage: then it must find its marker there.
        migrations.AddField("site", "has_storage", models.BooleanField(db_default=False)),
        migrations.RunPython(add_triggers, migrations.RunPython.noop),
    ]
