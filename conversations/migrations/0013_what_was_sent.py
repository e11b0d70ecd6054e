from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0012_words_of_reasoning")]

    operations = [
        migrations.AddField(model_name="generation", name="request", field=models.JSONField(null=True)),
        migrations.AddField(
            model_name="generation", name="cached_tokens", field=models.PositiveIntegerField(null=True)
        ),
    ]
