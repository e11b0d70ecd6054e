import django.db.models.deletion
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps
from django.utils import timezone


def record_sessions(apps: StateApps, _: BaseDatabaseSchemaEditor) -> None:
    """Record the sessions that exist, so that people can list and end them."""
    UserSession = apps.get_model("conversations", "UserSession")
    users = set(apps.get_model("conversations", "User").objects.values_list("pk", flat=True))
    sessions = apps.get_model("sessions", "Session").objects.filter(expire_date__gt=timezone.now())
    store, found = SessionStore(), []
    for key, data in sessions.values_list("session_key", "session_data").iterator():
        user = store.decode(data).get(SESSION_KEY, "")
        if user.isdigit() and int(user) in users:
            found.append(UserSession(session_key=key, user_id=int(user)))
    UserSession.objects.bulk_create(found, batch_size=1000)


class Migration(migrations.Migration):
    dependencies = [("conversations", "0023_sign_in"), ("sessions", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="UserSession",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("session_key", models.CharField(max_length=40, unique=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"default_permissions": ()},
        ),
        migrations.RunPython(record_sessions, migrations.RunPython.noop),
    ]
