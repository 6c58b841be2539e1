"""Paths of calls and of Twilio's questions about them."""

from __future__ import annotations

from django.urls import register_converter

from apps.calls import callback_views, fallback_views, ringing_views, transfer_views
from apps.calls.account_views import AccountView
from apps.calls.control_views import DtmfView, SayView, TransferView
from apps.calls.converters import SidConverter
from apps.calls.number_views import PhoneNumberViewSet
from apps.calls.recordings.views import RecordingView
from apps.calls.viewsets import CallViewSet, HangUpView
from apps.core.routing import both

register_converter(SidConverter, "sid")

_numbers = PhoneNumberViewSet.as_view({"get": "list"})
_number = PhoneNumberViewSet.as_view({"get": "retrieve", "put": "update"})
_repair = PhoneNumberViewSet.as_view({"post": "repair"})

urlpatterns = [
    *both("account", AccountView.as_view(), name="account"),
    *both("phone-numbers", _numbers, name="phone-numbers"),
    *both("phone-numbers/<sid:sid>", _number, name="phone-number"),
    *both("phone-numbers/<sid:sid>/repair", _repair, name="phone-number-repair"),
    *both("twilio/fallback", fallback_views.fallback, name="fallback"),
    *both("calls", CallViewSet.as_view({"get": "list", "post": "create"}), name="calls"),
    *both("calls/<uuid:pk>", CallViewSet.as_view({"get": "retrieve"}), name="call"),
    *both("calls/<uuid:pk>/hangup", HangUpView.as_view(), name="call-hangup"),
    *both("calls/<uuid:pk>/say", SayView.as_view(), name="call-say"),
    *both("calls/<uuid:pk>/dtmf", DtmfView.as_view(), name="call-dtmf"),
    *both("calls/<uuid:pk>/recording", RecordingView.as_view(), name="recording"),
    *both("calls/<uuid:pk>/transfer", TransferView.as_view(), name="call-transfer"),
    *both("twilio/after-dial", transfer_views.after_dial, name="after-dial"),
    *both("twilio/whisper", transfer_views.whisper, name="whisper"),
    *both("twilio/voice/<uuid:config_id>", ringing_views.voice, name="voice"),
    *both("twilio/after-stream", ringing_views.after_stream, name="after-stream"),
    *both("twilio/status", callback_views.status, name="call-status"),
    *both("twilio/stream-status", callback_views.stream_status, name="stream-status"),
    *both("twilio/amd", callback_views.amd, name="amd"),
    *both("twilio/recording", callback_views.recording, name="twilio-recording"),
]
