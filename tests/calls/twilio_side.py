"""Twilio's side of callbacks, for tests of calls: signed requests, or what they leave behind."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict
from django.test import Client

from apps.accounts.models import Account
from apps.calls.models import Call, TwilioCallback
from apps.telephony.signatures import SIGNATURE_HEADER, webhook_signature

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOKEN = "auth-token-of-ours"
SID = "AC" + "1" * 32
ORIGIN = "https://voice.example.com"


def signs(account: Account, token: str = TOKEN) -> Account:
    """Have an account whose Twilio project signs with that token."""
    account.twilio_auth_token = token
    account.save()
    return account


def tell(client: Client, account: Account, path: str, call: str = "", **fields: Any) -> Any:
    """Post a callback, signed by the account's token. A list is a field that is repeated."""
    query = {"account": str(account.id), **({"call": call} if call else {})}
    url = f"{path}?{urlencode(query)}"
    body = urlencode({"AccountSid": SID, **fields}, doseq=True)
    signature = webhook_signature(
        auth_token=TOKEN, url=ORIGIN + url, fields=QueryDict(body, mutable=False)
    )
    return client.post(
        url,
        body,
        content_type="application/x-www-form-urlencoded",
        headers={SIGNATURE_HEADER: signature},
    )


def arrived(
    call: Call, status: str = "", *, sequence: Any = None, at: Any = NOW, **more: Any
) -> TwilioCallback:
    """A callback that lies in the inbox. at: a time. more: its kind, and its fields."""
    kind = more.pop("kind", TwilioCallback.Kind.STATUS)
    fields: dict[str, str] = {"AccountSid": SID, "CallSid": call.call_sid or "CA1", **more}
    if status:
        fields |= {"CallStatus": status, "Timestamp": format_datetime(at)}
    return TwilioCallback.objects.create(
        account_id=call.account_id,
        call_id=call.id,
        kind=kind,
        sequence=sequence,
        fields=fields,
        digest=uuid.uuid4().hex,
        received_at=at,
    )
