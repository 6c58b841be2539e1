"""Paths of calls and of Twilio's questions about them."""

from __future__ import annotations

from apps.calls import callback_views, ringing_views, views
from apps.calls.recordings.views import RecordingView
from apps.core.routing import both

urlpatterns = [
    *both("calls", views.CallViewSet.as_view({"get": "list"}), name="calls"),
    *both("calls/<uuid:pk>", views.CallViewSet.as_view({"get": "retrieve"}), name="call"),
    *both("calls/<uuid:pk>/recording", RecordingView.as_view(), name="recording"),
    *both("twilio/voice/<uuid:config_id>", ringing_views.voice, name="voice"),
    *both("twilio/after-stream", ringing_views.after_stream, name="after-stream"),
    *both("twilio/status", callback_views.status, name="call-status"),
    *both("twilio/stream-status", callback_views.stream_status, name="stream-status"),
    *both("twilio/amd", callback_views.amd, name="amd"),
    *both("twilio/recording", callback_views.recording, name="twilio-recording"),
]
