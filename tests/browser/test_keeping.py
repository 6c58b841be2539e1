"""Numbers, keys, endpoints and settings in a browser, as people use them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from apps.accounts.audit import Actor
from apps.accounts.models import Account, ApiKey, Membership, User
from apps.accounts.services import account_patch, api_key_verify
from apps.bots.models import TwilioConfig
from apps.calls.models import PhoneNumber
from apps.calls.number_watch import SETTLING, numbers_refresh
from apps.simulator.twilio.state import Resource
from apps.webhooks.models import Endpoint
from tests.browser.conftest import DESKTOP, VisitorFor
from tests.support.receiver import Receiver, Serving
from tests.support.twilio import TwilioStandIn

THEIRS = "https://theirs.example.com/hello"


@pytest.fixture
def number(account: Account, connection: object, twilio: TwilioStandIn) -> Resource:
    """A number at Twilio, which we have listed."""
    made = twilio.add_number("+14155550100", VoiceUrl="https://demo.twilio.com/")
    numbers_refresh(account)
    return made


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("PRIVATE_ADDRESSES", "127.0.0.1")
    with Serving(Receiver()) as found:
        yield found


def test_a_number_is_assigned_drifts_is_repaired_and_let_go(
    visitor_for: VisitorFor, account: Account, config: TwilioConfig, number: Resource
) -> None:
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.open("/admin/calls/phonenumber/")
    page.get_by_role("link", name="+14155550100").click()
    page.get_by_label("Bot", exact=True).select_option("Front desk")
    page.get_by_role("button", name="Assign").click()
    expect(page.get_by_text("Front desk answers +14155550100 now.")).to_be_visible()
    assert number.settings["VoiceUrl"].endswith(str(config.id))
    visitor.clean()

    number.settings["VoiceUrl"] = THEIRS
    PhoneNumber.objects.update(updated_at=PhoneNumber.objects.get().updated_at - 2 * SETTLING)
    page.get_by_role("button", name="Compare with Twilio now").click()
    drifted = page.locator(".bc-differs")
    expect(drifted.get_by_text("differs")).to_be_visible()
    expect(drifted).to_contain_text(THEIRS)
    visitor.clean()

    page.get_by_role("button", name="Repair").click()
    expect(page.get_by_text("Twilio has what we want again.")).to_be_visible()
    assert number.settings["VoiceUrl"].endswith(str(config.id))

    page.get_by_role("button", name="Unassign").click()
    page.get_by_role("dialog").get_by_role("button", name="Unassign").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Front desk answers +14155550100 now.")).to_be_visible()
    visitor.clean()


def test_a_viewer_sees_a_number_and_no_button_that_changes_it(
    visitor_for: VisitorFor, account: Account, config: TwilioConfig, number: Resource
) -> None:
    visitor = visitor_for("viewer", account)
    visitor.open("/admin/calls/phonenumber/")
    visitor.page.get_by_role("link", name="+14155550100").click()
    expect(visitor.page.get_by_role("button", name="Compare with Twilio now")).to_be_visible()
    for name in ("Assign", "Repair", "Unassign"):
        expect(visitor.page.get_by_role("button", name=name)).to_have_count(0)
    visitor.clean()


@pytest.mark.parametrize("size", [DESKTOP], ids=["desktop"])
def test_a_slow_twilio_is_waited_for_visibly_and_asked_once(
    visitor_for: VisitorFor, account: Account, number: Resource, twilio: TwilioStandIn
) -> None:
    visitor = visitor_for("viewer", account)
    visitor.open(f"/admin/calls/phonenumber/{PhoneNumber.objects.get().pk}/change/")
    before = len(twilio.asked("numbers.list"))
    button = visitor.page.get_by_role("button", name="Compare with Twilio now")
    shown = button.evaluate("""button => {
        button.click();
        button.click();
        return [button.getAttribute("aria-busy"), button.textContent];
    }""")
    assert shown == ["true", "Asking Twilio…"]
    expect(visitor.page.get_by_text("Compared with Twilio just now.")).to_be_visible()
    assert len(twilio.asked("numbers.list")) == before + 1
    visitor.clean()


def test_a_key_is_made_copied_and_never_seen_again(
    visitor_for: VisitorFor, account: Account
) -> None:
    visitor = visitor_for("admin", account, permissions=["clipboard-read", "clipboard-write"])
    page = visitor.page
    visitor.open("/admin/accounts/apikey/add/")
    page.get_by_label("Name", exact=True).fill("Night import")
    page.get_by_label("calls:read").check()
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_role("button", name="Copy")).to_be_focused()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    secret = page.evaluate("navigator.clipboard.readText()")
    assert api_key_verify(secret) == ApiKey.objects.get()
    visitor.clean()

    page.reload()
    expect(page.get_by_role("heading", name="Rotate it")).to_be_visible()
    assert secret not in page.content()
    page.go_back()
    assert secret not in page.content()
    assert ApiKey.objects.count() == 1

    visitor.open(f"/admin/accounts/apikey/{ApiKey.objects.get().pk}/change/")
    page.get_by_role("button", name="Revoke this key").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert api_key_verify(secret) is not None
    page.get_by_role("button", name="Revoke this key").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke this key").click()
    expect(page.get_by_text("This is not taken back.")).to_be_visible()
    assert api_key_verify(secret) is None
    visitor.clean()


def test_an_endpoint_is_added_and_pinged(
    visitor_for: VisitorFor, account: Account, receiver: Receiver
) -> None:
    visitor = visitor_for("operator", account)
    page = visitor.page
    visitor.open("/admin/webhooks/endpoint/")
    page.get_by_role("link", name="Add an endpoint").click()
    page.get_by_label("URL").fill(f"{receiver.url}/in")
    page.get_by_role("button", name="Add the endpoint").click()
    expect(page.get_by_role("heading", name="Copy the secret now")).to_be_visible()
    assert Endpoint.objects.get().secret in page.content()
    visitor.clean()
    receiver.secrets["/in"] = [Endpoint.objects.get().secret]
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("button", name="Send a ping").click()
    expect(page.get_by_text("The ping was accepted: 204")).to_be_visible()
    assert receiver.refusals == []
    visitor.clean()
    page.get_by_role("link", name="ping").click()
    expect(page.get_by_role("heading", name="Attempts")).to_be_visible()
    visitor.clean()


def test_calling_hours_are_set_by_days_and_times(visitor_for: VisitorFor, account: Account) -> None:
    visitor = visitor_for("owner", account)
    page = visitor.page
    visitor.open("/admin/accounts/account/")
    expect(page.get_by_label("From")).to_be_hidden()
    page.get_by_label("Only in these hours").check()
    page.get_by_label("Mon").check()
    page.get_by_label("From").fill("09:00")
    page.get_by_label("Until").fill("08:00")
    page.get_by_role("button", name="Store the settings").click()
    expect(page.get_by_text("Later than from")).to_be_visible()
    visitor.clean()
    page.get_by_label("Until").fill("17:30")
    page.get_by_role("button", name="Store the settings").click()
    expect(page.get_by_text("The settings are stored.")).to_be_visible()
    account.refresh_from_db()
    days = {"days": ["mon"], "timezone": "callee"}
    assert account.calling_hours == {"from": "09:00", "until": "17:30", **days}
    visitor.clean()


def test_the_log_is_filtered_by_the_keyboard_and_shows_what_changed(
    visitor_for: VisitorFor, account: Account
) -> None:
    account_patch(account_id=account.pk, changes={"name": "Inn"}, actor=Actor())
    visitor = visitor_for("admin", account)
    page = visitor.page
    visitor.open("/admin/accounts/auditentry/")
    page.get_by_role("button", name="Filters").press("Enter")
    page.get_by_label("By action").fill("account.update")
    page.get_by_label("By action").press("Enter")
    expect(page.get_by_role("row").filter(has_text="account.create")).to_have_count(0)
    visitor.clean()
    page.locator("#result_list a").first.click()
    expect(page.locator("del")).to_have_text("Hotel")
    expect(page.locator("ins")).to_have_text("Inn")
    visitor.clean()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("calls/phonenumber", "No Twilio account is connected"),
        ("accounts/twilioconnection", "Connect a Twilio account"),
        ("webhooks/endpoint", "Add an endpoint"),
        ("webhooks/delivery", "Nothing was sent yet"),
        ("accounts/apikey", "Make an API key"),
        ("accounts/credential", "Store a key"),
    ],
)
@pytest.mark.parametrize("size", [DESKTOP], ids=["desktop"])
def test_an_empty_list_says_what_to_do(
    visitor_for: VisitorFor, account: Account, path: str, words: str
) -> None:
    visitor = visitor_for("owner", account, color_scheme="dark")
    visitor.open(f"/admin/{path}/")
    expect(visitor.page.get_by_text(words).first).to_be_visible()
    visitor.clean()


def test_somebody_is_invited_accepts_and_says_which_account_a_bot_is_for(
    visitor_for: VisitorFor, account: Account, stranger: Account
) -> None:
    owner, bob = visitor_for("owner", account), visitor_for("operator", stranger)
    name = User.objects.get(memberships__account=stranger).username
    owner.open(f"/admin/accounts/account/{account.pk}/change/")
    owner.page.get_by_label("Username").fill(name)
    owner.page.get_by_role("button", name="Invite").click()
    expect(owner.page.get_by_text("is invited, and finds it on their home page")).to_be_visible()
    expect(owner.page.get_by_role("button", name="Withdraw")).to_be_visible()
    owner.clean()

    bob.open("/admin/")
    expect(bob.page.get_by_text("invites you to the account Hotel as viewer")).to_be_visible()
    bob.clean()
    bob.page.get_by_role("button", name="Accept").click()
    expect(bob.page.get_by_text("You are viewer of Hotel now.")).to_be_visible()
    Membership.objects.filter(user__username=name).update(role="operator")
    bob.open("/admin/bots/twilioconfig/add/")
    bob.clean()
    bob.page.get_by_label("Which account is the bot for?").select_option("Hotel")
    bob.page.get_by_role("button", name="Go on").click()
    expect(bob.page.get_by_label("Name", exact=True)).to_be_visible()
    expect(bob.page.locator("input[name=account][type=hidden]")).to_have_value(str(account.pk))
    bob.clean()
