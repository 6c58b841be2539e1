"""Indexes metadata where the database can index JSON; lists on others look at each row."""

from django.db import migrations

GIN = """
CREATE INDEX config_metadata ON bots_twilioconfig USING gin (metadata jsonb_path_ops)
WHERE deleted_at IS NULL
"""


def index(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(GIN)


def unindex(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX config_metadata")


class Migration(migrations.Migration):
    dependencies = [("bots", "0003_repeat_versions_in_configs")]
    operations = [migrations.RunPython(index, unindex)]
