"""Forms of a number's page."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.db.models import QuerySet

from apps.bots.models import TwilioConfig
from apps.calls.models import PhoneNumber
from apps.calls.number_serializers import AssignmentSerializer, RepairSerializer
from apps.dashboard.forms import RuledForm

REPLACE = "Take the number's application or trunk away, if it has one"
REPLACE_HELP = "While one is set, Twilio does not look at the voice URLs. Unassigning puts it back."


def _replace_field() -> forms.BooleanField:
    return forms.BooleanField(label=REPLACE, help_text=REPLACE_HELP, required=False)


class AssignForm(RuledForm):
    """Which bot is to answer a number."""

    rules = AssignmentSerializer

    config_id = forms.ModelChoiceField(
        TwilioConfig.objects.none(), label="Bot", empty_label="Choose a bot"
    )
    replace_application = _replace_field()

    def __init__(self, *args: Any, bots: QuerySet[TwilioConfig], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["config_id"]
        field.queryset = bots

    def body(self) -> dict[str, Any]:
        return {**super().body(), "config_id": str(self.cleaned_data["config_id"].pk)}

    @property
    def bot(self) -> TwilioConfig:
        found: TwilioConfig = self.cleaned_data["config_id"]
        return found


class UnassignForm(RuledForm):
    """Whether Twilio gets back what it held before."""

    rules = AssignmentSerializer

    restore = forms.BooleanField(
        label="Put back at Twilio what was there before",
        help_text="Without it Twilio is not asked: for credentials that are gone.",
        required=False,
        initial=True,
    )

    def body(self) -> dict[str, Any]:
        return {**super().body(), "config_id": None}


class RepairForm(RuledForm):
    """How far a repair may go."""

    rules = RepairSerializer

    replace_application = _replace_field()


def undo_of(number: PhoneNumber, asked: str, bots: QuerySet[TwilioConfig]) -> TwilioConfig | None:
    """Return the bot that may be assigned again, right after it was taken away. asked: its id."""
    if number.config_id is not None or not asked:
        return None
    try:
        return bots.filter(pk=uuid.UUID(asked)).first()
    except ValueError:
        return None
