"""Parts of pages that renew themselves, while somebody is at them, and while nobody answers."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import Page, Request, expect

from apps.accounts.models import Account
from apps.bots.models import TwilioConfig
from apps.calls.models import Call, Recording
from tests.browser.conftest import DESKTOP, Visitor, VisitorFor
from tests.calls.test_calls_api import make_call
from tests.support.recorded_call import recorded_call

LIST = "/admin/calls/call/"

# What a page does every ten seconds it does twice a second.
QUICK = """
const real = window.setTimeout.bind(window);
window.setTimeout = (work, ms, ...more) => real(work, ms / 20, ...more);
"""

one_size = pytest.mark.parametrize("size", [DESKTOP], ids=["desktop"])


@pytest.fixture
def live(config: TwilioConfig) -> Call:
    """A call that is on, and being recorded."""
    call = recorded_call(
        config, sound=False, status="in-progress", started_at=timezone.now(), ended_at=None
    )
    Recording.objects.create(call=call, started_at=call.started_at)
    return call


@pytest.fixture
def watched(visitor_for: VisitorFor, account: Account, live: Call) -> Visitor:
    """An operator at the page of the call."""
    visitor = visitor_for("operator", account)
    visitor.open(page_of(live))
    return visitor


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
def test_a_question_is_answered_though_the_page_renews_itself_meanwhile(watched: Visitor) -> None:
    page = watched.page
    page.get_by_role("button", name="Keep no recording").click()
    renewed(page)
    page.get_by_role("dialog").get_by_role("button", name="Keep no recording").click()
    expect(page.get_by_text("The recording is erased.")).to_be_visible()
    assert Recording.objects.get().status == Recording.Status.DELETED
    watched.clean()


@one_size
def test_what_was_asked_about_is_found_again_in_a_page_that_changed(watched: Visitor) -> None:
    page = watched.page
    page.get_by_role("button", name="Keep no recording").click()
    page.evaluate("""() => {
        const news = document.getElementById("call-news");
        news.replaceChildren(...[...news.children].map((child) => child.cloneNode(true)));
    }""")
    page.get_by_role("dialog").get_by_role("button", name="Keep no recording").click()
    expect(page.get_by_text("The recording is erased.")).to_be_visible()
    watched.clean()


@one_size
def test_where_what_was_asked_about_is_gone_it_is_said(watched: Visitor) -> None:
    page = watched.page
    page.get_by_role("button", name="Keep no recording").click()
    page.evaluate("document.getElementById('call-news').remove()")
    page.get_by_role("dialog").get_by_role("button", name="Keep no recording").click()
    expect(page.locator("#bc-told").get_by_text("Try again")).to_be_visible()
    assert Recording.objects.get().status == Recording.Status.RECORDING
    watched.clean()


# --- the keyboard, and text that is selected ------------------------------------------------------

# What the keyboard reaches in parts that renew themselves, and would lose its place by a renewal.
NAMELESS = """[...document.querySelectorAll("[hx-trigger]")].flatMap((part) =>
  [...part.querySelectorAll("a[href], button, input, select, summary, [tabindex]")]
    .filter((one) => !one.id && one.type !== "hidden" && !one.closest("noscript"))
    .map((one) => one.outerHTML.slice(0, 200)))"""


def selected(page: Page) -> str:
    found: str = page.evaluate("getSelection().toString()")
    return found


@one_size
def test_the_keyboard_keeps_its_place_while_a_call_is_on(watched: Visitor) -> None:
    page = watched.page
    link = page.locator(".bc-turn-gap").last
    for place in (link, page.get_by_role("button", name="Copy the CallSid")):
        place.focus()
        page.evaluate("window.bcBefore = document.activeElement")
        renewed(page)
        expect(place).to_be_focused()
        assert page.evaluate("!window.bcBefore.isConnected")
    assert page.evaluate(NAMELESS) == []
    watched.clean()


@one_size
def test_the_keyboard_keeps_its_place_in_the_list(
    visitor_for: VisitorFor, account: Account, config: TwilioConfig, live: Call
) -> None:
    over = recorded_call(config, sound=False, call_sid="CAover")
    visitor = visitor_for("viewer", account)
    page = visitor.page
    visitor.open(LIST)
    page.locator(f'a[href*="{over.pk}"]').focus()
    renewed(page, 1)
    expect(page.locator(f'a[href*="{over.pk}"]')).to_be_focused()
    assert page.evaluate(NAMELESS) == []
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{page_of(over)}")
    visitor.clean()


@one_size
def test_what_is_selected_stays_selected_and_the_rest_comes_after(
    visitor_for: VisitorFor, account: Account, live: Call
) -> None:
    visitor = visitor_for("viewer", account)
    page = visitor.page
    visitor.open(page_of(live))
    text = page.locator("#turn-1 .bc-turn-text")
    text.click(click_count=3)
    words = selected(page)
    assert words.strip() == text.inner_text()
    Call.objects.filter(pk=live.pk).update(status="completed", ended_at=timezone.now())
    renewed(page)
    assert selected(page) == words
    with page.expect_navigation():
        page.locator("h1").click()
    expect(page.get_by_role("button", name="Listen in")).to_have_count(0)


# --- what cannot be had ---------------------------------------------------------------------------


def test_a_part_that_is_not_renewed_is_told_until_it_is(
    visitor_for: VisitorFor, account: Account, live: Call
) -> None:
    visitor = visitor_for("viewer", account, color_scheme="dark")
    page = visitor.page
    visitor.open(page_of(live))
    told = page.locator("#bc-told")
    page.route("**/news/", lambda route: route.fulfill(status=500))
    expect(told).to_have_text("This page is not up to date: the server answered 500.")
    visitor.clean(forgive="500")
    page.unroute("**/news/")
    page.route("**/news/", lambda route: route.abort())
    expect(told).to_have_text("This page is not up to date: the server could not be reached.")
    page.unroute("**/news/")
    expect(told).to_be_empty()
    visitor.clean(forgive="500|ERR_FAILED|htmx:afterRequest|htmx:sendError")


@one_size
def test_a_slot_whose_fields_do_not_come_is_told(visitor_for: VisitorFor, account: Account) -> None:
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.open("/admin/bots/twilioconfig/add/")
    page.route("**/slot/**", lambda route: route.fulfill(status=500))
    provider = page.locator("#f-config-tts-provider")
    provider.select_option("elevenlabs")
    expect(page.locator("#bc-told").get_by_text("the server answered 500")).to_be_visible()
    visitor.accessible()
    page.unroute("**/slot/**")
    provider.select_option("cartesia")
    expect(page.locator("#bc-told")).to_be_empty()


@one_size
def test_the_page_of_the_first_steps_gives_way_to_the_first_call(
    visitor_for: VisitorFor, account: Account, config: TwilioConfig
) -> None:
    visitor = visitor_for("operator", account)
    visitor.context.add_init_script(QUICK)
    page = visitor.page
    visitor.open("/admin/")
    expect(page.get_by_text("No call has come yet")).to_be_visible()
    assert page.evaluate(NAMELESS) == []
    page.get_by_role("link", name="Talk to it").focus()
    renewed(page)
    expect(page.get_by_role("link", name="Talk to it")).to_be_focused()
    visitor.clean()
    make_call(config, "CA2", from_number="+14155550100", started_at=timezone.now())
    expect(page.locator("#live-calls")).to_contain_text("+14155550100")
    visitor.clean()
