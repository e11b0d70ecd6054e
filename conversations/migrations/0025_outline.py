from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0024_sessions_of_users")]

    operations = [
        migrations.AddField(model_name="message", name="outline", field=models.JSONField(null=True)),
        migrations.AddField(
            model_name="generation", name="repetition_at", field=models.PositiveIntegerField(null=True)
        ),
    ]
