"""The frame of every page: its policy, its weight, the viewer's zone, errors for people."""

from __future__ import annotations

import gzip
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.utils import timezone

from apps.accounts.audit import Actor
from apps.accounts.models import Account, User
from apps.accounts.services import membership_put
from apps.dashboard.icons import ICONS
from apps.dashboard.middleware import ViewerMiddleware

HTML = {"accept": "text/html"}
# Of a first view, everything: the page, styles, modules, fonts.
HEAVIEST = 200_000


@pytest.fixture
def superuser(db: None) -> Client:
    client = Client(headers=HTML)
    client.force_login(User.objects.create(username="ada", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def member(account: Account, stranger: Account) -> Client:
    """An owner of two accounts."""
    client = Client(headers=HTML)
    user = User.objects.create(username="bob", is_staff=True)
    for found in (account, stranger):
        membership_put(account=found, user=user, role="owner", actor=Actor())
    client.force_login(user)
    return client


def test_a_page_runs_no_script_of_its_own(superuser: Client) -> None:
    page = superuser.get("/admin/")
    policy = page.headers["Content-Security-Policy"].split("; ")
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy
    html = page.content.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", html) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=", html) == []


def test_a_first_view_weighs_little(superuser: Client) -> None:
    html = superuser.get("/admin/").content
    sizes = {"page": len(html)}
    for path in re.findall(rb'(?:src|href)="/static/([^"]+)"', html):
        content = Path(str(finders.find(path.decode()))).read_bytes()
        packed = content if path.endswith(b".woff2") else gzip.compress(content, 6)
        sizes[path.decode()] = len(packed)
    assert sum(sizes.values()) < HEAVIEST, sizes


def test_static_files_are_sent_compressed_to_who_asks(client: Client) -> None:
    path = "/static/unfold/css/styles.css"
    packed = client.get(path, headers={"accept-encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    plain = client.get(path)
    assert "Content-Encoding" not in plain.headers
    assert gzip.decompress(packed.content) == plain.content
    again = client.get(path, headers={"if-none-match": plain.headers["ETag"]})
    assert again.status_code == 304
    piece = client.get(path, headers={"range": "bytes=0-9"})
    assert (piece.status_code, piece.content) == (206, plain.content[:10])


def test_pages_are_kept_in_no_cache(superuser: Client) -> None:
    assert "no-store" in superuser.get("/admin/").headers["Cache-Control"]


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("America%2FNew_York", "1 Jul 2026, 08:00"),
        ("Asia/Kolkata", "1 Jul 2026, 17:30"),
        ("Nowhere/Land", "1 Jul 2026, 12:00"),
        ("../../etc/passwd", "1 Jul 2026, 12:00"),
        ("x" * 500, "1 Jul 2026, 12:00"),
        ("", "1 Jul 2026, 12:00"),
    ],
)
def test_times_are_shown_in_the_viewers_zone(zone: str, shown: str) -> None:
    said = []

    def view(request: object) -> object:
        template = Template("{% load dashboard %}{% when noon %}")
        said.append(template.render(Context({"noon": datetime(2026, 7, 1, 12, tzinfo=UTC)})))
        from django.http import HttpResponse

        return HttpResponse()

    request = RequestFactory().get("/admin/")
    request.COOKIES["tz"] = zone
    ViewerMiddleware(view)(request)  # type: ignore[arg-type]
    assert f">{shown}</time>" in said[0]
    assert timezone.get_current_timezone_name() == "UTC"


def test_the_icons_of_the_list_are_in_the_font() -> None:
    call_command("dashboard_icons", check=True)
    assert len(ICONS) == len(set(ICONS))


def test_pages_are_narrowed_to_the_chosen_account(member: Client, stranger: Account) -> None:
    accounts = "/admin/accounts/account/"
    assert "Hotel" in member.get(accounts).content.decode()
    form = {"account": str(stranger.pk), "next": "/admin/calls/call/"}
    assert member.post("/admin/account/", form).headers["Location"] == "/admin/calls/call/"
    # One account alone is no list.
    assert member.get(accounts).headers["Location"] == f"{accounts}{stranger.pk}/change/"
    hotel = Account.objects.get(name="Hotel")
    assert member.get(f"{accounts}{hotel.pk}/change/").status_code == 404
    member.post("/admin/account/", {"account": ""})
    rows = member.get(accounts).content.decode().partition("result_list")[2]
    assert "Hotel" in rows


def test_an_account_that_is_not_ones_own_cannot_be_chosen(
    account: Account, stranger: Account
) -> None:
    client = Client(headers=HTML)
    user = User.objects.create(username="carol", is_staff=True)
    membership_put(account=account, user=user, role="viewer", actor=Actor())
    client.force_login(user)
    client.post("/admin/account/", {"account": str(stranger.pk)})
    assert "Stranger" not in client.get("/admin/accounts/account/").content.decode()


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "javascript:x", ""])
def test_choosing_an_account_leads_nowhere_else(member: Client, back: str) -> None:
    assert member.post("/admin/account/", {"next": back}).headers["Location"] == "/admin/"


def test_people_are_told_of_errors_on_a_page(superuser: Client, client: Client) -> None:
    missing = superuser.get("/admin/no/such/page/")
    assert missing.status_code == 404
    assert "There is nothing here" in missing.content.decode()
    strict = Client(headers=HTML, enforce_csrf_checks=True)
    refused = strict.post("/admin/account/", {})
    assert refused.status_code == 403
    assert "open for too long" in refused.content.decode()
    # Scripts are told as everywhere else.
    assert client.get("/no/such/page").json()["error"] == "not-found-error"
