"""What a bot can do besides talking: its tools, ending the call, putting it through."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apps.bots.selectors import Admission
from apps.bots.toolruns import Webhook, webhook_run, webhooks_of
from apps.bots.tools import END_CALL, SUMMARY_CHARACTERS, TRANSFER_CALL
from apps.voice.ports import Controls, Tool, ToolCall, ToolResult, ToolTerms
from apps.voice.toolwords import NOTE

_END_CALL = Tool(
    END_CALL,
    "End the phone call. Say goodbye first; the call ends when the goodbye has been heard.",
    {"type": "object", "properties": {}},
)
_GOODBYE = "The call ends when your goodbye has been heard. Say it now, unless you have."
_HANDOVER = "The call is put through when what you say has been heard. Say so now, unless you have."
_NOWHERE = NOTE + "There is no such target. The targets: {names}."
_NO_TRANSFERS = NOTE + (
    "This server cannot put calls through. Say so, and offer to help otherwise or to end the call."
)
_UNKNOWN = NOTE + "There is no tool of this name. Go on without it."


_SUMMARY = (
    "For {names}: what they should know before they take the call, in one or two sentences: who "
    "calls, what for, and what was said. It is read to them alone."
)

Summarise = Callable[[str, str], None]


class CallToolbox:
    """Implements ``voice.ports.Toolbox`` for one call.

    targets: whom the call may be put through to, by name. summarise: takes what the human is told
    (target, summary); None where the call cannot be put through.
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        hooks: Mapping[str, Webhook],
        *,
        targets: Mapping[str, Any],
        summarise: Summarise | None,
    ) -> None:
        self._hooks = {name: hook for name, hook in hooks.items() if name != END_CALL}
        # PostgreSQL's JSON does not keep the order of members: theirs would differ from SQLite's.
        self._targets = dict(sorted(targets.items()))
        self._summarise = summarise
        self._tools = [tool for tool in tools if tool.name in self._hooks]
        self._tools += [_END_CALL, *([_transfer_tool(self._targets)] if targets else [])]

    def tools(self) -> Sequence[Tool]:
        return self._tools

    def terms(self, name: str) -> ToolTerms:
        hook = self._hooks.get(name)
        return ToolTerms() if hook is None else hook.terms

    async def call(self, call: ToolCall, controls: Controls) -> ToolResult:
        if call.name == END_CALL:
            return ToolResult(_GOODBYE, ends_call=True)
        if call.name == TRANSFER_CALL and self._targets:
            return self._transfer(call)
        hook = self._hooks.get(call.name)
        if hook is None:
            return ToolResult(_UNKNOWN, outcome="unknown")
        run = await webhook_run(hook, call, controls)
        return run.result

    def _transfer(self, call: ToolCall) -> ToolResult:
        # Where there is but one, small models name none.
        only = next(iter(self._targets)) if len(self._targets) == 1 else ""
        target = str(call.arguments.get("target") or only)
        if target not in self._targets:
            return ToolResult(_NOWHERE.format(names=", ".join(self._targets)), outcome="unknown")
        if self._summarise is None:
            return ToolResult(_NO_TRANSFERS, outcome="unavailable")
        if _is_warm(self._targets[target]):
            summary = " ".join(str(call.arguments.get("summary") or "").split())
            self._summarise(target, summary[:SUMMARY_CHARACTERS])
        return ToolResult(_HANDOVER, transfer_to=target)


def toolbox_of(
    admission: Admission, tools: Sequence[Tool], *, summarise: Summarise | None
) -> CallToolbox:
    """Build the toolbox of a call. tools: what the bot's model is to know of."""
    return CallToolbox(
        tools,
        webhooks_of(admission.document, admission.secrets),
        targets=admission.document.get("transfers") or {},
        summarise=summarise,
    )


def _transfer_tool(targets: Mapping[str, Any]) -> Tool:
    described = [
        f"{name}: {found['description']}" if found.get("description") else name
        for name, found in targets.items()
    ]
    properties: dict[str, Any] = {"target": {"type": "string", "enum": list(targets)}}
    if warm := [name for name, found in targets.items() if _is_warm(found)]:
        properties["summary"] = {
            "type": "string",
            "description": _SUMMARY.format(names=", ".join(warm)),
        }
    return Tool(
        TRANSFER_CALL,
        "Put the caller through to somebody else. Say so first; it happens when that has been "
        f"heard. The targets are {'; '.join(described)}",
        {
            "type": "object",
            "properties": properties,
            "required": ["target"],
        },
    )


def _is_warm(target: Mapping[str, Any]) -> bool:
    return target.get("mode") == "warm"
