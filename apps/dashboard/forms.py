"""Forms whose rules are the API's: a serializer checks, and what it refuses stands at its field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from django import forms
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.exceptions import APIException

from apps.accounts.models import Account
from apps.calls.dialling import WishRefused
from apps.core.errors import fields_flatten
from apps.core.parsers import json_read
from apps.dashboard.refusals import REFUSALS, refusal_of

# Of a secret in a page that is shown once more.
AGAIN: Final = "Type it again: secrets are not sent back to this page."
_DAY_S = 24 * 3600
_GRACES = (
    (0, "not at all: it ends now"),
    (3600, "an hour"),
    (_DAY_S, "a day"),
    (7 * _DAY_S, "a week"),
    (30 * _DAY_S, "30 days"),
)


def look(field: forms.Field) -> forms.Field:
    """Give a field's widget the look of the dashboard."""
    boxes = (forms.CheckboxInput, forms.CheckboxSelectMultiple, forms.RadioSelect)
    if not isinstance(field.widget, boxes):
        field.widget.attrs.setdefault("class", "bc-input")
    return field


class PlainForm(forms.Form):
    """A form of the dashboard. A page has several, with fields of the same name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", f"{type(self).__name__}_%s".lower())
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            look(field)

    def full_clean(self) -> None:
        super().full_clean()
        self.secrets_ask()

    def secrets_ask(self) -> None:
        """Say of secrets that were typed into a form with faults that its page lacks them now."""
        if not self.errors:
            return
        for name, field in self.fields.items():
            typed = isinstance(field, SecretField) and self.data.get(self.add_prefix(name))
            if typed and name not in self.errors:
                self.add_error(name, AGAIN)


class RuledForm(PlainForm):
    """A form that stands for a body of the API.

    rules: the serializer that reads the body. places: the field for a member, by its path, where
    the names differ.
    given: what the serializer made of the body, once the form is valid.
    """

    rules: ClassVar[type[serializers.Serializer[Any]]]
    places: ClassVar[Mapping[str, str]] = {}
    partial: ClassVar[bool] = False
    given: dict[str, Any]

    def body(self) -> dict[str, Any]:
        """Return the body as a client would send it."""
        return {name: self.cleaned_data[name] for name in self.fields}

    def read(self, body: dict[str, Any]) -> Mapping[str, Any]:
        """Return what the API makes of a body. Raises serializers.ValidationError."""
        found = self.rules(data=body, partial=self.partial)
        found.is_valid(raise_exception=True)
        values: Mapping[str, Any] = found.validated_data
        return values

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.given = dict(self.read(self.body()))
            except serializers.ValidationError as exc:
                self.refuse(exc.detail)
        return cleaned

    def refuse(self, detail: Any) -> None:
        """Put complaints of the API's where their fields are."""
        for path, texts in fields_flatten(detail).items():
            field, where = self._place(path)
            for text in texts:
                self.add_error(field, f"{where}: {text}" if where.strip("0123456789") else text)

    def _place(self, path: str) -> tuple[str | None, str]:
        """Return the field that a path leads to, and what of the path leads on within it."""
        parts = path.split(".")
        for count in range(len(parts), 0, -1):
            name = ".".join(parts[:count])
            name = self.places.get(name, name)
            if name in self.fields:
                return name, ".".join(parts[count:])
        return None, path

    @contextmanager
    def refusals(self) -> Iterator[None]:
        """Put what a service refuses into the form, and go on behind the block."""
        try:
            yield
        except serializers.ValidationError as exc:
            self.refuse(exc.detail)
        except WishRefused as exc:
            self.refuse(exc.fields)
        except REFUSALS as exc:
            field, text = refusal_of(exc)
            self.add_error(field if field in self.fields else None, text)
        self.secrets_ask()


class ChangeForm(RuledForm):
    """A form of what may be changed of something, which others may change meanwhile.

    Its page carries what it was made with; only what differs from that is sent, so that nobody
    undoes what they have not seen.
    """

    was = forms.CharField(required=False, widget=forms.HiddenInput)

    def was_set(self) -> None:
        """Keep the initial values for the page. Called when the last field has its own."""
        names = [name for name in self.fields if name in self.initial]
        self.initial["was"] = json.dumps({name: _kept(self.initial[name]) for name in names})

    @property
    def changed(self) -> frozenset[str]:
        """The names of the fields that were changed; all, if the page did not say."""
        names = [name for name in self.fields if name != "was"]
        try:
            was = json_read(self.cleaned_data.get("was", ""))
        except (ValueError, APIException):
            was = None
        if not isinstance(was, dict):
            return frozenset(names)
        return frozenset(
            name
            for name in names
            if name not in was or self.fields[name].has_changed(was[name], self[name].data)
        )

    def body(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in self.changed}


def _kept(value: Any) -> Any:
    return value if isinstance(value, str | int | bool | list | None) else str(value)


class OfAccountForm(RuledForm):
    """A form for something new, in an account that one may choose if there are several."""

    account = forms.ModelChoiceField(Account.objects.none(), label="Account")

    def __init__(self, *args: Any, accounts: QuerySet[Account], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["account"]
        field.queryset = accounts.only("id", "name")
        # Two are enough to know that there is a choice.
        found = list(field.queryset[:2])
        if len(found) == 1:
            field.initial, field.widget = found[0].pk, forms.HiddenInput()

    def body(self) -> dict[str, Any]:
        found = super().body()
        del found["account"]
        return found


class MomentField(forms.DateTimeField):
    """A time, picked in the reader's own zone."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault(
            "widget",
            forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        )
        super().__init__(**kwargs)


class SecretField(forms.CharField):
    """A secret: typed, never shown again."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault(
            "widget",
            forms.PasswordInput(attrs={"autocomplete": "new-password", "spellcheck": "false"}),
        )
        super().__init__(strip=True, **kwargs)


class GraceField(forms.TypedChoiceField):
    """How long something old works on, in seconds."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=_GRACES, coerce=int, initial=_DAY_S, **kwargs)
