"""Django's settings. Every value comes from the environment; ``.env.example`` lists the names.

Any name may be given as NAME_FILE instead, a file that holds the value; a file that is missing
stops the start. What is wrong with the values is said by the checks in ``botsconfig.checks``.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.FileAwareEnv()
_env_file = Path(os.environ.get("ENV_FILE") or BASE_DIR / ".env")
if _env_file.exists():
    env.read_env(str(_env_file))


def _text(name: str, default: str = "") -> str:
    # A secret in a file nearly always ends in a newline that is no part of it.
    return str(env.str(name, default)).strip()


def _texts(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in _text(name, default).split(",") if part.strip()]


def _object(name: str) -> dict[str, Any]:
    try:
        found = json.loads(_text(name) or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ImproperlyConfigured(f"{name} is no JSON object.")
    return found


def _mapping(name: str) -> dict[str, str]:
    found = _object(name)
    if not all(isinstance(value, str) for value in found.values()):
        raise ImproperlyConfigured(f"{name} is no JSON object of texts.")
    return found


def _aliases(name: str) -> dict[str, dict[str, str]]:
    found = _object(name)
    for models in found.values():
        if not isinstance(models, dict) or not all(isinstance(to, str) for to in models.values()):
            raise ImproperlyConfigured(f"{name} is no JSON object of models by provider.")
    return found


def _prices(name: str) -> dict[str, dict[str, Any]]:
    found = _object(name)
    if not all(isinstance(units, dict) for units in found.values()):
        raise ImproperlyConfigured(f"{name} is no JSON object of prices by unit.")
    return found


# --- what the operator says ---------------------------------------------------------------------

DEBUG: bool = env.bool("DEBUG", False)
SECRET_KEY = _text("SECRET_KEY")
PUBLIC_URL = _text("PUBLIC_URL", f"http://127.0.0.1:{_text('PORT', '8000')}").rstrip("/")
ENCRYPTION_KEYS = _texts("ENCRYPTION_KEYS")
TWILIO_API_URL = _text("TWILIO_API_URL", "https://api.twilio.com").rstrip("/")
PROVIDER_API_URLS = _mapping("PROVIDER_API_URLS")
ENABLE_TEST_PROVIDERS: bool = env.bool("ENABLE_TEST_PROVIDERS", False)
DATABASE_URL = _text("DATABASE_URL")
REDIS_URL = _text("REDIS_URL")
LOG_LEVEL = _text("LOG_LEVEL", "INFO").upper()
# So many requests per API key, and failed authentications per client address; "0": no limit.
RATE_LIMIT = _text("RATE_LIMIT", "600/minute")
AUTH_FAILURE_LIMIT = _text("AUTH_FAILURE_LIMIT", "60/minute")
TASKS_IMMEDIATE: bool = env.bool("TASKS_IMMEDIATE", False)
# Nobody sees anything of the dashboard without a second factor.
REQUIRE_TWO_FACTOR: bool = env.bool("REQUIRE_TWO_FACTOR", False)
# Outgoing events and the log of their deliveries are kept so long.
WEBHOOK_LOG_DAYS: int = env.int("WEBHOOK_LOG_DAYS", 30)
CALLBACK_DAYS: int = env.int("CALLBACK_DAYS", 30)
# The local models take two seconds and 350 MB to load: before the first call, or in it.
WARM_UP: bool = env.bool("WARM_UP", DEBUG)

# Provider -> model in a config -> model that is asked for instead: for names that vendors retired.
MODEL_ALIASES = _aliases("MODEL_ALIASES")

# "kind/provider/model" -> unit -> USD: what the operator pays, where that is not the list price.
PRICES = _prices("PRICES")

_public = urlsplit(PUBLIC_URL)
STREAM_URL = f"{'wss' if _public.scheme == 'https' else 'ws'}://{_public.netloc}/media/twilio"
ALLOWED_HOSTS = list(
    dict.fromkeys(
        [
            *_texts("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]" if DEBUG else ""),
            *([_public.hostname] if _public.hostname else []),
        ]
    )
)

# --- the application ----------------------------------------------------------------------------

INSTALLED_APPS = [
    # Before the admin, whose look it is; and ours before it, whose templates stand over its own.
    "apps.dashboard",
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "axes",
    "django_tasks",
    "django_tasks_db",
    "apps.core",
    "apps.accounts",
    "apps.bots",
    "apps.webhooks",
    "apps.calls",
    "apps.gateway",
    "apps.simulator",
    # Checks and commands of the whole; after the apps, so that theirs come first.
    "botsconfig",
]

MIDDLEWARE = [
    "apps.core.middleware.RequestIdMiddleware",
    # Outside of all that reads or keeps an answer's body.
    "apps.core.compression.CompressionMiddleware",
    "apps.core.middleware.PlainErrorMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "apps.core.middleware.RequestFormMiddleware",
    "apps.core.middleware.ChunkedBodyMiddleware",
    "apps.core.static.StaticMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "apps.dashboard.middleware.ViewerMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "apps.dashboard.gate.GateMiddleware",
    "apps.core.throttling.RateLimitMiddleware",
    "apps.core.idempotency.IdempotencyMiddleware",
    # Innermost: it puts the page of a lock-out in the place of the form's own answer.
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "botsconfig.urls"
WSGI_APPLICATION = "botsconfig.wsgi.application"
ASGI_APPLICATION = "botsconfig.asgi.application"
# A redirect loses a POST's body and breaks Twilio's signature: both spellings are routed instead.
APPEND_SLASH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
# A bot may have 200 variables, 64 tools with headers and 50 transfers, each with some fields.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 4_000

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- people: who they are, and how they get in; see docs/login.md ---------------------------------

AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "admin:index"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTHENTICATION_BACKENDS = [
    # First: it stops who is locked out before a password is looked at.
    "axes.backends.AxesStandaloneBackend",
    # Django's own rather than allauth's, to whom Ada and ada would be one.
    "django.contrib.auth.backends.ModelBackend",
]

ACCOUNT_ADAPTER = "apps.dashboard.login.Door"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = True
# What is counted under "key" is wrong codes of a second factor, which only who knows the password
# may try: three codes fit at a time, of a million. Wrong passwords are counted by axes.
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "5/15m/key,30/d/key"}

MFA_ADAPTER = "apps.dashboard.login.SecondFactors"
MFA_FORMS = {
    "authenticate": "apps.dashboard.codes.LoginForm",
    "reauthenticate": "apps.dashboard.codes.ConfirmForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "botsconfig"
# A phone's clock may be half a minute off.
MFA_TOTP_TOLERANCE = 1
MFA_ALLOW_UNVERIFIED_EMAIL = True

# In the database, which all processes share with or without Redis, and which a restart keeps.
AXES_HANDLER = "axes.handlers.database.AxesDatabaseHandler"
# Together: who guesses at a name locks their own address out of it, and its owner out of nothing.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "apps.dashboard.login.counted_address"
AXES_USERNAME_CALLABLE = "apps.dashboard.login.tried_username"
AXES_LOCKOUT_CALLABLE = "apps.dashboard.login.locked_out"
# What was posted is kept until the lock-out ends; a password may stand in the wrong field.
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "login", "csrfmiddlewaretoken"]
AXES_ENABLE_ADMIN = False
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False

SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"

# --- storage ------------------------------------------------------------------------------------


def _sqlite(path: Path | str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {
            # Readers never wait for the writer, and a writer waits for its turn at BEGIN, where
            # waiting works, rather than at its first write, where SQLite gives up at once.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
        },
    }


def _database() -> dict[str, Any]:
    if not DATABASE_URL:
        return _sqlite(BASE_DIR / "var" / "db.sqlite3")
    found: dict[str, Any] = env.db_url_config(DATABASE_URL)
    if found["ENGINE"].endswith("sqlite3"):
        return _sqlite(found["NAME"])
    # Twilio waits 15 s for an answer: who waits longer for the database answers nobody.
    found.setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
    # Under ASGI every request has a thread of its own, so a connection kept per thread would be
    # lost, not reused: the pool is the way to keep them. Without it each request connects anew.
    if find_spec("psycopg_pool") is not None:
        found["OPTIONS"].setdefault("pool", {"min_size": 1, "max_size": 16, "timeout": 10})
    return found


# SQLite makes its file, but not the folder.
(BASE_DIR / "var").mkdir(exist_ok=True)
DATABASES = {"default": _database()}

if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            # One that does not answer must not hold up the requests that it only counts.
            "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
        }
    }
    CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            # The layer waits for a message five seconds at a time; redis-py 8 gives an answer five
            # by itself, and would break such waits off.
            "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": 20}]},
        }
    }
else:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            # Django's 300 would soon throw out the counters of the rate limits.
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        }
    }
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

# Recordings are private: nothing under here has a URL.
RECORDINGS_STORAGE = _text("RECORDINGS_STORAGE", "files").lower()
RECORDINGS_FOLDER = _text("RECORDINGS_FOLDER") or str(BASE_DIR / "var" / "recordings")
RECORDINGS_SPOOL = _text("RECORDINGS_SPOOL") or str(BASE_DIR / "var" / "spool")
RECORDINGS_KEEP_DAYS: int = env.int("RECORDINGS_KEEP_DAYS", 0)
RECORDINGS_S3_BUCKET = _text("RECORDINGS_S3_BUCKET")

_recordings: dict[str, Any] = {
    "BACKEND": "apps.calls.recordings.files.RecordingsFolder",
    "OPTIONS": {"location": RECORDINGS_FOLDER},
}
if RECORDINGS_STORAGE == "s3":
    _recordings = {
        "BACKEND": "apps.calls.recordings.bucket.RecordingsBucket",
        "OPTIONS": {
            "bucket_name": RECORDINGS_S3_BUCKET,
            "location": _text("RECORDINGS_S3_PREFIX").strip("/"),
            "endpoint_url": _text("RECORDINGS_S3_ENDPOINT_URL"),
            "region_name": _text("RECORDINGS_S3_REGION") or None,
        },
    }
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "recordings": _recordings,
}

_tasks_backend = (
    "django_tasks.backends.immediate.ImmediateBackend"
    if TASKS_IMMEDIATE
    else "django_tasks_db.DatabaseBackend"
)
TASKS = {"default": {"BACKEND": _tasks_backend}}

# --- static files: out of the packages themselves, so that no build step comes before a start ----

STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
# Looking for a file at every request is for those who edit it.
WHITENOISE_AUTOREFRESH = False
# Files of the same origin as the pages, for them alone.
WHITENOISE_ALLOW_ALL_ORIGINS = False

# --- HTTPS --------------------------------------------------------------------------------------

CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if _public.scheme in ("http", "https") else []
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SECURE_HSTS_SECONDS = 0 if DEBUG else 30 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = not DEBUG
SILENCED_SYSTEM_CHECKS = [
    # Redirecting to https is the proxy's work, where TLS ends; see APPEND_SLASH for why not here.
    "security.W008",
    # Entering a domain into browsers' preload lists is for its owner to decide.
    "security.W021",
]

# --- pages: what a browser may load and run on them ---------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "media-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "worker-src": ["'self'"],
        "manifest-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "botsconfig.errors.csrf_failure"

UNFOLD = {
    "SITE_TITLE": "botsconfig",
    "SITE_HEADER": "botsconfig",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    # Its style block would be inline: dashboard/css/theme.css holds the colours.
    "COLORS": {},
    "GLOBAL_CALLBACK": "apps.dashboard.pages.frame_context",
    "ACCOUNT": {"navigation": [{"title": "Security", "link": reverse_lazy("mfa_index")}]},
    "SIDEBAR": {"navigation": "apps.dashboard.navigation.navigation"},
}

# --- the API ------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apps.accounts.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [
        "apps.accounts.authentication.HasAccount",
        "apps.accounts.permissions.HasScope",
    ],
    # In this order: what a limit refuses opens no attempt. See IdempotencyGate for why it is here.
    "DEFAULT_THROTTLE_CLASSES": [
        "apps.core.throttling.KeyRate",
        "apps.core.idempotency.IdempotencyGate",
    ],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "apps.core.negotiation.JsonFirst",
    "DEFAULT_RENDERER_CLASSES": ["apps.core.renderers.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.core.parsers.JsonParser"],
    "DEFAULT_PAGINATION_CLASS": "apps.core.pagination.NewestFirstPagination",
    "DEFAULT_SCHEMA_CLASS": "apps.accounts.schema.ScopedSchema",
    "EXCEPTION_HANDLER": "apps.core.handling.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "botsconfig",
    "VERSION": "1",
    "DESCRIPTION": "Phone voice bots on Twilio: POST a bot, paste the TwiML you get back.",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "COMPONENT_SPLIT_REQUEST": True,
    "PREPROCESSING_HOOKS": ["apps.core.schema.one_spelling"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.core.schema.whole_bodies",
        "apps.core.schema.merge_patches",
        "apps.core.schema_http.shared_behaviour",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "VersionStatusEnum": "apps.bots.answers.STATUSES",
        "TransferModeEnum": "apps.bots.tools.TRANSFER_MODES",
        "CallStatusEnum": "apps.calls.models.Call.Status",
        "KindEnum": "apps.providers.base.KINDS",
        "AuthorKindEnum": "apps.bots.answers.AUTHOR_KINDS",
        "EventKindEnum": "apps.webhooks.kinds.NAMES",
        "DeliveryStatusEnum": "apps.webhooks.models.Delivery.Status",
        "ReplayedStatusEnum": "apps.webhooks.replaying.STATUSES",
        "AttemptErrorEnum": "apps.webhooks.serializers.ERRORS",
        "DisabledReasonEnum": "apps.webhooks.models.Endpoint.Disabled",
    },
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVERS": [{"url": PUBLIC_URL}],
}

# --- logs: one line each, to stderr ---------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "apps.core.logs.LineFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # Django's own handlers would print every record a second time.
    "loggers": {
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        # These tell URLs with their queries, headers and payloads, some of them at INFO.
        **{name: {"level": "WARNING"} for name in ("httpx", "httpcore", "websockets")},
        # It tells at INFO what it looks up.
        "axes": {"level": "WARNING"},
        # It tells of each run of each sweep, and warns of those longer than their interval, which
        # the metrics show.
        "apscheduler": {"level": "ERROR"},
    },
}
