"""Requests that say they are Twilio's: whose they are, and whether they are signed by it."""

from __future__ import annotations

import hmac
import uuid
from dataclasses import dataclass
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.utils.crypto import salted_hmac
from prometheus_client import Counter

from apps.accounts.models import Account
from apps.accounts.signing import secrets_of
from apps.core.errors import envelope
from apps.telephony.signatures import SETTINGS_HEADER, SIGNATURE_HEADER, Signed, webhook_is_signed

REFUSED = Counter(
    "botsconfig_twilio_requests_refused", "Requests in Twilio's name that were refused", ["reason"]
)
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def callback_url(path: str, *, account_id: uuid.UUID, call_id: uuid.UUID, **more: str) -> str:
    """Return a URL of ours that is about one call, for TwiML and for Twilio's requests.

    path: below ``/twilio/``. Its ``key`` stands for a signature where an account has stored
    nothing that one could be checked by; nobody but Twilio is ever given it.
    """
    about = {"account": str(account_id), "call": str(call_id), "key": _call_key(str(call_id))}
    return f"{settings.PUBLIC_URL}/twilio/{path}?{urlencode({**about, **more})}"


def _call_key(call_id: str) -> str:
    return salted_hmac("botsconfig.call", call_id, algorithm="sha256").hexdigest()[:32]


class RequestRefused(Exception):
    """The request is not Twilio's, as far as can be told. reason: one word, for the counter."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Asked:
    """A verified request. account: holds its id and what requests are signed with, no more."""

    account: Account
    fields: QueryDict


def refusal(refused: RequestRefused) -> HttpResponse:
    """Count a refused request and answer it. Twilio logs 11200 with the text."""
    REFUSED.labels(refused.reason).inc()
    said = f"Refused: {refused.reason.replace('_', ' ')}."
    return JsonResponse(envelope(403, said), status=403)


def fields_of(request: HttpRequest) -> QueryDict:
    """Return what Twilio sent: the form, or for a GET the query."""
    return request.POST if request.method == "POST" else request.GET


def request_check(request: HttpRequest, account: Account) -> None:
    """Raise RequestRefused unless the request is signed by the account's Twilio project.

    ``unverifiable``: nothing is stored that a signature could be checked by.
    """
    account_sid = fields_of(request).get("AccountSid", "")
    secrets = secrets_of(account, account_sid=account_sid)
    signed = Signed(request.headers.get(SIGNATURE_HEADER), request.headers.get(SETTINGS_HEADER, ""))
    if not secrets:
        raise RequestRefused("unverifiable")
    if not signed.signature:
        raise RequestRefused("signature_missing")
    is_form = request.content_type in _FORMS or not request.body
    if not webhook_is_signed(
        secrets=secrets,
        url=public_url_of(request),
        signed=signed,
        fields=request.POST,
        body=None if is_form else request.body,
    ):
        raise RequestRefused("signature_wrong")


def asked_of(request: HttpRequest) -> Asked:
    """Return a verified request to a URL that names the account: ``?account=<id>``. One query.

    It is signed, or, where nothing is stored that a signature could be checked by, its URL is one
    of ``callback_url``. Raises RequestRefused, for an account that does not exist too.
    """
    account = _account(request.GET.get("account", ""))
    if account is None:
        raise RequestRefused("account_unknown")
    try:
        request_check(request, account)
    except RequestRefused as refused:
        if refused.reason != "unverifiable" or not _has_key(request):
            raise
    return Asked(account, fields_of(request))


def _has_key(request: HttpRequest) -> bool:
    offered = request.GET.get("key", "").encode("utf-8", "surrogatepass")
    return hmac.compare_digest(offered, _call_key(request.GET.get("call", "")).encode())


def public_url_of(request: HttpRequest) -> str:
    """Return the URL that Twilio asked for.

    It is made of the configured origin, for proxies rewrite that, and of the path and query as
    they came, for Django decodes them.
    """
    raw_path = getattr(request, "scope", {}).get("raw_path", b"").decode("ascii", "replace")
    query = request.META.get("QUERY_STRING", "")
    return settings.PUBLIC_URL + (raw_path or request.path) + (f"?{query}" if query else "")


def _account(text: str) -> Account | None:
    try:
        account_id = uuid.UUID(text)
    except ValueError:
        return None
    found = Account.objects.filter(pk=account_id)
    return found.only("id", "signing_secrets", "twilio_auth_token").first()
