"""Making and changing bots in a real browser, with the keyboard."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from django.conf import settings as django_settings
from playwright.sync_api import Page, Route, expect
from pytest_django import Settings

from apps.accounts.audit import Actor
from apps.accounts.models import Account
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig, TwilioConfigVersion
from apps.bots.services import Write, config_create, config_patch
from tests.browser.conftest import DESKTOP, Visitor, VisitorFor
from tests.dashboard.bots.conftest import FULL

LIST = "/admin/bots/twilioconfig/"

one_size = pytest.mark.parametrize("size", [DESKTOP], ids=["desktop"])


@pytest.fixture(autouse=True)
def _no_tasks(_tasks_run_at_once: None, settings: Settings) -> None:
    # Playwright's loop runs in this thread, where a task that speaks has no place.
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}


def full(account: Account) -> TwilioConfig:
    return config_create(account=account, draft=draft_read(FULL), actor=Actor())


def at(config: TwilioConfig, page: str = "change") -> str:
    return f"{LIST}{config.pk}/{page}/"


def heard(page: Page) -> np.ndarray:
    """Press "Hear it"; what the page's player is given, as samples."""
    given: list[bytes] = []

    def pass_on(route: Route) -> None:
        answer = route.fetch()
        given.append(answer.body())
        route.fulfill(response=answer)

    page.route("**/hear/", pass_on)
    page.get_by_role("button", name="Hear it").click()
    expect(page.locator("#hear-audio")).to_be_visible()
    page.wait_for_function("document.getElementById('hear-audio').duration > 0.5")
    page.unroute("**/hear/")
    with wave.open(io.BytesIO(given[0])) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def prompt_of(config: TwilioConfig) -> str:
    config.refresh_from_db()
    assert config.current is not None
    return str(config.current.document["llm"]["prompt"])


def test_a_bot_is_made_with_the_keyboard_alone(visitor_for: VisitorFor, account: Account) -> None:
    visitor = visitor_for("operator", account)
    page, press = visitor.page, visitor.page.keyboard
    visitor.open(LIST)
    page.get_by_role("link", name="Make your first bot").focus()
    press.press("Enter")
    page.wait_for_url("**/add/")
    page.get_by_label("Name", exact=True).focus()
    press.type("Helper")
    press.press("Tab")
    press.press("Control+s")  # without a prompt
    error = page.locator("#f-config-llm-prompt-error")
    expect(error).to_be_visible()
    expect(page.locator("#f-config-llm-prompt")).to_be_focused()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Helper")
    press.type("You help {{guest}}.")
    declare = page.get_by_role("button", name="Declare guest")
    declare.focus()
    press.press("Enter")
    expect(page.locator("[data-rows=variables] li")).to_have_count(1)
    visitor.clean()
    press.press("Control+s")
    page.wait_for_url("**/connect/")
    expect(page.locator("#twiml")).to_contain_text("<Stream")
    visitor.clean()
    config = TwilioConfig.objects.get(name="Helper")
    assert prompt_of(config) == "You help {{guest}}."
    assert list(config.current.document["variables"]) == ["guest"]  # type: ignore[union-attr]


def test_a_wrong_value_is_marked_and_then_saved(visitor_for: VisitorFor, account: Account) -> None:
    config = full(account)
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.open(at(config))
    visitor.clean()
    page.locator("summary", has_text="Turns").click()
    stop = page.get_by_label("Silence that ends a turn (seconds)")
    stop.fill("99")
    expect(page.locator("#unsaved")).to_be_visible()
    page.get_by_role("button", name="Save and publish").click()
    expect(page.locator("#f-config-turns-stop_secs-error")).to_be_visible()
    expect(stop).to_be_focused()
    visitor.clean()
    stop.fill("0.6")
    page.get_by_role("button", name="Save and publish").click()
    expect(page.get_by_text("takes calls as version 2")).to_be_visible()
    config.refresh_from_db()
    assert config.current is not None
    assert config.current.document["turns"]["stop_secs"] == 0.6
    assert config.current.secrets["tool_headers"]["book"]["X-Hotel"] == "Ritz of old"


def test_a_voice_is_heard_before_it_is_saved(visitor_for: VisitorFor, account: Account) -> None:
    config = full(account)
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.open(at(config))
    assert np.abs(heard(page).astype(int)).max() > 1_000
    voice = page.locator("#f-config-tts-provider")
    voice.select_option("elevenlabs")
    expect(page.get_by_label("Stability")).to_be_attached()
    page.get_by_role("button", name="Hear it").click()
    expect(page.locator("#hear-told")).to_contain_text("no key is stored")
    visitor.clean()
    assert TwilioConfigVersion.objects.filter(config=config).count() == 1


@one_size
@pytest.mark.parametrize("how", ["without a server", "logged out"])
def test_why_a_voice_is_not_heard_is_told_as_it_is(
    visitor_for: VisitorFor, account: Account, how: str
) -> None:
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.open(at(full(account)))
    words = "could not be reached" if how == "without a server" else "logged out"
    if how == "without a server":
        page.route("**/hear/", lambda route: route.abort())
    else:
        visitor.context.clear_cookies(name=django_settings.SESSION_COOKIE_NAME)
    page.get_by_role("button", name="Hear it").click()
    expect(page.locator("#hear-told")).to_contain_text(words)
    visitor.clean(forgive="ERR_FAILED")


@one_size
def test_what_was_typed_for_a_provider_is_there_when_it_comes_back(
    visitor_for: VisitorFor, account: Account
) -> None:
    visitor = visitor_for("operator", account)
    page, config = visitor.page, full(account)
    visitor.open(at(config))
    provider, language = (
        page.locator("#f-config-tts-provider"),
        page.locator("#f-config-tts-language"),
    )
    more, pace = page.locator("#slot-tts summary").first, page.locator("#f-config-tts-character_ms")
    more.click()
    language.fill("de-CH")
    pace.fill("77")
    with page.expect_response("**/slot/tts/**"):
        provider.select_option("local")
    expect(pace).to_have_count(0)
    expect(language).to_have_value("de-CH")
    language.fill("de-AT")
    with page.expect_response("**/slot/tts/**"):
        provider.select_option("scripted")
    expect(pace).to_have_value("77")
    expect(language).to_have_value("de-AT")
    more.click()
    pace.fill("50")
    language.fill("en")
    expect(page.locator("#unsaved")).to_be_hidden()  # as it was
    visitor.clean()


def drafts(page: Page) -> list[str]:
    """What the page's tab keeps of what was typed."""
    pairs = page.evaluate("Object.entries(sessionStorage)")
    return [text for key, text in pairs if key.startswith("bc-draft /")]


@one_size
def test_what_was_typed_outlives_the_session(visitor_for: VisitorFor, account: Account) -> None:
    visitor = visitor_for("operator", account)
    page, config = visitor.page, full(account)
    visitor.open(at(config))
    cookies = visitor.context.cookies()
    page.locator("#f-config-llm-prompt").fill("Mine,\nover two lines.")
    tool = page.locator("[data-rows=tools] > li").nth(1)
    tool.locator("summary").first.press("Enter")
    tool.get_by_label("Value", exact=True).first.fill("Bearer typed")
    page.locator("[data-adds=variables]").click()
    page.keyboard.type("city")
    visitor.context.clear_cookies(name=django_settings.SESSION_COOKIE_NAME)
    page.get_by_role("button", name="Save and publish").click()
    page.wait_for_url("**/login/**")
    visitor.context.add_cookies(cookies)  # type: ignore[arg-type]
    visitor.open(at(config))
    note = page.locator("#draft")
    expect(note).to_contain_text("was not saved")
    assert "Bearer typed" not in str(drafts(page))
    visitor.accessible()
    note.get_by_role("button", name="Put it back").click()
    expect(page.get_by_text("Type it again")).to_be_visible()
    expect(page.locator("#f-config-llm-prompt")).to_have_value("Mine,\nover two lines.")
    expect(page.locator("[data-rows=variables] > li")).to_have_count(5)
    visitor.clean()
    tool.get_by_label("Keep the stored value").check()
    page.get_by_role("button", name="Save and publish").click()
    expect(page.get_by_text("takes calls as version 2")).to_be_visible()
    assert prompt_of(config) == "Mine,\nover two lines."
    assert drafts(page) == []
    expect(note).to_be_hidden()


@one_size
def test_what_was_typed_and_left_is_discarded(visitor_for: VisitorFor, account: Account) -> None:
    visitor = visitor_for("operator", account)
    page, config = visitor.page, full(account)
    page.on("dialog", lambda dialog: dialog.accept())
    visitor.open(at(config))
    page.get_by_label("Name", exact=True).first.fill("Mine")
    visitor.open(at(config, "versions"))
    visitor.open(at(config))
    page.get_by_role("button", name="Discard it").click()
    expect(page.locator("#draft")).to_be_hidden()
    visitor.open(at(config))
    expect(page.locator("#draft")).to_be_hidden()


@one_size
def test_rows_come_and_go(visitor_for: VisitorFor, account: Account) -> None:
    config = full(account)
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.open(at(config))
    page.get_by_role("button", name="Take away variable guest").press("Enter")
    page.get_by_role("button", name="Add a tool").press("Enter")
    tool = page.locator("[data-rows=tools] > li").last
    expect(tool.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("weather")
    tool.get_by_label("Webhook URL").fill("https://weather.example/")
    tool.get_by_role("button", name="Add a header").press("Enter")
    page.keyboard.type("X-Key")
    tool.get_by_label("Value").fill("hush")
    visitor.clean()
    page.get_by_role("button", name="Save and publish").click()
    expect(page.get_by_text("takes calls as version 2")).to_be_visible()
    config.refresh_from_db()
    assert config.current is not None
    assert "guest" not in config.current.document["variables"]
    assert config.current.document["webhook_tools"]["weather"]["method"] == "POST"
    assert config.current.secrets["tool_headers"]["weather"] == {"X-Key": "hush"}
    assert "hush" not in page.content()


@one_size
def test_who_takes_over_is_named_under_its_slot(visitor_for: VisitorFor, account: Account) -> None:
    visitor = visitor_for("operator", account)
    page, config = visitor.page, full(account)
    visitor.open(at(config))
    rows = page.locator("[data-rows=llmfallbacks] li")
    expect(rows).to_have_count(2)
    visitor.clean()
    rows.first.get_by_role("button", name="Take away fallback").click()
    page.locator("[data-adds=llmfallbacks]").click()
    added = rows.nth(1)
    added.get_by_label("Takes over").select_option("mistral")
    added.get_by_label("Its model").fill("x" * 201)
    page.keyboard.press("Control+s")
    expect(page.get_by_text("no more than 200 characters")).to_be_visible()
    visitor.clean()
    rows.nth(1).get_by_label("Its model").fill("mistral-small-latest")
    page.keyboard.press("Control+s")
    expect(page.get_by_text("takes calls as version 2")).to_be_visible()
    visitor.clean()
    config.refresh_from_db()
    assert config.current is not None
    chain = config.current.document["llm"]["fallbacks"]
    assert [one["provider"] for one in chain] == ["groq", "mistral"]


@one_size
def test_a_tool_is_tried_beside_its_fields(visitor_for: VisitorFor, account: Account) -> None:
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.open(at(full(account)))
    tool = page.locator("[data-rows=tools] > li").nth(2)
    tool.locator("summary").first.press("Enter")
    tool.locator("summary", has_text="Try it").press("Enter")
    tool.get_by_label("Arguments (JSON)").fill("{")
    tool.get_by_role("button", name="Ask the webhook").press("Enter")
    expect(tool.get_by_text("The arguments are no JSON.")).to_be_visible()
    tool.get_by_label("Arguments (JSON)").fill("{}")
    tool.get_by_role("button", name="Ask the webhook").press("Enter")
    expect(tool.get_by_text("GET https://hotel.example/look")).to_be_visible()
    expect(page.locator("#unsaved")).to_be_hidden()
    visitor.clean()


@one_size
def test_leaving_with_unsaved_work_is_asked_about(
    visitor_for: VisitorFor, account: Account
) -> None:
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.open(at(full(account)))
    asked: list[str] = []

    def answer(dialog: object) -> None:
        asked.append(dialog.type)  # type: ignore[attr-defined]
        dialog.accept()  # type: ignore[attr-defined]

    page.on("dialog", answer)
    page.get_by_role("link", name="Versions").click()
    page.wait_for_url("**/versions/")
    assert asked == []
    page.go_back()
    page.locator("#f-config-llm-prompt").press_sequentially("More.")
    page.get_by_role("link", name="Versions").click()
    page.wait_for_url("**/versions/")
    assert asked == ["beforeunload"]


def test_a_version_is_read_and_restored(visitor_for: VisitorFor, account: Account) -> None:
    config = full(account)
    new = {"config": {"llm": {"prompt": "\nYou are {{hotel}}'s back desk.\n\nBe kind."}}}
    config_patch(Write(account, config.pk, Actor()), new)
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.open(at(config, "versions"))
    visitor.clean()
    page.get_by_role("link", name="Version 2").click()
    expect(page.locator("del", has_text="front")).to_be_visible()
    visitor.clean()
    page.go_back()
    page.get_by_role("button", name="Restore").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("secrets included")
    dialog.get_by_role("button", name="Restore").click()
    expect(page.get_by_text("To undo it, restore version 2")).to_be_visible()
    assert prompt_of(config) == FULL["config"]["llm"]["prompt"]


def test_what_twilio_needs_is_copied(visitor_for: VisitorFor, account: Account) -> None:
    config = full(account)
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.open(at(config, "connect"))
    page.get_by_role("button", name="Copy", exact=True).first.click()
    expect(page.get_by_text("Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert config.stream_token in copied
    visitor.clean()


@pytest.mark.parametrize("role", ["viewer", "owner", "superuser"])
@one_size
def test_every_page_is_clean(visitor_for: VisitorFor, account: Account, role: str) -> None:
    config = full(account)
    config_patch(Write(account, config.pk, Actor(), publish=False), {"name": "Draft"})
    visitor = visitor_for(role, account, color_scheme="dark")
    for path in (LIST, *(at(config, name) for name in _PAGES)):
        visitor.open(path)
        visitor.clean()
    if role != "viewer":
        visitor.open(at(config, "delete"))
        visitor.clean()
    assert isinstance(visitor, Visitor)


_PAGES = ("change", "connect", "versions", "versions/2", "render")
