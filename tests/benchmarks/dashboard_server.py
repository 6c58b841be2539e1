"""botsconfig as it is served, with two more paths: they fill its database.

``/benchmark/accounts`` makes accounts and people, ``/benchmark/calls/<count>/<days>`` their calls;
both answer what there is to look at, and the cookies of who looks.
"""

from __future__ import annotations

import os
import sys

import django
import uvicorn
from django.conf import settings
from django.http import HttpRequest, JsonResponse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsconfig.settings")
django.setup()

from django.urls import include, path  # noqa: E402

from apps.accounts.models import Account, Membership, User  # noqa: E402
from apps.bots.models import TwilioConfig  # noqa: E402
from botsconfig.management.commands.serve import server_config  # noqa: E402
from tests.benchmarks.dashboard_rows import accounts_make, calls_make  # noqa: E402
from tests.support.login import session_of  # noqa: E402


def accounts(request: HttpRequest) -> JsonResponse:
    made, _ = accounts_make()
    chief = User.objects.create(username="chief", is_staff=True, is_superuser=True)
    member = User.objects.create(username="member", is_staff=True)
    Membership.objects.create(user=member, account=made[0], role=Membership.Role.OWNER)
    return JsonResponse({"superuser": _cookie(chief), "member": _cookie(member)})


def calls(request: HttpRequest, count: int, days: int) -> JsonResponse:
    found = Account.objects.filter(name__startswith="Account ").order_by("name")
    filled = calls_make(list(found), list(TwilioConfig.objects.all()), count, days)
    first = next(bot for bot in filled.bots if bot.account_id == filled.accounts[0].id)
    return JsonResponse(
        {"call": str(filled.call), "bot": str(first.id), "endpoint": str(filled.endpoint)}
    )


def _cookie(user: User) -> str:
    """Log in, as the login page would."""
    session = session_of(user)
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


urlpatterns = [
    path("benchmark/accounts", accounts),
    path("benchmark/calls/<int:count>/<int:days>", calls),
    path("", include("botsconfig.urls")),
]


def main() -> None:
    settings.ROOT_URLCONF = "tests.benchmarks.dashboard_server"
    # Under its own name, so that the routes above are not loaded a second time.
    sys.modules["tests.benchmarks.dashboard_server"] = sys.modules["__main__"]
    uvicorn.Server(server_config(host="127.0.0.1", port=int(sys.argv[1]))).run()


if __name__ == "__main__":
    main()
