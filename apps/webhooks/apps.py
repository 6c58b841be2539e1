"""Django's view of the webhooks app."""

from django.apps import AppConfig

from apps.core.facts import happened


class WebhooksConfig(AppConfig):
    name = "apps.webhooks"
    label = "webhooks"

    def ready(self) -> None:
        from apps.webhooks.services import fact_publish

        happened.connect(fact_publish, dispatch_uid="webhooks")
