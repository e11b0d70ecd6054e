from django.db import migrations, models

DEPTHS = [("quick", "Quick"), ("normal", "Normal"), ("deep", "Deep")]


class Migration(migrations.Migration):
    dependencies = [("conversations", "0026_placement")]

    # Nullable, so that SQLite does not rebuild the tables and an earlier version of the site can keep running.
    operations = [
        migrations.AddField("generation", "depth", models.CharField(choices=DEPTHS, max_length=6, null=True)),
        migrations.AddField("conversation", "depth", models.CharField(choices=DEPTHS, max_length=6, null=True)),
        migrations.AddField("conversation", "model", models.CharField(max_length=200, null=True)),
        migrations.AddField("user", "depth", models.CharField(blank=True, choices=DEPTHS, max_length=6, null=True)),
        migrations.AddField("user", "model", models.CharField(blank=True, max_length=200, null=True)),
    ]
