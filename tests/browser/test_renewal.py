"""Parts of pages that renew themselves, while somebody is at them, and while nobody answers."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import Page, Request, expect

from apps.accounts.models import Account
from apps.bots.models import TwilioConfig
from apps.calls.models import Call, Recording
from tests.browser.conftest import DESKTOP, VisitorFor
from tests.support.recorded_call import recorded_call

LIST = "/admin/calls/call/"

one_size = pytest.mark.parametrize("size", [DESKTOP], ids=["desktop"])


@pytest.fixture
def live(config: TwilioConfig) -> Call:
    """A call that is on, and being recorded."""
    call = recorded_call(
        config, sound=False, status="in-progress", started_at=timezone.now(), ended_at=None
    )
    Recording.objects.create(call=call, started_at=call.started_at)
    return call


def page_of(call: Call) -> str:
    return f"{LIST}{call.pk}/change/"


def renewed(page: Page, times: int = 2) -> None:
    """Wait until parts of the page were asked for again so often, and were looked at."""

    def is_renewal(request: Request) -> bool:
        return "hx-request" in request.headers

    for _ in range(times):
        with page.expect_event("requestfinished", is_renewal):
            pass
    page.evaluate("new Promise(requestAnimationFrame)")


@one_size
def test_a_question_is_answered_though_the_page_renews_itself_meanwhile(
    visitor_for: VisitorFor, account: Account, live: Call
) -> None:
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.open(page_of(live))
    page.get_by_role("button", name="Keep no recording").click()
    renewed(page)
    page.get_by_role("dialog").get_by_role("button", name="Keep no recording").click()
    expect(page.get_by_text("The recording is erased.")).to_be_visible()
    assert Recording.objects.get().status == Recording.Status.DELETED
    visitor.clean()


@one_size
def test_what_was_asked_about_is_found_again_in_a_page_that_changed(
    visitor_for: VisitorFor, account: Account, live: Call
) -> None:
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.open(page_of(live))
    page.get_by_role("button", name="Keep no recording").click()
    page.evaluate("""() => {
        const news = document.getElementById("call-news");
        news.replaceChildren(...[...news.children].map((child) => child.cloneNode(true)));
    }""")
    page.get_by_role("dialog").get_by_role("button", name="Keep no recording").click()
    expect(page.get_by_text("The recording is erased.")).to_be_visible()
    visitor.clean()


@one_size
def test_where_what_was_asked_about_is_gone_it_is_said(
    visitor_for: VisitorFor, account: Account, live: Call
) -> None:
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.open(page_of(live))
    page.get_by_role("button", name="Keep no recording").click()
    page.evaluate("document.getElementById('call-news').remove()")
    page.get_by_role("dialog").get_by_role("button", name="Keep no recording").click()
    expect(page.get_by_role("status").filter(has_text="Try again")).to_be_visible()
    assert Recording.objects.get().status == Recording.Status.RECORDING
    visitor.clean()
