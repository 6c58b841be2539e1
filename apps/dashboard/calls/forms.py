"""What an operator fills in for a call that is on; the rules are the API's."""

from __future__ import annotations

from typing import Any

from django import forms

from apps.calls.control_serializers import (
    SAY_CHARACTERS,
    SaySerializer,
    TransferOrderSerializer,
)
from apps.calls.models import Call
from apps.calls.transfers import TransferWish
from apps.dashboard.forms import RuledForm


class TransferForm(RuledForm):
    """Whom to put the caller through to."""

    rules = TransferOrderSerializer

    target = forms.ChoiceField(label="To one of the bot's targets", required=False)
    to = forms.CharField(
        label="Or to a number",
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "+4930123456", "autocomplete": "off"}),
    )
    mode = forms.ChoiceField(
        label="How",
        required=False,
        choices=[
            ("", "As the target says, or cold"),
            ("cold", "Cold: connected at once"),
            ("warm", "Warm: the human hears the summary first"),
        ],
    )
    summary = forms.CharField(label="Summary for the human", required=False)
    say = forms.CharField(label="What the bot says to the caller first", required=False)

    def __init__(self, *args: Any, call: Call, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        targets = sorted((call.version.document.get("transfers") or {}).items())
        if targets:
            field: Any = self.fields["target"]
            field.choices = [("", "–"), *((name, f"{name} ({to['to']})") for name, to in targets)]
        else:
            del self.fields["target"]
            self.fields["to"].label = "To a number"

    def body(self) -> dict[str, Any]:
        # As a client leaves out what it has nothing to say about.
        return {name: value for name, value in super().body().items() if value}

    def read(self, body: dict[str, Any]) -> dict[str, Any]:
        found = self.rules(data=body)
        found.is_valid(raise_exception=True)
        return {"wish": found.wish()}

    @property
    def wish(self) -> TransferWish:
        """What is wanted. The form is valid."""
        found: TransferWish = self.given["wish"]
        return found


class SayForm(RuledForm):
    """What the bot is to say."""

    rules = SaySerializer

    text = forms.CharField(
        label="The bot says, in its own voice",
        max_length=SAY_CHARACTERS,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    interrupt = forms.BooleanField(label="Cut what the bot is saying now", required=False)
