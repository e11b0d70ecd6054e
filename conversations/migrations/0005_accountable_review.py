import django.db.models.deletion
import django.utils.timezone
from typing import Any

from django.conf import settings
from django.db import migrations, models

PERMISSIONS = [
    ("list_conversations", "Can list conversations: whose, when and how they ended, without any content"),
    ("read_conversations", "Can read conversations: titles, prompts and answers"),
    ("read_reasoning", "Can read what models thought, beside what may be read"),
    ("export_conversations", "Can export what may be read"),
]

# Rows can only be appended. TRUNCATE does not fire row triggers, and SQLite's INSERT OR REPLACE does not fire them for
# the row it deletes, so these have triggers of their own. A migration that rebuilds this table must create them again.
POSTGRESQL = """
create function conversations_audit_refuse() returns trigger language plpgsql as $$
begin
    raise exception 'the audit trail is append-only: % refused', tg_op using errcode = 'insufficient_privilege';
end $$;
create function conversations_audit_follow() returns trigger language plpgsql as $$
begin
    if exists (select from conversations_auditentry where number >= new.number) then
        raise exception 'the audit trail is append-only: a row follows the last one' using errcode = 'insufficient_privilege';
    end if;
    return new;
end $$;
create trigger audit_refuses_changes before update or delete on conversations_auditentry
    for each row execute function conversations_audit_refuse();
create trigger audit_refuses_truncate before truncate on conversations_auditentry
    for each statement execute function conversations_audit_refuse();
create trigger audit_grows_at_its_end before insert on conversations_auditentry
    for each row execute function conversations_audit_follow();
"""
SQLITE = [
    """create trigger audit_refuses_update before update on conversations_auditentry
begin select raise(abort, 'the audit trail is append-only: UPDATE refused'); end""",
    """create trigger audit_refuses_delete before delete on conversations_auditentry
begin select raise(abort, 'the audit trail is append-only: DELETE refused'); end""",
    """create trigger audit_grows_at_its_end before insert on conversations_auditentry
when exists (select 1 from conversations_auditentry where number >= new.number)
begin select raise(abort, 'the audit trail is append-only: a row follows the last one'); end""",
]


def refuse_changes(apps: Any, schema_editor: Any) -> None:
    for statement in [POSTGRESQL] if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement, params=None)


def create_reviewers(apps: Any, schema_editor: Any) -> None:
    """Create the group `Reviewer` with the four permissions, which Django creates only after all migrations."""
    kind, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="conversations", model="conversation"
    )
    permission = apps.get_model("auth", "Permission")
    permission.objects.filter(content_type=kind).delete()
    made = [permission.objects.create(content_type=kind, codename=code, name=name) for code, name in PERMISSIONS]
    group, _ = apps.get_model("auth", "Group").objects.get_or_create(name="Reviewer")
    group.permissions.add(*made)


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("conversations", "0004_turns_as_a_tree"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="conversation", options={"default_permissions": (), "permissions": PERMISSIONS}
        ),
        migrations.AddField(
            model_name="user",
            name="review_groups",
            field=models.ManyToManyField(
                blank=True, related_name="reviewers", to="auth.group", verbose_name="groups this person reviews"
            ),
        ),
        migrations.AddField(
            model_name="user",
            name="review_limited",
            field=models.BooleanField(
                default=False,
                help_text="Without any group named below, a limited reviewer reviews nobody.",
                verbose_name="reviews only the groups below",
            ),
        ),
        migrations.CreateModel(
            name="Case",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reason", models.CharField(max_length=80)),
                ("note", models.TextField(blank=True)),
                ("begun_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "reviewer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="cases", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)),
                        fields=("reviewer",),
                        name="one_open_case_for_a_reviewer",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("number", models.PositiveBigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("act", models.CharField(max_length=12)),
                ("actor_id", models.BigIntegerField(null=True)),
                ("actor_name", models.CharField(blank=True, max_length=150)),
                ("role", models.CharField(blank=True, max_length=150)),
                ("address", models.CharField(blank=True, max_length=45)),
                ("case_id", models.BigIntegerField(null=True)),
                ("reason", models.CharField(blank=True, max_length=80)),
                ("note", models.TextField(blank=True)),
                ("owner_id", models.BigIntegerField(null=True)),
                ("conversation_id", models.UUIDField(null=True)),
                ("message_id", models.BigIntegerField(null=True)),
                ("details", models.JSONField(default=dict)),
                ("previous", models.CharField(max_length=64)),
                ("mac", models.CharField(max_length=64)),
            ],
            options={
                "default_permissions": ("view",),
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit entries",
                "indexes": [
                    models.Index(fields=["owner_id", "-number"], name="audit_told"),
                    models.Index(fields=["conversation_id", "-number"], name="audit_conversation"),
                ],
            },
        ),
        migrations.AlterModelOptions(
            name="auditentry",
            options={
                "default_permissions": ("view",),
                "managed": False,
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit entries",
            },
        ),
        migrations.RunPython(refuse_changes, migrations.RunPython.noop),
        migrations.RunPython(create_reviewers, migrations.RunPython.noop),
    ]
