"""Fills in what lists filter by."""

from django.db import migrations

BATCH = 500


def repeat(apps, schema_editor):
    Config = apps.get_model("bots", "TwilioConfig")
    Version = apps.get_model("bots", "TwilioConfigVersion")
    rows = []
    for config in Config.objects.exclude(current=None).iterator(chunk_size=BATCH):
        version = Version.objects.only("number", "document").get(pk=config.current_id)
        config.metadata = version.document["metadata"]
        for slot in ("llm", "tts", "stt"):
            setattr(config, f"{slot}_provider", version.document[slot]["provider"])
        config.latest_number = version.number
        rows.append(config)
        if len(rows) == BATCH:
            _store(Config, rows)
    _store(Config, rows)


def _store(Config, rows):
    names = ["metadata", "llm_provider", "tts_provider", "stt_provider", "latest_number"]
    Config.objects.bulk_update(rows, names)
    rows.clear()


class Migration(migrations.Migration):
    dependencies = [("bots", "0002_drafts_filters_and_kept_members")]
    operations = [
        migrations.RunPython(repeat, migrations.RunPython.noop),
    ]
