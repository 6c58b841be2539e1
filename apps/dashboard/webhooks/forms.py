"""Forms of endpoints and of replays."""

from __future__ import annotations

from typing import Any

from django import forms

from apps.dashboard.forms import (
    ChangeForm,
    GraceField,
    MomentField,
    OfAccountForm,
    PlainForm,
    RuledForm,
    SecretField,
)
from apps.webhooks.kinds import KINDS
from apps.webhooks.models import Endpoint
from apps.webhooks.replaying import ALL, DEAD
from apps.webhooks.serializers import (
    EndpointBodySerializer,
    EndpointChangesSerializer,
    ReplaySerializer,
    SecretRotationSerializer,
)

_KINDS = [(kind.name, f"{kind.name}: {kind.description}") for kind in KINDS.values()]


class EndpointFields(PlainForm):
    """Where events go, and which."""

    url = forms.CharField(
        label="URL",
        help_text="https, reachable from this server.",
        widget=forms.URLInput(
            attrs={"placeholder": "https://example.com/hooks", "inputmode": "url"}
        ),
    )
    description = forms.CharField(required=False, label="Description", max_length=500)
    kinds = forms.MultipleChoiceField(
        required=False,
        label="Events",
        choices=_KINDS,
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked: everything, kinds to come too.",
    )


class EndpointForm(EndpointFields, OfAccountForm):
    """An endpoint to be made."""

    rules = EndpointBodySerializer

    secret = SecretField(
        required=False,
        label="Your own secret",
        help_text="whsec_ and base64. Left empty, we make one and show it once.",
    )
    field_order = ("account", "url", "description", "kinds", "secret")

    def body(self) -> dict[str, Any]:
        return {name: value for name, value in super().body().items() if name != "secret" or value}


class EndpointChangeForm(EndpointFields, ChangeForm):
    """What is to change of an endpoint."""

    rules = EndpointChangesSerializer
    partial = True

    def __init__(self, *args: Any, endpoint: Endpoint, **kwargs: Any) -> None:
        names = ("url", "description", "kinds")
        super().__init__(*args, initial={name: getattr(endpoint, name) for name in names}, **kwargs)
        self.was_set()


class SecretRotationForm(RuledForm):
    """How long the old secret signs on."""

    rules = SecretRotationSerializer

    grace_seconds = GraceField(label="The old secret signs on, beside the new one, for")


class ReplayForm(RuledForm):
    """Which events are sent again."""

    rules = ReplaySerializer

    since = MomentField(label="From")
    until = MomentField(required=False, label="Until", help_text="Empty: up to now.")
    status = forms.ChoiceField(
        label="Which",
        choices=((DEAD, "What could not be delivered"), (ALL, "Every event of this time")),
        initial=DEAD,
        help_text="Each has the id that it had, so that a receiver can tell repeats.",
    )
