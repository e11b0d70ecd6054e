from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0019_endpoint_error")]

    operations = [
        migrations.AddField(model_name="message", name="outline", field=models.JSONField(null=True)),
        migrations.AddField(
            model_name="generation", name="repetition_at", field=models.PositiveIntegerField(null=True)
        ),
    ]
