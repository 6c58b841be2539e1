"""Any server that speaks Chat Completions: Ollama, vLLM, llama.cpp, a gateway of one's own."""

from __future__ import annotations

from apps.providers.addresses import URL
from apps.providers.base import Declaration, ServiceSettings
from apps.providers.chat_completions import NO_EFFECT, ChatCompletions, Dialect, options
from apps.voice.ports import ProviderError

DECLARATIONS = (
    Declaration(
        kind="llm",
        name="custom_llm",
        title="An OpenAI-compatible server",
        description="Any server that speaks OpenAI's Chat Completions: Ollama, vLLM, llama.cpp, a "
        "gateway. base_url is what stands before /chat/completions "
        "(https://models.example.com/v1). A key is sent if one is stored. Private addresses are "
        "reached only if PRIVATE_ADDRESSES in the server's environment allows them.",
        open_models=True,
        options=options(
            top_k="An extension that vLLM and llama.cpp know.", enable_prompt_caching=NO_EFFECT
        ),
        needs_key=True,
        key_optional=True,
        extra="openai",
        modules=("openai",),
        factory="apps.providers.custom_llm:CustomModel",
        billing="tokens",
        source="vLLM's, llama.cpp's and Ollama's pages on OpenAI compatibility; November 2026.",
        limits=("What a server does not know of OpenAI's protocol fails as that server decides.",),
    ),
)


class CustomModel(ChatCompletions):
    """Implements ``voice.ports.LanguageModel`` over the server that the option base_url names."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings, Dialect("", keyless=True, guarded=True))

    def _url(self) -> str:
        given = str(self._settings.options.get("base_url") or "").strip().rstrip("/")
        if not given and self._settings.base_url:
            return super()._url()
        url = given.removesuffix("/chat/completions")
        if not URL.fullmatch(url):
            message = (
                "needs the option base_url: the http(s) address of an OpenAI-compatible server, "
                "as in https://models.example.com/v1"
            )
            raise ProviderError(self._name, message, reason="bad_request")
        return url
