"""botsconfig as it is served, and beside it the yardstick: a bare Django view.

``/bare/<id>`` runs the SQL of ``GET /twilio-config/{id}``, statement by statement, and answers the
same bytes, with nothing in between: no serializer, no permission, no decryption. Same process,
same middleware.
"""

from __future__ import annotations

import os
import sys

import django
import uvicorn
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsconfig.settings")
# As in production, where a worker runs what a request asks for.
os.environ["TASKS_IMMEDIATE"] = "0"
django.setup()

from django.db import connection, transaction  # noqa: E402
from django.db.models import Model  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.urls import include, path  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402

from apps.accounts.audit import Actor  # noqa: E402
from apps.accounts.services import account_create, api_key_create  # noqa: E402
from apps.bots.document import draft_read  # noqa: E402
from apps.bots.models import TwilioConfig, TwilioConfigVersion  # noqa: E402
from apps.bots.services import config_create  # noqa: E402
from apps.core.pagination import Cursor  # noqa: E402
from botsconfig.management.commands.serve import server_config  # noqa: E402
from tests.benchmarks.media import BODY  # noqa: E402

# What begins and ends a transaction asks for nothing.
_ENDS = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
_RECORDED: dict[str, tuple[list[str], bytes]] = {}


def record(request: HttpRequest, id: str) -> JsonResponse:
    """Ask the API once, and keep what it ran and answered. The key comes with the request."""
    client = APIClient(headers={"authorization": request.headers["Authorization"]})
    url = f"/twilio-config/{id}"
    client.get(url)  # the first request of a key notes its use
    with CaptureQueriesContext(connection) as seen:
        answer = client.get(url)
    statements = [query["sql"] for query in seen.captured_queries]
    _RECORDED[id] = statements, answer.content
    return JsonResponse({"statements": statements})


def bare(request: HttpRequest, id: str) -> HttpResponse:
    statements, content = _RECORDED[id]
    with connection.cursor() as cursor:
        for statement in statements:
            # Already with its values: a percent sign in one would be taken for a place.
            cursor.execute(statement, None)
            cursor.fetchall()
    return HttpResponse(content, content_type="application/json")


def post_queries(request: HttpRequest) -> HttpResponse:
    """Create a bot, and say which statements that took."""
    client = APIClient(headers={"authorization": request.headers["Authorization"]})
    client.post("/twilio-config", BODY)
    with CaptureQueriesContext(connection) as seen:
        answer = client.post("/twilio-config", BODY)
    if answer.status_code != 201:
        raise RuntimeError(answer.content)
    statements = [query["sql"][:60] for query in seen.captured_queries]
    return JsonResponse({"statements": [one for one in statements if not one.startswith(_ENDS)]})


def rows(request: HttpRequest, count: int) -> JsonResponse:
    """Make an account with so many bots; answer its key and a cursor into their middle."""
    account = account_create(name=f"{count} bots", actor=Actor())
    _, key = api_key_create(account=account, actor=Actor())
    made = config_create(account=account, draft=draft_read(BODY), actor=Actor())
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in _statements(made, count - 1):
            cursor.execute(statement, None)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    middle = TwilioConfig.objects.filter(account=account).order_by("-created_at", "-id")
    found = middle[count // 2]
    text = Cursor(found.created_at.isoformat(), found.id, False).text()
    return JsonResponse({"key": key, "middle": text})


def _statements(made: TwilioConfig, count: int) -> list[str]:
    """Copy a bot and its version ``count`` times, each a second older than the one before."""
    sqlite = connection.vendor == "sqlite"
    series = (
        f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
        " SELECT i FROM n) AS n"
        if sqlite
        else f"generate_series(1, {count}) AS n(i)"
    )
    base = int(made.current_id or 0)
    number = f"({base} * 10000000 + n.i)"
    text = f"printf('%032x', {number})" if sqlite else f"lpad(to_hex({number}), 32, '0')::uuid"
    then = (
        "strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || n.i || ' seconds')"
        if sqlite
        else "now() - n.i * interval '1 second'"
    )
    new = {
        "bots_twilioconfig": {
            "id": text,
            "current_id": number,
            "created_at": then,
            "updated_at": then,
            "name": "'Bot ' || n.i",
        },
        "bots_twilioconfigversion": {"id": number, "config_id": text, "created_at": then},
    }
    sources: dict[str, tuple[type[Model], str, str]] = {
        "bots_twilioconfig": (TwilioConfig, "c.id", f"'{made.id.hex}'"),
        "bots_twilioconfigversion": (TwilioConfigVersion, "c.id", str(base)),
    }
    found = []
    for table, (model, column, value) in sources.items():
        names = [str(field.column) for field in model._meta.concrete_fields]
        values = [new[table].get(name, f"c.{name}") for name in names]
        found.append(
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} "
            f"FROM {table} AS c, {series} WHERE {column} = {value}"
        )
    return found


urlpatterns = [
    path("record/<str:id>", record),
    path("bare/<str:id>", bare),
    path("post-queries", post_queries),
    path("rows/<int:count>", rows),
    path("", include("botsconfig.urls")),
]


def main() -> None:
    settings.ROOT_URLCONF = "tests.benchmarks.rest_server"
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    # Under its own name, so that the routes above are not loaded a second time.
    sys.modules["tests.benchmarks.rest_server"] = sys.modules["__main__"]
    uvicorn.Server(server_config(host="127.0.0.1", port=int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
