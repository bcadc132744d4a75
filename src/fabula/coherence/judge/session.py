"""One session of a judge: what is asked, what it may cost, and the lines that it leaves in judgements.jsonl.

    completions, pairs, controls, some of them again -> one shuffled list -> cache -> server -> lines

Nothing in a request tells a control from a completion, and the order of the requests tells nothing either.
"""

import asyncio
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from fabula.coherence.judge.asking import Budget, Client, Rejected, Reply, Settings, Sleep, ask_all
from fabula.coherence.judge.cache import Cache, answer_fields
from fabula.coherence.judge.controls import NUM_AGAIN, control_questions, usable
from fabula.coherence.judge.prices import Estimate, Price, estimate_of
from fabula.coherence.judge.rubric import rubric_hash
from fabula.coherence.judge.told import Question, Told
from fabula.coherence.judge.which import Judge

PAIR = "against"
"""The role of a pair of two runs."""


@dataclass(frozen=True)
class Plan:
    """All questions of a session, in the order in which they are asked."""

    questions: tuple[Question, ...]
    anchors: int
    """True stories that controls were made of."""


def plan(stories: Sequence[Told], anchors: Sequence[Told], others: Sequence[Told] = ()) -> Plan:
    """The marks of `stories`; with `others`, what another run made of the same prompts, also which is better, in both
    orders; and the controls, made of true stories. Some stories are marked twice."""
    true = usable(anchors)
    asked = [Question("completion", each) for each in stories]
    for one, other in _paired(stories, others):
        asked += [Question(PAIR, one, other, twin=one.name), Question(PAIR, other, one, twin=one.name)]
    asked += control_questions(true)
    chosen = list(stories)
    random.Random(2).shuffle(chosen)
    asked += [Question("completion", each, repeat=1) for each in chosen[:NUM_AGAIN]]
    asked += [Question("true", each, twin=each.name, repeat=1) for each in true[:NUM_AGAIN]]
    random.Random(3).shuffle(asked)
    return Plan(tuple(asked), len(true))


def _paired(stories: Sequence[Told], others: Sequence[Told]) -> list[tuple[Told, Told]]:
    """The n-th completion of a prompt with the n-th of the other run, where both were begun by the same words."""
    there: dict[tuple[str, str], list[Told]] = {}
    for each in others:
        there.setdefault((each.prompt, each.beginning), []).append(each)
    return [(each, waiting.pop(0)) for each in stories if (waiting := there.get((each.prompt, each.beginning)))]


@dataclass
class Session:
    """A plan on its way: what the cache knows, what is left to ask, what came."""

    judge: Judge
    plan: Plan
    cache: Cache
    step: int
    price: Price | None = None
    settings: Settings = field(default_factory=Settings)
    against: str = ""
    """The other run, where two are compared."""
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    """Part of the name: two sessions of one second are two."""

    def __post_init__(self) -> None:
        self.keys = {question: question.key(self.judge.identity) for question in self.plan.questions}
        known = {question: self.cache.find(question, key) for question, key in self.keys.items()}
        self.known = {question: answer for question, answer in known.items() if answer is not None}
        waiting = [question for question in self.plan.questions if question not in self.known]
        self.left = list({self.keys[question]: question for question in waiting}.values())
        self.alike: dict[str, list[Question]] = {}
        """Questions that are the same but for their names: one answer is for all."""
        for question in waiting:
            self.alike.setdefault(self.keys[question], []).append(question)
        self.failures: Counter[str] = Counter()
        self.said = ""
        """The last that the server said of a failure."""
        self.budget = Budget(self.settings.most_dollars, self._cost)

    @property
    def name(self) -> str:
        asked = sorted(self.keys.values())
        content = [self.judge.identity, rubric_hash(), self.step, self.against, self.started, asked]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    @property
    def estimate(self) -> Estimate:
        """Of what is left to ask."""
        return estimate_of(self.left, self.price)

    def _cost(self, tokens_in: int, tokens_out: int) -> float | None:
        return None if self.price is None else self.price.of(tokens_in, tokens_out)

    def begin_line(self) -> dict[str, Any]:
        return {
            "kind": "session",
            "session": self.name,
            "step": self.step,
            "judge": self.judge.name,
            "url": self.judge.shown_url,
            "rubric": rubric_hash(),
            "started": self.started,
            **({"against": self.against} if self.against else {}),
            "planned": len(self.plan.questions),
            "anchors": self.plan.anchors,
            "estimate": self.estimate.as_fields(),
        }

    def run(
        self,
        client: Client,
        write: Callable[[Mapping[str, Any]], None],
        told: Callable[[int, int], None] = lambda *_: None,
        sleep: Sleep = asyncio.sleep,
    ) -> dict[str, Any]:
        """Ask what is left. `write` gets each line as it comes, the last one too, which is returned; `told` how many of
        how many are done. Raises Rejected, after the last line, where the server accepts nothing."""
        write(self.begin_line())
        done, total = 0, len(self.plan.questions)
        for question, answer in self.known.items():
            write(self._line(question, Reply(answer=answer, tries=0)))
            done += 1
        told(done, total)

        def answered(question: Question, reply: Reply) -> None:
            nonlocal done
            safe = self._safe(reply)
            self.said = reply.said or self.said
            if safe.answer is not None:
                self.cache.keep(self.keys[question], safe.answer)
            for each in self.alike[self.keys[question]]:
                if safe.answer is None:
                    self.failures[reply.failure or "malformed"] += 1
                write(self._line(each, safe if each is question else replace(safe, tries=0)))
                done += 1
            told(done, total)

        rejected: Rejected | None = None
        try:
            asyncio.run(ask_all(self.left, client, self.settings, self.budget, answered, sleep))
        except Rejected as error:
            rejected = error
        end = {
            "kind": "end",
            "session": self.name,
            "step": self.step,
            "ended": self._ended(rejected),
            "planned": total,
            "failures": dict(self.failures),
            **({} if self.price is None else {"dollars": round(self.budget.spent, 6)}),
        }
        write(end)
        if rejected is not None:
            raise rejected
        return end

    def _ended(self, rejected: Rejected | None) -> str:
        if rejected is not None:
            return "rejected"
        if not self.failures["not asked"]:
            return "whole"
        return "no server" if self.budget.open else "over budget"

    def _safe(self, reply: Reply) -> Reply:
        """Without the key, should a server have put it into its answer."""
        if reply.answer is None:
            return reply
        reason = self.judge.without_key(reply.answer.reason)
        return replace(reply, answer=reply.answer.model_copy(update={"reason": reason}))

    def _line(self, question: Question, reply: Reply) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "kind": question.kind,
            "session": self.name,
            "step": self.step,
            "role": question.role,
            "prompt": question.story.prompt,
            "key": self.keys[question],
            "repeat": question.repeat,
        }
        if question.other is None:
            fields["of"] = question.story.name
        else:
            fields |= {"first": question.story.name, "second": question.other.name}
        fields |= {"twin": question.twin} if question.twin else {}
        fields |= {"injection": question.injection} if question.injection else {}
        if reply.answer is not None:
            return {**fields, **answer_fields(reply.answer), "cached": reply.tries == 0, **_spent(reply)}
        status = {} if reply.status is None else {"status": reply.status}
        return {**fields, "failure": reply.failure or "malformed", **status, **_spent(reply)}


def _spent(reply: Reply) -> dict[str, Any]:
    if reply.tries == 0:
        return {}
    return {"tries": reply.tries, "tokens_in": reply.tokens_in, "tokens_out": reply.tokens_out}


def told_of(
    lines: Iterable[Mapping[str, Any]], prefix: str = "", samples: int | None = None
) -> tuple[list[Told], list[Told]]:
    """Lines of evaluations.jsonl as stories to be judged: completions, at most `samples` a prompt, and true stories."""
    stories: list[Told] = []
    anchors: list[Told] = []
    seen: Counter[str] = Counter()
    for line in lines:
        prompt = f"{line['prompt_set']}/{line['number']}"
        name = f"{prefix}{prompt}/{'human' if line['human'] else line['seed']}"
        told = Told(name, prompt, line["prompt"], line["text"])
        if line["human"]:
            anchors += [told] if line.get("ended") else []
        elif samples is None or seen[prompt] < samples:
            seen[prompt] += 1
            stories.append(told)
    return stories, anchors
