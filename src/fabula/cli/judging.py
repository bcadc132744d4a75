"""The judge's part of `fabula evaluate`: what it will cost, the session, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fabula.cli.screen.terminal import tell

if TYPE_CHECKING:
    from fabula.coherence.judge.prices import Price
    from fabula.coherence.judge.told import Told
    from fabula.coherence.judge.which import Judge
    from fabula.study.judging.scores import Judged


@dataclass(frozen=True)
class Wanted:
    """The options of `fabula evaluate` that are about the judge."""

    judge: str | None
    url: str | None
    max_cost: float | None
    price: str | None
    samples: int
    at_once: int
    timeout: float
    against: Path | None
    data: Path | None
    """Where true stories are to be had, if not where the run has its own from."""

    def refuse_alone(self) -> None:
        """Raise InputError for an option that means nothing without a judge."""
        from fabula.errors import InputError

        given: dict[str, object] = {"--judge-url": self.url, "--max-cost": self.max_cost, "--judge-price": self.price}
        given["--against"] = self.against
        for name, value in given.items():
            if self.judge is None and value is not None:
                raise InputError(f"{name} is for a judge", "name one: --judge openai:MODEL or anthropic:MODEL")


@dataclass(frozen=True)
class Ready:
    """A judge that can be asked: checked before the first completion is made."""

    judge: "Judge"
    price: "Price | None"
    others: Sequence[Mapping[str, Any]]


def ready(wanted: Wanted) -> Ready | None:
    """The judge as it was asked for; None where it was not. Raises InputError for anything wrong about it."""
    wanted.refuse_alone()
    if wanted.judge is None:
        return None
    from fabula.coherence.judge.clients import client_of
    from fabula.coherence.judge.prices import price_of
    from fabula.coherence.judge.which import judge_of

    judge = judge_of(wanted.judge, wanted.url)
    client_of(judge, wanted.timeout)  # says so where its package is not installed
    return Ready(judge, price_of(judge, wanted.price), _completions_of(wanted.against))


def _completions_of(other: Path | None) -> Sequence[Mapping[str, Any]]:
    if other is None:
        return ()
    from fabula.errors import InputError
    from fabula.record.reader import read_run

    sessions = read_run(other).sessions
    if not sessions:
        raise InputError(f"--against {other}: it has no completions", f"make some first: fabula evaluate {other}")
    return sessions[-1].completions


def judge_run(run: Path, step: int, completions: Sequence[Mapping[str, Any]], wanted: Wanted, asked: Ready) -> "Judged":
    """Ask the judge about `completions`, append what it says to RUN/judgements.jsonl, and read it."""
    from fabula.coherence.judge.asking import Rejected, Settings
    from fabula.coherence.judge.cache import Cache, usual_folder
    from fabula.coherence.judge.clients import client_of
    from fabula.coherence.judge.controls import MOST_ANCHORS
    from fabula.coherence.judge.prices import refuse_above
    from fabula.coherence.judge.session import Session, plan, told_of
    from fabula.errors import InputError
    from fabula.record.lock import only_writer
    from fabula.record.sessions.judgements import appending, read_judgements
    from fabula.study.judging.controls import LEAST
    from fabula.study.judging.scores import judged
    from fabula.study.judging.sessions import sessions_of

    stories, true = told_of(completions, samples=wanted.samples)
    true = _true_stories(run, wanted.data) or true
    others, _ = told_of(asked.others, "other:", wanted.samples)
    planned = plan(stories, true, others)
    if wanted.against is not None and not any(each.role == "against" for each in planned.questions):
        raise InputError(
            f"--against {wanted.against}: its completions are of other prompts",
            f"evaluate both with the same --prompts: fabula evaluate {wanted.against}",
        )
    if planned.anchors < LEAST:
        tell(
            f"{planned.anchors} true stories to test the judge with; a session takes {MOST_ANCHORS} and needs {LEAST}: "
            "whether it can be believed will not be known; say with --data where the prepared stories are",
            stderr=True,
        )
    settings = Settings(timeout=wanted.timeout, at_once=wanted.at_once, most_dollars=wanted.max_cost)
    with only_writer(run):
        cache = Cache(usual_folder(), read_judgements(run))
        against = "" if wanted.against is None else str(wanted.against)
        session = Session(asked.judge, planned, cache, step, asked.price, settings, against)
        tell(f"the judge {asked.judge.name}: {session.estimate.sentence()}", stderr=True)
        refuse_above(session.estimate, wanted.max_cost)
        last = -1

        def told(done: int, total: int) -> None:
            nonlocal last
            if (tenth := 10 * done // max(1, total)) > last:
                last = tenth
                tell(f"judged: {done:,} of {total:,}", stderr=True)

        with appending(run) as write:
            try:
                session.run(client_of(asked.judge, wanted.timeout), write, told)
            except Rejected as error:
                raise InputError(
                    f"--judge {asked.judge.name}: {error}; the completions are kept",
                    "mend that and give the same command again, which asks only what has no answer yet",
                ) from None
        if session.said:
            tell(f"the server said: {session.said}", stderr=True)
        (found,) = [each for each in sessions_of(read_judgements(run)) if each.name == session.name]
    return judged(found)


def _true_stories(run: Path, given: Path | None) -> "list[Told]":
    """Validation stories, whole, as beginning and continuation; none where the stories are not at hand."""
    from fabula.cli.named.defaults import data_of
    from fabula.coherence.judge.controls import LONGEST
    from fabula.coherence.judge.told import Told
    from fabula.coherence.prompts.sets import of_validation
    from fabula.data.dataset import open_dataset

    folder = given or data_of(run)
    prompts = [] if folder is None else of_validation(open_dataset(folder))
    return [
        Told(f"validation/{number}/human", f"validation/{number}", each.text, each.continuation)
        for number, each in enumerate(prompts)
        if each.continuation is not None and len(each.continuation) <= LONGEST
    ]
