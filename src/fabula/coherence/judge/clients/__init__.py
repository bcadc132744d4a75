"""Servers behind one face: a question in, a reply out."""

from fabula.coherence.judge.asking import Client
from fabula.coherence.judge.which import Judge
from fabula.errors import InputError


def client_of(judge: Judge, timeout: float) -> Client:
    """The client of a judge's provider; its package takes two seconds to import, and is asked for only here."""
    try:
        if judge.provider == "openai":
            from fabula.coherence.judge.clients.openai_compatible import OpenAICompatible  # heavy: openai

            return OpenAICompatible(judge, timeout)
        from fabula.coherence.judge.clients.anthropic_messages import AnthropicMessages  # heavy: anthropic

        return AnthropicMessages(judge, timeout)
    except ModuleNotFoundError as error:
        raise InputError(
            f"--judge {judge.name}: the package {error.name} is missing", "install it: pip install 'fabula[judge]'"
        ) from None
