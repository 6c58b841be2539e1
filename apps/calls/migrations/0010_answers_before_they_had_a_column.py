"""Fills in what turns and calls of before are counted by; there is nothing to take back."""

from django.db import migrations
from django.db.models import Min

BATCH = 1_000


def fill(apps, schema_editor):
    Turn = apps.get_model("calls", "Turn")
    Call = apps.get_model("calls", "Call")
    batch = []
    turns = Turn.objects.filter(role="bot", answer_ms=None).exclude(stages_ms={})
    for turn in turns.only("id", "stages_ms").iterator(BATCH):
        turn.answer_ms = max(0, round(round(sum(turn.stages_ms.values()), 1)))
        batch.append(turn)
        if len(batch) == BATCH:
            Turn.objects.bulk_update(batch, ["answer_ms"])
            batch.clear()
    Turn.objects.bulk_update(batch, ["answer_ms"])
    batch.clear()
    spoken = (
        Call.objects.filter(ended_at__isnull=False, turns__role="bot")
        .annotate(spoke_at=Min("turns__started_at"))
        .order_by("pk")
    )
    for call in spoken.only("id", "answered_at", "started_at").iterator(BATCH):
        waited = call.spoke_at - (call.answered_at or call.started_at)
        call.first_word_ms = max(0, round(waited.total_seconds() * 1_000))
        batch.append(call)
        if len(batch) == BATCH:
            Call.objects.bulk_update(batch, ["first_word_ms"])
            batch.clear()
    Call.objects.bulk_update(batch, ["first_word_ms"])


class Migration(migrations.Migration):
    dependencies = [("calls", "0009_figures_by_the_hour")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)]
