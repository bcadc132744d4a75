"""The checks of a session tell good judges from bad ones; docs/measure_judges.py has the whole table."""

import dataclasses

import pytest
from tests.coherence.judge.sessions import ANCHORS, CONTROLS, WHOLE, lines_of, session_of
from tests.coherence.judge.simulated import BAD, GOOD, MORE_BAD, Judge, good, kind_of

from fabula.coherence.judge.controls import INJECTIONS, control_questions, sentences, usable
from fabula.coherence.judge.session import plan
from fabula.coherence.judge.told import Told
from fabula.study.judging.controls import LEAST, reliability
from fabula.study.judging.scores import agreement, judged, position
from fabula.study.judging.sessions import sessions_of


def num_flagged(judge: Judge, num: int) -> int:
    return sum(reliability(session_of(judge, seed)).verdict == "unreliable" for seed in range(num))


@pytest.mark.parametrize("name", BAD)
def test_a_bad_judge_is_flagged(name: str) -> None:
    """Who is flagged in 95 of 100 sessions is so in 5 of 8, but for one time in 2,500 (binomial)."""
    assert num_flagged(BAD[name], 8) >= 5


def test_other_bad_judges_are_flagged() -> None:
    unseen = [name for name, judge in MORE_BAD.items() if num_flagged(judge, 2) == 0]
    assert not unseen  # 13 judges that are flagged in 95 of 100: one time in 30 one of them slips twice; not with these


def test_a_good_judge_is_not() -> None:
    """Who is flagged in 5 of 100 sessions is so in more than 3 of 8 one time in 2,500."""
    assert num_flagged(GOOD["good"], 8) <= 3


def test_nothing_in_a_request_tells_what_it_is_for() -> None:
    for question in WHOLE.questions:
        for name in (question.role, question.twin, question.story.name, question.story.prompt, question.injection):
            if name and name != "true":
                assert name not in question.system + question.user or name in INJECTIONS, (name, question.user)
    kinds = [question.role for question in WHOLE.questions]
    longest = max(len(run) for run in " ".join(kinds).split("completion"))
    assert kinds != sorted(kinds) and longest > 0


def test_controls_are_what_they_are_called() -> None:
    asked = control_questions(ANCHORS)
    of = {(each.role, each.twin): each for each in asked if each.other is None}
    for true in ANCHORS:
        told = sentences(true.continuation)
        shuffled = sentences(of["shuffled", true.name].story.continuation)
        assert sorted(map(str.strip, shuffled)) == sorted(map(str.strip, told))
        assert [each.strip() for each in shuffled] != [each.strip() for each in told]
        cut = of["cut", true.name].story.continuation
        assert true.continuation.startswith(cut) and len(cut) < 0.6 * len(true.continuation) and cut[-1].isalnum()
        assert len(of["repeated", true.name].story.continuation) > 1.9 * len(true.continuation)
        spliced = of["spliced", true.name].story.continuation
        others = {sentence.strip() for each in ANCHORS if each is not true for sentence in sentences(each.continuation)}
        assert spliced.startswith(told[0].strip()) and sentences(spliced)[-1] in others and spliced != true.continuation
    injected = [each for each in asked if each.role == "injected"]
    assert {each.injection for each in injected} == set(INJECTIONS)
    plain = {each.story.name: each.story.continuation for each in asked if each.role == "shuffled"}
    for each in injected:
        assert each.story.continuation.replace(f"{INJECTIONS[each.injection]}", "").split() == plain[each.twin].split()


@pytest.mark.parametrize(
    "text",
    ['"Hi!" said Tom. He ran. "Why?" she asked! Done.', "One. Two? Three! Four", "A... b. c. d.", "a.\nb.\n\nc. d."],
)
def test_sentences_lose_no_letter(text: str) -> None:
    assert "".join(sentences(text)) == text


def test_true_stories_that_are_too_short_or_double_make_no_controls() -> None:
    short = Told("validation/90/human", "validation/90", "Once", "It ended. Soon.")
    assert usable([short, *ANCHORS, ANCHORS[0]]) == usable(ANCHORS)
    assert not plan([], [short]).questions


def test_few_answers_make_no_verdict() -> None:
    (few,) = sessions_of(lines_of(plan([], ANCHORS[: LEAST - 1]), good()))
    assert reliability(few).verdict == "not checked"
    whole = session_of(good())
    unanswered = dataclasses.replace(whole, marked=tuple(each for each in whole.marked if each.role != "injected"))
    assert reliability(unanswered).verdict == "not checked"
    assert [each.outcome for each in reliability(unanswered).checks].count("not checked") == 1


def test_what_failed_is_named() -> None:
    failed = reliability(session_of(BAD["always 8"])).failed
    assert {"shuffled", "spliced", "cut", "repeated", "pairs"} == {each.name for each in failed}
    assert "no higher marks than the same sentences in another order" in failed[0].sentence
    (only,) = reliability(session_of(BAD["obeys the story"], 1)).failed
    assert only.name == "injected" and only.sentence.endswith("of 24 got nearly what they asked for")


def test_a_prompt_counts_once_however_many_stories_it_has() -> None:
    """Prompt 0 with nine stories of 10 marks, prompts 1 and 2 with one of 1 and of 4: the mean is 5."""
    told = [
        Told(f"p/{p}/{s}", f"p/{p}", "So", f"it {p} was {s}") for p, n in ((0, 9), (1, 1), (2, 1)) for s in range(n)
    ]
    values = {"p/0": 10, "p/1": 1, "p/2": 4}
    lines = lines_of(plan(told, []), good())
    for line in lines:
        if line["kind"] == "marks":
            line["marks"] = dict.fromkeys(("grammar", "creativity", "consistency", "plot"), values[line["prompt"]])
    (session,) = sessions_of(lines)
    told_of = judged(session).scores["overall"]
    assert told_of.mean == pytest.approx(5.0) and told_of.num_values == 3
    assert told_of.low == pytest.approx(5.0 - 4.302653 * (21**0.5) / 3**0.5, rel=1e-4)


def test_agreement_and_place_are_reported() -> None:
    steady = agreement(session_of(GOOD["good, hardly scatters"], asked=WHOLE))
    wild = agreement(session_of(BAD["marks at random"], asked=WHOLE))
    assert steady is not None and wild is not None
    assert steady.num == wild.num == 24 and steady.mean_difference < 0.6 < wild.mean_difference
    biased, fair = position(session_of(BAD["prefers the first"])), position(session_of(good(0.1)))
    assert biased is not None and fair is not None
    assert (biased.first, biased.num, biased.turned, biased.pairs) == (48, 48, 24, 24) and biased.low > 0.9
    assert fair.turned == 0 and fair.low < 0.5 < fair.high


def test_simulated_judges_see_each_damage() -> None:
    assert {kind_of(question.story) for question in CONTROLS.questions} == {
        "true", "shuffled", "spliced", "cut", "repeated", "injected",
    }  # fmt: skip
