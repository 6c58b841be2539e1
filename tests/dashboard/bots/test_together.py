"""Two people change one bot: what both did counts, and who saves second is told what does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.accounts.audit import Actor
from apps.bots.document import native_of
from apps.bots.models import TwilioConfig
from apps.bots.services import Write, config_patch
from apps.dashboard.bots.saving import Refused, Save, Unchanged, bot_save, patch_of
from apps.dashboard.bots.together import rows_merged, undone
from tests.dashboard.bots.conftest import FULL, SECRET, form_of, sent_by, version_of
from tests.dashboard.people import Login

TOOLS: list[dict[str, Any]] = FULL["config"]["llm"]["tools"]
CHAIN: list[dict[str, Any]] = FULL["config"]["llm"]["fallbacks"]
NEW_TOOL = {
    "tools-900-name": "mine",
    "tools-900-url": "https://mine.example/",
    "tools-900-header-1-name": "X-Mine",
    "tools-900-header-1-value": "hush",
}


class Second:
    """Somebody whose page was written before ``theirs`` was saved."""

    def __init__(self, config: TwilioConfig, theirs: dict[str, Any], mine: dict[str, str]) -> None:
        gone = {name for name, text in mine.items() if text == "GONE"}
        texts = sent_by(form_of(config)) | mine
        data = {
            name: text
            for name, text in texts.items()
            if not any(name.startswith(f"{row}-") or name == row for row in gone)
        }
        self.config, self.base, self.form = config, version_of(config), form_of(config, data)
        config_patch(Write(config.account, config.pk, Actor()), theirs)
        config.refresh_from_db()

    def save(self) -> None:
        bot_save(self._save(), self.form)
        self.config.refresh_from_db()

    def undone(self) -> list[str]:
        theirs = version_of(self.config)
        return undone(self.base, theirs, patch_of(self._save(), self.form))

    def _save(self) -> Save:
        return Save(self.config, self.base, version_of(self.config).number, Actor(), publish=True)


Meet = Callable[..., Second]


@pytest.fixture
def meet(full: TwilioConfig) -> Meet:
    def second(theirs: dict[str, Any], **mine: str) -> Second:
        return Second(full, theirs, mine)

    return second


def tools_of(config: TwilioConfig) -> dict[str, dict[str, Any]]:
    native = native_of(version_of(config).document)
    return {tool["name"]: tool for tool in native["config"]["llm"]["tools"]}


def hooks_of(config: TwilioConfig) -> dict[str, Any]:
    hooks: dict[str, Any] = native_of(version_of(config).document)["webhook_tools"]
    return hooks


def chain_of(config: TwilioConfig) -> list[dict[str, Any]]:
    native = native_of(version_of(config).document)
    found: list[dict[str, Any]] = native["config"]["llm"].get("fallbacks", [])
    return found


def of_tools(tools: list[dict[str, Any]], **hooks: Any) -> dict[str, Any]:
    return {"config": {"llm": {"tools": tools}}, "webhook_tools": hooks}


def described(name: str, description: str) -> list[dict[str, Any]]:
    return [{**one, "description": description} if one["name"] == name else one for one in TOOLS]


def without(name: str) -> list[dict[str, Any]]:
    return [one for one in TOOLS if one["name"] != name]


def test_both_add_a_tool(full: TwilioConfig, meet: Meet) -> None:
    theirs = of_tools([*TOOLS, {"name": "theirs"}], theirs={"url": "https://theirs.example/"})
    second = meet(theirs, **NEW_TOOL)
    assert second.undone() == []
    second.save()
    assert list(tools_of(full)) == ["end_call", "book", "look_up", "mine", "theirs"]
    assert hooks_of(full).keys() == {"book", "look_up", "mine", "theirs"}
    headers = version_of(full).secrets["tool_headers"]
    assert headers["mine"] == {"X-Mine": "hush"}
    assert headers["book"]["Authorization"] == SECRET


def test_a_tool_is_added_beside_one_that_somebody_described_anew(
    full: TwilioConfig, meet: Meet
) -> None:
    second = meet(of_tools(described("book", "Theirs.")), **NEW_TOOL)
    assert second.undone() == []
    second.save()
    assert tools_of(full)["book"]["description"] == "Theirs."
    assert "mine" in tools_of(full)


def test_two_change_one_tool_in_different_members(full: TwilioConfig, meet: Meet) -> None:
    theirs = of_tools(described("book", "Theirs."), book={"timeout_secs": 9})
    second = meet(theirs, **{"tools-1-parameters": '{"type": "object"}', "tools-1-filler": "Wait."})
    assert second.undone() == []
    second.save()
    book, hook = tools_of(full)["book"], hooks_of(full)["book"]
    assert (book["description"], book["parameters"]) == ("Theirs.", {"type": "object"})
    assert (hook["timeout_secs"], hook["filler"]) == (9, "Wait.")
    assert version_of(full).secrets["tool_headers"]["book"]["Authorization"] == SECRET


def test_where_both_changed_the_same_mine_counts_and_that_is_said(
    full: TwilioConfig, meet: Meet
) -> None:
    theirs = of_tools(described("book", "Theirs.")) | {"name": "Theirs"}
    second = meet(theirs, **{"tools-1-description": "Mine.", "name": "Mine"})
    assert second.undone() == ["config.llm.tools.book", "name"]
    second.save()
    assert tools_of(full)["book"]["description"] == "Mine."


@pytest.mark.parametrize("change", [NEW_TOOL, {"tools-1-description": "Mine."}])
def test_a_tool_that_somebody_deleted_stays_deleted(
    full: TwilioConfig, meet: Meet, change: dict[str, str]
) -> None:
    second = meet(of_tools(without("look_up"), look_up=None), **change)
    assert second.undone() == []
    second.save()
    assert "look_up" not in tools_of(full)
    assert "look_up" not in hooks_of(full)


@pytest.mark.parametrize(
    "change", [{"tools-1-description": "Mine."}, {"tools-1-timeout_secs": "9"}]
)
def test_a_deleted_tool_that_i_changed_is_back_whole_and_that_is_said(
    full: TwilioConfig, meet: Meet, change: dict[str, str]
) -> None:
    second = meet(of_tools(without("book"), book=None), **change)
    assert second.undone() == ["config.llm.tools.book", "webhook_tools.book"]
    second.save()
    assert hooks_of(full)["book"]["url"] == "https://hotel.example/book"
    assert version_of(full).secrets["tool_headers"]["book"]["Authorization"] == SECRET


def test_a_tool_that_i_deleted_takes_its_webhook_along(full: TwilioConfig, meet: Meet) -> None:
    hook = {"url": "https://theirs.example/"}
    second = meet(of_tools(TOOLS, end_call=hook), **{"tools-0": "GONE"})
    assert second.undone() == ["webhook_tools.end_call"]
    second.save()
    assert "end_call" not in tools_of(full)
    assert "end_call" not in hooks_of(full)


def test_a_tool_that_i_named_anew_keeps_its_headers(full: TwilioConfig, meet: Meet) -> None:
    meet({"max_duration": 700}, **{"tools-1-name": "reserve"}).save()
    headers = version_of(full).secrets["tool_headers"]
    assert headers["reserve"]["Authorization"] == SECRET
    assert "book" not in headers


def test_fallbacks_of_both_take_over(full: TwilioConfig, meet: Meet) -> None:
    other = [{**CHAIN[0], "model": "claude-sonnet-4-5"}, CHAIN[1]]
    theirs = {"config": {"llm": {"fallbacks": other}}}
    second = meet(theirs, **{"llmfallbacks-900-provider": "mistral", "llmfallbacks-900-model": ""})
    assert second.undone() == []
    second.save()
    assert [one["provider"] for one in chain_of(full)] == ["anthropic", "groq", "mistral"]
    assert chain_of(full)[0]["model"] == "claude-sonnet-4-5"


def test_a_fallback_that_somebody_took_away_stays_away(full: TwilioConfig, meet: Meet) -> None:
    theirs = {"config": {"llm": {"fallbacks": CHAIN[1:]}}}
    meet(theirs, **{"llmfallbacks-1-model": "llama-3.3-70b-versatile"}).save()
    assert [one["provider"] for one in chain_of(full)] == ["groq"]
    assert chain_of(full)[0]["model"] == "llama-3.3-70b-versatile"


def test_what_both_did_alike_is_nothing_to_save(meet: Meet) -> None:
    second = meet(of_tools(described("book", "Same.")), **{"tools-1-description": "Same."})
    with pytest.raises(Unchanged):
        second.save()


def test_a_complaint_stands_at_my_row_wherever_it_comes_to_stand(meet: Meet) -> None:
    theirs = of_tools([{"name": "first"}, *TOOLS])
    theirs["config"]["llm"]["fallbacks"] = [{"provider": "mistral"}, *CHAIN]
    second = meet(
        theirs, **{"tools-1-parameters": '{"type": "array"}', "llmfallbacks-1-model": "x" * 201}
    )
    with pytest.raises(Refused):
        second.save()
    assert second.form.complaints.of("tools-1-parameters")
    second.form.complaints.at.clear()
    second.form.refuse({"config.llm.fallbacks.2.model": ["Too long."]})
    assert second.form.complaints.of("llmfallbacks-1-model")


def test_rows_stand_in_my_order_if_i_changed_it() -> None:
    base = {name: {"n": 1} for name in "abc"}
    theirs = {name: {"n": 1} for name in "abxc"}
    assert list(rows_merged(base, base, theirs)) == list("abxc")
    mine = {name: {"n": 1} for name in "cabm"}
    assert list(rows_merged(base, mine, theirs)) == list("cabxm")


def test_the_page_says_what_will_be_undone(as_: Login, full: TwilioConfig) -> None:
    client = as_(full.account, "operator")
    page = f"/admin/bots/twilioconfig/{full.pk}/change/"
    mine = sent_by(form_of(full)) | {"bot": str(full.pk), "version": "1", "do": "publish"}
    config_patch(Write(full.account, full.pk, Actor()), of_tools(described("book", "Theirs.")))
    added = client.post(page, mine | NEW_TOOL).content.decode()
    assert "Nothing of theirs is undone" in added
    asked = client.post(page, mine | {"tools-1-description": "Mine."}).content.decode()
    assert "this of theirs is undone: <code>config.llm.tools.book</code>" in asked
    assert client.post(page, mine | NEW_TOOL | {"onto": "2"}).status_code == 302
    assert tools_of(full)["book"]["description"] == "Theirs."
    assert client.post(page, mine | NEW_TOOL | {"onto": "99"}).status_code == 200
