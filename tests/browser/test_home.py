"""The home page in a browser: by role and width, and a call that shows without a reload."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.accounts.models import Account
from apps.bots.models import TwilioConfig
from apps.calls.models import Call
from tests.browser.conftest import DESKTOP, VisitorFor
from tests.calls.test_calls_api import make_call
from tests.dashboard.home.test_home import over

# Every socket is closed before it opens, and pauses are a twentieth of what they are.
NO_SOCKETS = """
window.WebSocket = class extends EventTarget {
  constructor() {
    super();
    queueMicrotask(() => this.dispatchEvent(new CloseEvent("close", { code: 1006 })));
  }
};
for (const name of ["setTimeout", "setInterval"]) {
  const real = window[name].bind(window);
  window[name] = (work, ms, ...more) => real(work, ms / 20, ...more);
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_and_pictures(
    visitor_for: VisitorFor, account: Account, config: TwilioConfig, scheme: str
) -> None:
    over(config, "CA1", 400, 900, first_word_ms=120)
    over(config, "CA2", status="busy", end_reason="busy")
    visitor = visitor_for("viewer", account, color_scheme=scheme)
    visitor.open("/admin/")
    page = visitor.page
    expect(page.get_by_text("Calls today")).to_be_visible()
    picture = page.locator("#chart-calls-title").locator("..")
    readout = page.locator(".bc-chart").first.locator("[data-readout]")
    picture.focus()
    page.keyboard.press("Home")
    expect(readout).to_contain_text("no calls")
    page.keyboard.press("End")
    expect(readout).to_contain_text("1 held, 1 not reached")
    page.get_by_text("As a table").first.click()
    expect(page.get_by_role("table").first).to_be_visible()
    visitor.clean()


def test_a_live_call_shows_without_a_reload(
    visitor_for: VisitorFor, account: Account, config: TwilioConfig
) -> None:
    over(config)
    visitor = visitor_for("viewer", account)
    visitor.open("/admin/")
    card = visitor.page.locator("#live-calls")
    expect(card).to_contain_text("Nobody is on the phone")
    call = make_call(config, "CA2", from_number="+14155550100", started_at=timezone.now())
    expect(card).to_contain_text("+14155550100")
    visitor.clean()
    Call.objects.filter(pk=call.pk).update(status="completed", ended_at=timezone.now())
    expect(card).to_contain_text("Nobody is on the phone")


@pytest.mark.parametrize("size", [DESKTOP], ids=["desktop"])
def test_without_sockets_the_card_is_asked_for(
    visitor_for: VisitorFor, account: Account, config: TwilioConfig
) -> None:
    over(config)
    visitor = visitor_for("viewer", account)
    visitor.context.add_init_script(NO_SOCKETS)
    visitor.open("/admin/")
    expect(visitor.page.get_by_role("status").filter(has_text="No live connection")).to_be_visible()
    make_call(config, "CA2", from_number="+14155550100", started_at=timezone.now())
    expect(visitor.page.locator("#live-calls")).to_contain_text("+14155550100")
    visitor.clean()


def test_the_way_to_the_first_call(visitor_for: VisitorFor, account: Account) -> None:
    visitor = visitor_for("operator", account)
    visitor.open("/admin/")
    expect(visitor.page.get_by_role("link", name="Make a bot")).to_be_visible()
    visitor.clean()


@pytest.mark.parametrize("size", [DESKTOP], ids=["desktop"])
def test_somebody_in_no_account(visitor_for: VisitorFor) -> None:
    visitor = visitor_for("nobody")
    visitor.open("/admin/")
    expect(visitor.page.get_by_text("You are in no account yet")).to_be_visible()
    visitor.clean()
