"""A call's page: what was said, when, where the time went, and all that belongs to the call."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from apps.accounts.audit import Actor
from apps.accounts.models import Account, User
from apps.accounts.services import membership_put
from apps.bots.models import TwilioConfig
from apps.calls.models import Call, Recording, RecordingSegment, Turn
from apps.dashboard.calls.detail import calls_read
from apps.dashboard.calls.story import axis, story_of
from tests.dashboard.calls.conftest import Login
from tests.support.recorded_call import BEGAN, SAID, recorded_call

ROLES = ("owner", "admin", "operator", "viewer")


def url(call: Call, tail: str = "change/") -> str:
    return f"/admin/calls/call/{call.pk}/{tail}"


def text(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page)))


def read(call: Call) -> Call:
    return calls_read(Call.objects.all()).get(pk=call.pk)


# --- who may look ---------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("tail", ["change/", "news/", "recording/", "peaks/"])
def test_every_role_may_look_and_listen(
    as_: Login, account: Account, call: Call, role: str, tail: str
) -> None:
    assert as_(role, account).get(url(call, tail)).status_code == 200


@pytest.mark.parametrize("tail", ["change/", "news/", "recording/", "peaks/"])
def test_a_stranger_finds_nothing(as_: Login, stranger: Account, call: Call, tail: str) -> None:
    assert as_("owner", stranger).get(url(call, tail)).status_code == 404
    assert as_("nobody").get(url(call, tail)).status_code == 403


@pytest.mark.parametrize("tail", ["hang-up/", "transfer/", "say/", "erase/"])
def test_who_may_only_look_changes_nothing(
    as_: Login, account: Account, stranger: Account, call: Call, tail: str
) -> None:
    assert as_("viewer", account).post(url(call, tail)).status_code == 403
    assert as_("owner", stranger).post(url(call, tail)).status_code == 404
    # An owner elsewhere who may look here may still only look here.
    both = as_("owner", stranger)
    user = User.objects.get(pk=both.session["_auth_user_id"])
    membership_put(account=account, user=user, role="viewer", actor=Actor())
    assert both.post(url(call, tail)).status_code == 403
    assert Recording.objects.get().status == "ready"


def test_a_viewer_is_offered_nothing_that_they_may_not(
    as_: Login, account: Account, config: TwilioConfig, call: Call
) -> None:
    live = recorded_call(config, sound=False, call_sid="CA2", status="in-progress", ended_at=None)
    for offered, role in ((False, "viewer"), (True, "operator")):
        client = as_(role, account)
        assert ("/erase/" in client.get(url(call)).content.decode()) is offered
        assert ("/hang-up/" in client.get(url(live)).content.decode()) is offered
    assert "/hang-up/" not in client.get(url(call)).content.decode()


# --- what it says ---------------------------------------------------------------------------------


def test_the_page_holds_all_that_is_known_of_a_call(
    as_: Login, account: Account, call: Call, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = as_("operator", account)
    with django_assert_max_num_queries(14):
        page = client.get(url(call)).content.decode()
    words = text(page)
    for part in (
        *("+4930123456", "Completed", "The caller hung up", "0:34", "420", "$0.0211"),
        *("Hello, do you have a double room for Friday night?", "interrupted"),
        *("Said, but not heard: and you can cancel until six.", "after 843 ms"),
        *("deepgram", "gpt-5-mini", "tts characters 311", "rooms_free", "231 ms"),
        *("A vendor failed", "The caller pressed a key", "+4930999999", "no-answer"),
        *("https://hooks.example.com/calls", "call.started", "Ms Ada King", "4711"),
        *("CA" + "4" * 32, "Front desk"),
    ):
        assert part in words, part


def test_what_a_caller_says_is_no_markup(as_: Login, account: Account, call: Call) -> None:
    Turn.objects.filter(index=1).update(text_said="<b>x</b>", text_heard="<b>x</b>")
    page = as_("viewer", account).get(url(call)).content.decode()
    assert "&lt;b&gt;x&lt;/b&gt;" in page and "<b>x</b>" not in page


def test_secrets_of_the_bot_are_not_even_read(call: Call) -> None:
    deferred = read(call).version.get_deferred_fields()
    assert {"secrets", "body", "document"} <= deferred


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("recording", "being recorded"),
        ("processing", "being made"),
        ("failed", "lost"),
        ("deleted", "erased"),
        (None, "was not recorded"),
    ],
)
def test_a_call_without_sound_says_why_and_shows_when_who_spoke(
    as_: Login, account: Account, call: Call, status: str | None, says: str
) -> None:
    if status is None:
        Recording.objects.all().delete()
    Recording.objects.update(status=status)
    client = as_("viewer", account)
    page = client.get(url(call)).content.decode()
    assert says in page and "<audio" not in page
    timeline = page.partition('<svg class="bc-timeline"')[2].partition("</svg>")[0]
    assert timeline.count("<rect") == len(SAID)
    assert client.get(url(call, "recording/")).status_code == 404
    assert client.get(url(call, "peaks/")).status_code == 404


def test_a_call_that_is_on_asks_for_news_and_one_that_is_over_is_loaded_anew(
    as_: Login, account: Account, config: TwilioConfig
) -> None:
    live = recorded_call(config, sound=False, status="in-progress", ended_at=None)
    client = as_("viewer", account)
    assert 'hx-trigger="news, every 2s"' in client.get(url(live)).content.decode()
    news = client.get(url(live, "news/"))
    assert "HX-Refresh" not in news.headers and "<html" not in news.content.decode()
    Call.objects.update(status="completed", ended_at=BEGAN)
    assert client.get(url(live, "news/")).headers["HX-Refresh"] == "true"


# --- the waterfall --------------------------------------------------------------------------------


def test_the_parts_of_a_bar_add_up_to_the_gap(call: Call) -> None:
    story = story_of(read(call), BEGAN)
    assert len(story.answers) == 4
    longest = max(said.turn.latency_ms or 0 for said in story.answers)
    for said in story.answers:
        total = said.turn.latency_ms
        assert total is not None
        assert sum(stage.ms for stage in said.stages) == pytest.approx(total, abs=0.1)
        assert said.stages[0].left == 0
        for before, after in zip(said.stages, said.stages[1:], strict=False):
            assert after.left == pytest.approx(before.left + before.width, abs=0.01)
        last = said.stages[-1]
        assert last.left + last.width == pytest.approx(100 * total / longest, abs=0.01)


def test_the_page_draws_the_same_bars_and_says_them(
    as_: Login, account: Account, call: Call
) -> None:
    page = as_("viewer", account).get(url(call)).content.decode()
    bar = page.partition('id="gap-3"')[2].partition("</svg>")[0]
    assert 'aria-label="End of turn 310 ms, Transcript 62 ms, Tools 240 ms' in bar
    assert bar.count('<g class="bc-stage">') == 5
    assert "within 50 ms" in page


@pytest.mark.parametrize(
    ("longest", "marks"),
    [
        (0.0, []),
        (843.0, [0, 200, 400, 600, 800]),
        (1_249.0, [0, 250, 500, 750, 1_000]),
        (90.0, [0, 50]),
        (61_000.0, [0, 30_000, 60_000]),
    ],
)
def test_the_axis_has_few_round_marks(longest: float, marks: list[int]) -> None:
    assert [mark.ms for mark in axis(longest)] == marks


# --- in step with the sound -----------------------------------------------------------------------


def test_turns_lie_in_the_recording_where_their_streams_do(call: Call) -> None:
    story = story_of(read(call), BEGAN)
    assert [said.at_s for said in story.turns] == [start for _, start, *_ in SAID]
    recording = Recording.objects.get()
    # Another stream of the same call, which came back ten seconds after the first had ended.
    later = recording.segments.get()
    later.pk, later.stream_sid = None, "MZ2"
    RecordingSegment.objects.update(duration_s=20.0)
    later.duration_s = 14.0
    later.started_at = BEGAN + timedelta(seconds=30)
    later.save()
    Recording.objects.update(duration_s=44.0, parts=2)
    turn = Turn.objects.latest("id")
    Turn.objects.filter(pk=turn.pk).update(
        stream_sid="MZ2",
        started_at=later.started_at + timedelta(seconds=2.5),
        ended_at=later.started_at + timedelta(seconds=3.5),
    )
    last = story_of(read(call), BEGAN).turns[-1]
    assert (last.at_s, last.to_s) == (32.5, 33.5)


def test_without_a_recording_turns_count_from_when_somebody_could_speak(
    config: TwilioConfig,
) -> None:
    call = recorded_call(config, sound=False)
    story = story_of(read(call), BEGAN)
    assert story.turns[0].at_s == 0.42
    assert story.length_s == 34.0
