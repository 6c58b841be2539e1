"""OpenAPI of trying tools."""

from __future__ import annotations

from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)

from apps.bots.answers import ToolTrialOutcomeSerializer
from apps.bots.schema import errors_said
from apps.bots.serializers import ToolTrialSerializer

_TRIAL = {
    "request": {
        "method": "POST",
        "url": "https://tools.example.com/book",
        "headers": {"content-type": "application/json", "x-key": "…"},
        "body": {
            "function_name": "book",
            "tool_call_id": "test_5f0c7a522f6e4c399d1a0f6a51a0c6de",
            "arguments": {"day": "Monday"},
        },
    },
    "response": {
        "status": 200,
        "headers": {"content-type": "application/json"},
        "redirects": 0,
        "body": '{"table": 7}',
        "actions": [],
    },
    "result": '{"table":7}',
    "duration_ms": 84,
    "ok": True,
    "error": "",
}
TRY_TOOL = extend_schema_view(
    post=extend_schema(
        operation_id="twilio_config_tool_test",
        summary="Ask a tool's webhook as a call would",
        description=(
            "The webhook is asked for real, within the tool's own time. That it fails is a 200 "
            "whose `ok` is false. Values of custom headers are masked wherever they appear."
        ),
        tags=["tools"],
        request=ToolTrialSerializer,
        parameters=[
            OpenApiParameter(
                "name",
                {"type": "string", "pattern": "^[-a-zA-Z0-9_]{1,64}$"},
                OpenApiParameter.PATH,
                description="The tool's, as in webhook_tools.",
            ),
            OpenApiParameter(
                "draft", bool, default=False, description="Of the latest version, published or not."
            ),
        ],
        responses={
            200: OpenApiResponse(
                ToolTrialOutcomeSerializer,
                description="What came of it.",
                examples=[OpenApiExample("A table", value=_TRIAL)],
            ),
            **errors_said(400, 401, 403, 404, 413, 415),
        },
        examples=[
            OpenApiExample("A day", value={"arguments": {"day": "Monday"}}, request_only=True)
        ],
    )
)
