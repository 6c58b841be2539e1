"""Indexes parts of names on PostgreSQL, where its extension for that may be installed.

``search`` looks at every bot of an account otherwise, which is fine for some ten thousand.
"""

import logging

from django.db import DatabaseError, migrations, transaction

logger = logging.getLogger(__name__)

# What Django makes of ``name__icontains``.
TRIGRAMS = """
CREATE INDEX config_name_trigrams ON bots_twilioconfig USING gin (UPPER(name::text) gin_trgm_ops)
WHERE deleted_at IS NULL
"""


def index(apps, schema_editor):
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic(using=connection.alias):
            schema_editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except DatabaseError:
        logger.warning("pg_trgm may not be installed here: searching names stays slow")
        return
    schema_editor.execute(TRIGRAMS)


def unindex(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS config_name_trigrams")


class Migration(migrations.Migration):
    dependencies = [("bots", "0004_index_metadata")]
    operations = [migrations.RunPython(index, unindex)]
