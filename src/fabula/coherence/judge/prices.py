"""What a session costs, before it asks anything: prices as a kept library has them, or as the user says."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from fabula.coherence.judge.told import Question
from fabula.coherence.judge.which import Judge
from fabula.errors import InputError
from fabula.record.wording import plural

LETTERS_A_TOKEN = 3.5
"""English has 4 to 4.5 in the tokenizers of the large models: the estimate is on the safe side."""
FRAME_TOKENS = 200
"""Of a request's schema and of what the server puts around it."""
ANSWER_TOKENS = 150
"""Of an answer with its reason. A model that thinks first writes many times more, which only the limit catches."""
MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """Dollars for a million tokens that are sent, and that are written; where that is known from."""

    sent: float
    written: float
    source: str

    def of(self, tokens_in: int, tokens_out: int) -> float:
        return (self.sent * tokens_in + self.written * tokens_out) / MILLION


@dataclass(frozen=True)
class Estimate:
    requests: int
    tokens_in: int
    tokens_out: int
    dollars: float | None
    price: str
    """Where the price is from; empty where none is known."""

    def as_fields(self) -> dict[str, int | float | str]:
        fields: dict[str, int | float | str] = {
            "requests": self.requests,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "price": self.price,
        }
        return fields if self.dollars is None else {**fields, "dollars": round(self.dollars, 4)}

    def sentence(self) -> str:
        """What will be sent, and what that costs."""
        if not self.requests:
            return "every question was answered before: nothing is sent"
        said = (
            f"{plural(self.requests, 'request')}, about {self.tokens_in:,} tokens to send and "
            f"{self.tokens_out:,} to be written"
        )
        if self.dollars is None:
            return f"{said}; no price is known for this model, so nobody can say what that costs"
        return f"{said}: about ${self.dollars:.2f} ({self.price}); more for a model that thinks before it answers"


def price_of(judge: Judge, said: str | None) -> Price | None:
    """The user's own price (`IN/OUT`), or the library's; None for a model that it does not know, and for a server of
    the user's own."""
    if said is not None:
        return _said(said)
    if judge.url is not None:
        return None
    from genai_prices import Usage, calc_price  # heavy: its tables take a second

    sizes = 1000  # within the first step of prices that rise with the length of a request
    try:
        sent = calc_price(Usage(input_tokens=sizes), model_ref=judge.model, provider_id=judge.provider)
        written = calc_price(Usage(output_tokens=sizes), model_ref=judge.model, provider_id=judge.provider)
    except LookupError:
        return None
    scale = MILLION / sizes
    source = f"genai-prices {version('genai-prices')}"
    return Price(float(sent.total_price) * scale, float(written.total_price) * scale, source)


def _said(said: str) -> Price:
    parts = said.split("/")
    try:
        sent, written = (float(part.strip().removeprefix("$")) for part in parts)
        usable = 0.0 <= sent < 1e6 and 0.0 <= written < 1e6
    except ValueError:
        usable = False
    if not usable:
        raise InputError(
            f"--judge-price {said} is no price",
            "give dollars for a million tokens sent and written, such as 0.15/0.60",
        )
    return Price(sent, written, "as given")


def estimate_of(questions: Sequence[Question], price: Price | None) -> Estimate:
    letters = sum(len(each.system) + len(each.user) for each in questions)
    tokens_in = round(letters / LETTERS_A_TOKEN) + FRAME_TOKENS * len(questions)
    tokens_out = ANSWER_TOKENS * len(questions)
    dollars = None if price is None else price.of(tokens_in, tokens_out)
    return Estimate(len(questions), tokens_in, tokens_out, dollars, "" if price is None else price.source)


def refuse_above(estimate: Estimate, most: float | None) -> None:
    """Raise InputError where the estimate is above the limit, or no price is known by which a limit could be held."""
    if most is None or not estimate.requests:
        return
    if estimate.dollars is None:
        raise InputError(
            f"--max-cost {most:g}: {estimate.sentence()}",
            "give the price with --judge-price IN/OUT (dollars for a million tokens), or leave --max-cost out",
        )
    if estimate.dollars > most:
        raise InputError(
            f"{estimate.sentence()}, which is above --max-cost {most:g}",
            "raise it, or judge fewer stories with --judge-samples or --prompts",
        )
