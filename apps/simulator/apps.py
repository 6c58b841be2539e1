"""Registers the simulator, which has commands and no tables."""

from __future__ import annotations

from django.apps import AppConfig


class SimulatorConfig(AppConfig):
    """Twilio's stand-in."""

    name = "apps.simulator"
    verbose_name = "Simulator"
