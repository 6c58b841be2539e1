"""Pages that belong to no area: they render, log no error and ask nobody else."""

from __future__ import annotations

import pytest

from apps.accounts.models import Account, User
from tests.browser.conftest import DESKTOP, VisitorFor


def test_the_api_is_documented(visitor_for: VisitorFor) -> None:
    visitor = visitor_for()
    visitor.open("/docs")
    visitor.page.wait_for_selector("text=/twilio-config")
    assert visitor.errors == []
    assert visitor.strangers == []


def test_an_operator_logs_in_and_sees_bots_and_calls(visitor_for: VisitorFor) -> None:
    User.objects.create_superuser("ada", password="a long enough password")
    visitor = visitor_for()
    visitor.open("/admin/")
    visitor.page.fill("input[autocomplete=username]", "ada")
    visitor.page.fill("input[type=password]", "a long enough password")
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url(lambda url: url.endswith("/admin/") and "login" not in url)
    for name in ("Bots", "Calls"):
        # On a phone the menu is folded away.
        assert visitor.page.locator("#nav-sidebar a", has_text=name).count()
    visitor.clean()


@pytest.mark.parametrize("role", ["owner", "admin", "operator", "viewer"])
@pytest.mark.parametrize("size", [DESKTOP], ids=["desktop"])
def test_the_menu_shows_what_a_role_may_see(
    visitor_for: VisitorFor, account: Account, role: str
) -> None:
    visitor = visitor_for(role, account)
    visitor.open("/admin/")
    links = visitor.page.get_by_role("navigation").or_(visitor.page.locator("#nav-sidebar"))
    shown = links.first.inner_text()
    assert "Bots" in shown
    assert "Calls" in shown
    assert ("API keys" in shown) is (role in ("owner", "admin"))
    assert ("Audit log" in shown) is (role in ("owner", "admin"))
    assert "People" not in shown
    visitor.clean()
