"""The home page and the two parts of it that renew themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse

from apps.accounts.invitations import invitations_to
from apps.calls.statistics.alarms import alarms
from apps.calls.statistics.figures import Figures, Outcome
from apps.calls.statistics.selectors import (
    Beginnings,
    Live,
    beginnings,
    live_calls,
    statistics,
)
from apps.calls.statistics.spread import Spread
from apps.dashboard.home.charts import charts
from apps.dashboard.home.words import dollars, failure_words, link_to, ms_words, notice_of
from apps.dashboard.pages import needs, page
from apps.dashboard.scoping import accounts_shown, may, person_of, shows_several

READS: Final = "calls:read"
# More would push the rest of the page away; a link leads to all.
LIVE_SHOWN: Final = 5
FAILURES_SHOWN: Final = 6
NOTICES_SHOWN: Final = 6


def home(request: HttpRequest) -> HttpResponse:
    """Show what goes on now and what happened today; or what to do first."""
    invited = invitations_to(person_of(request))
    if not may(request, READS):
        return page(request, "dashboard/home/nobody.html", title="Welcome", invitations=invited)
    accounts = accounts_shown(request, READS)
    begun = beginnings(accounts)
    if not begun.has_call:
        notices = [notice_of(alarm) for alarm in alarms(accounts)]
        steps = steps_of(request, begun)
        return page(
            request,
            "dashboard/home/begin.html",
            title="Home",
            steps=steps,
            notices=notices,
            invitations=invited,
        )
    if "HX-Request" in request.headers:  # the page of the first steps: it is over
        return HttpResponse(headers={"HX-Refresh": "true"})
    several = shows_several(request)
    return page(
        request,
        "dashboard/home/home.html",
        title="Home",
        live_html=live_html(live_calls(accounts, at_most=LIVE_SHOWN), several=several),
        invitations=invited,
        **figures_context(request),
    )


@needs(READS)
def figures(request: HttpRequest) -> HttpResponse:
    """The figures, the charts and what needs a look: asked for every 15 seconds."""
    return TemplateResponse(request, "dashboard/home/_renewed.html", figures_context(request))


@needs(READS)
def live(request: HttpRequest) -> HttpResponse:
    """The live calls, for browsers that get no WebSocket."""
    found = live_calls(accounts_shown(request, READS), at_most=LIVE_SHOWN)
    return HttpResponse(live_html(found, several=shows_several(request)))


def live_html(found: Live, *, several: bool) -> str:
    """Return the card of live calls, as the page has it and as the socket sends it.

    several: it says whose each call is.
    """
    more = found.count - len(found.newest)
    return render_to_string(
        "dashboard/home/_live.html", {"live": found, "more": more, "several": several}
    )


def figures_context(request: HttpRequest) -> dict[str, Any]:
    """What is shown of calls that are over, and what needs a look."""
    accounts = accounts_shown(request, READS)
    found = statistics(accounts)
    notices = [notice_of(alarm) for alarm in alarms(accounts)]
    failures = found.day.failures
    return {
        "tiles": tiles_of(found.today),
        "charts": charts(found.hours),
        "failures": [(failure_words(ending), count) for ending, count in failures[:FAILURES_SHOWN]],
        "failures_left": sum(count for _, count in failures[FAILURES_SHOWN:]),
        "failures_all": sum(count for _, count in failures),
        "notices": notices[:NOTICES_SHOWN],
        "notices_left": len(notices[NOTICES_SHOWN:]),
    }


def tiles_of(today: Figures) -> list[dict[str, str]]:
    """Return the figures of the day: a name, a value and a note, each short."""
    counts = today.outcomes
    bad = counts[Outcome.FAILED] + counts[Outcome.UNANSWERED]
    share = f"{100 * bad / today.calls:.0f} % of the calls" if today.calls else "no calls yet"
    return [
        _tile("Calls today", f"{today.calls:,}", f"{counts[Outcome.HELD]:,} held"),
        _tile("Answer → first word", ms_words(today.first_words.p50), _p95(today.first_words)),
        _tile("Turn latency", ms_words(today.answers.p50), _p95(today.answers)),
        _tile("Failures", f"{bad:,}", share),
        _tile("Cost", dollars(today.cost_usd), _cost_note(today)),
    ]


def _tile(name: str, value: str, note: str) -> dict[str, str]:
    return {"name": name, "value": value, "note": note}


def _p95(spread: Spread) -> str:
    return f"p50, p95 {ms_words(spread.p95)}" if spread.count else "nothing yet"


def _cost_note(today: Figures) -> str:
    if today.unpriced:
        return f"and {today.unpriced:,} unpriced calls"
    return f"{dollars(today.cost_usd / today.calls)} a call" if today.calls else "of the vendors"


def steps_of(request: HttpRequest, begun: Beginnings) -> list[Mapping[str, Any]]:
    """Return the three steps to a bot on the phone; link: empty for who may not, or cannot yet."""
    makes, phones = may(request, "configs:write"), may(request, "phones:write")
    talk = begun.bot and (
        link_to("admin:bots_twilioconfig_talk", begun.bot)
        or link_to("admin:bots_twilioconfig_change", begun.bot)
    )
    return [
        {
            "name": "Make a bot",
            "text": "Say in a few sentences who it is and what it knows, and choose its voice.",
            "link": link_to("admin:bots_twilioconfig_add") if makes else "",
            "link_text": "Make a bot",
            "done": begun.bot is not None,
        },
        {
            "name": "Talk to it",
            "text": "Right here, through your microphone, over the same gateway as a phone.",
            "link": talk or "",
            "link_text": "Talk to it",
            "done": False,
        },
        {
            "name": "Put it on a number",
            "text": "Connect Twilio, choose a number, and it answers the next call.",
            "link": _phones() if phones and begun.bot else "",
            "link_text": "Choose a number",
            "done": begun.has_number,
        },
    ]


def _phones() -> str:
    return link_to("admin:calls_phonenumber_changelist") or link_to(
        "admin:accounts_twilioconnection_changelist"
    )
