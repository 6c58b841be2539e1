"""HTTP only, for WSGI servers. The media socket needs ``botsconfig.asgi``."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsconfig.settings")

application = get_wsgi_application()
