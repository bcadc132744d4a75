"""What the page tells of stories: counts with the stories behind them, a judge that is greyed, scores with verdicts."""

import json
import random
import re
import unicodedata
from pathlib import Path

import pytest
from tests.coherence.judge.simulated import BAD, good
from tests.report.evaluated import better, evaluate
from tests.report.synthetic import write_ladder
from tests.report.test_inert import NASTY, tags_of

from fabula.recipe.presets.by_name import load_ladder
from fabula.report import write_report
from fabula.study import read_ladder
from fabula.study.coherence.claims import counted
from fabula.study.coherence.evaluated import Evaluated, Telling, evaluations
from fabula.study.coherence.marking import pieces
from fabula.study.coherence.patterns import patterns
from fabula.study.coherence.scores import compared, effect_sentence, scored

PHASES = ("baseline", "init", "cosine", "packed")


def steps_of(run: Path) -> int:
    return int(json.loads((run / "run.json").read_text())["steps"])


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stories get better from phase to phase but from `init` to `cosine`; the judge of `init` likes length."""
    folder = write_ladder(tmp_path_factory.mktemp("ladder") / "ladder", seeds=3)
    for phase, quality in zip(PHASES, (0.1, 0.5, 0.5, 0.9), strict=True):
        for seed in range(3):
            run = folder / "runs" / "basic" / phase / f"seed-{seed}"
            judge = BAD["prefers long"] if phase == "init" else better(2 * quality - 1)
            if (phase, seed) == ("packed", 0):
                evaluate(run, steps_of(run) // 2, quality / 2, good(), seed + 50)
            evaluate(run, steps_of(run), quality, judge, seed)
    return folder


def run_of(ladder: Path, phase: str) -> Path:
    return ladder / "runs" / "basic" / phase / "seed-0"


def section_of(page: str) -> str:
    start = page.index("## Does it tell a story?")
    return page[start : page.index("\n## ", start + 5)]


@pytest.mark.long
def test_each_count_has_its_stories_behind_it(ladder: Path, tmp_path: Path) -> None:
    write_report([run_of(ladder, "init")], tmp_path / "page.html")
    twin = section_of((tmp_path / "page.md").read_text(encoding="utf-8"))
    (view,) = read_ladder([run_of(ladder, "init")]).runs
    (told,) = evaluations(view)
    odd = [each for each in told.stories if each.measures["names_return"] == 0.0]
    sentence = f"In {len(odd)} of 24 completions the main character does not return (true stories: 0 of 24)."
    assert 2 < len(odd) < 22 and f"<details><summary>{sentence}</summary>" in twin
    behind = twin[twin.index(sentence) :].partition("</details>")[0]
    shown = re.findall(r"`(fabula/\d+)` seed (\d)", behind)
    assert len(shown) == min(6, len(odd)) and set(shown) <= {(each.prompt, str(each.seed)) for each in odd}
    assert len({prompt for prompt, _ in shown}) == min(6, len({each.prompt for each in odd}))
    assert "In 24 of 24 completions every word looks like a real one" in twin
    assert twin.index("#### Strengths") < twin.index("#### Interesting patterns") < twin.index("#### Notable behaviour")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert sentence in html and '<mark class="is-prompt">kite</mark>' in html and '<mark class="is-repeated">' in html


def test_a_claim_is_a_strength_or_odd(ladder: Path) -> None:
    (view,) = read_ladder([run_of(ladder, "packed")]).runs
    before, after = evaluations(view)
    for told in (before, after):
        for each in counted(told):
            assert each.judged == 24 and len(each.odd) + len(each.good) == 24
            behind = each.good if each.is_strength else each.odd
            assert len(each.behind) == len(behind) and all(story in behind for story in each.behind)
    assert before.step < after.step == steps_of(run_of(ladder, "packed"))
    assert not [each for each in counted(after) if each.claim.measure == "closed_quotes"]  # nobody speaks: no count


def test_patterns_are_of_different_beginnings(ladder: Path) -> None:
    (view,) = read_ladder([run_of(ladder, "baseline")]).runs
    (told,) = evaluations(view)
    said = [each.sentence for each in patterns(told)]
    assert any("begin with the same words: “she was very”" in each for each in said)
    assert any("somebody named Lily, whom the beginning does not name" in each for each in said)
    assert not any("leaves its beginning" in each for each in said), "which kinds it leaves is luck here"
    one = [each for each in told.stories if each.prompt == "fabula/0"]
    assert not patterns(type(told)(1, "", tuple(one) * 10, (), None))  # one beginning, however often


def test_kinds_of_beginnings_are_told_apart_where_it_is_more_than_luck() -> None:
    def told(shares: dict[str, float], seed: int) -> list[str]:
        chance = random.Random(seed)
        stories = tuple(
            Telling("fabula", number, sample, asks, "", f"story {number} {sample}",
                    {"prompt_returns": float(chance.random() >= share)})
            for place, (asks, share) in enumerate(shares.items())
            for number in range(10 * place, 10 * place + 10)
            for sample in range(5)
        )  # fmt: skip
        return [each.sentence for each in patterns(Evaluated(1, "", stories, (), None)) if "leaves" in each.sentence]

    apart = {"plot": 0.2, "cut": 0.2, "tracking": 0.7}
    (sentence,) = told(apart, 0)
    assert "most often where that asks for knowing who has what (3" in sentence and "of 50 completions)" in sentence
    # 5 % of 100 sessions without a difference, and three standard deviations of sqrt(100 x 0.05 x 0.95) = 2.2 more.
    assert sum(bool(told(dict.fromkeys(apart, 0.3), seed)) for seed in range(100)) <= 11


STORY = "The sun, the sun was up. Tom's kite flew. The sun, the sun was up high. No."


def test_marks_lose_no_letter_and_stand_where_they_belong() -> None:
    story = Telling("s", 0, 0, "", "Tom found two kites in the sun", STORY, {}, ((0, 7), (70, 999)))
    found = pieces(story)
    assert "".join(text for text, _ in found) == STORY
    assert [text for text, kind in found if kind == "copied"] == ["The sun", STORY[70:]]
    assert [text for text, kind in found if kind == "prompt"] == ["sun", "Tom's", "kite"]
    assert [text for text, kind in found if kind == "repeated"] == ["The sun, the sun was up"]
    assert pieces(Telling("s", 0, 0, "", "Once", "", {})) == []


def test_a_judge_that_cannot_be_believed_is_grey_and_its_faults_are_named(ladder: Path, tmp_path: Path) -> None:
    pages = {}
    for phase in ("init", "cosine"):
        write_report([run_of(ladder, phase)], tmp_path / f"{phase}.html")
        pages[phase] = (tmp_path / f"{phase}.html").read_text(encoding="utf-8")
    assert re.search(
        r"openai:simulated</code> is <span class=.toned.><span class=.dot failure.></span>unreliable", pages["init"]
    )
    assert "It failed on: shuffled sentences" in pages["init"]
    assert re.search(r'<tr class="absent">\s*<th scope="row">overall', pages["init"])
    assert re.search(r"24 stories of 12 prompts? got", pages["cosine"]) and "It failed on" not in pages["cosine"]
    assert '<span class="quiet">24 stories of 12 prompts got' in pages["init"]
    assert '<span class="quiet">24 stories of 12 prompts got' not in pages["cosine"]
    assert "true stories got marks higher by" in pages["cosine"] and "Asked a second time about" in pages["cosine"]
    twin = section_of((tmp_path / "init.md").read_text(encoding="utf-8"))
    assert "🔴 unreliable" in twin and "failed on" in twin


@pytest.mark.long
def test_scores_are_compared_like_losses(ladder: Path, tmp_path: Path) -> None:
    view = read_ladder([ladder])
    there = scored(view)
    effects = {(each.after, name): each for each in compared(view, there) for name in each.comparisons}
    assert {name for name in effects if name[1] == "consistency"} == {(phase, "consistency") for phase in PHASES[1:]}
    assert effects["init", "consistency"].verdict == effects["packed", "consistency"].verdict == "improved"
    assert effects["cosine", "consistency"].verdict == "no evidence"
    assert [name for name in effects if name[1] == "mark"] == [
        ("packed", "mark")
    ]  # the judge of `init` is not believed
    assert re.match(
        r"`packed` against `cosine`: the judge's mark is higher by \d\.\d\d \(difference \d\.\d\d to \d\.\d\d at 95 %; "
        r"3 seeds\): improved\.",
        effect_sentence(effects["packed", "mark"]),
    )
    write_report([ladder], tmp_path / "page.html")
    twin = section_of((tmp_path / "page.md").read_text(encoding="utf-8"))
    assert effect_sentence(effects["init", "consistency"]) in twin
    assert "Basic/packed, seed 0: over the steps" in twin and twin.count("| **packed**") == 3


def test_scores_of_other_prompts_or_of_another_step_are_not_compared(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path / "ladder", seeds=2)
    for phase in PHASES[:2]:
        for seed in range(2):
            run = folder / "runs" / "basic" / phase / f"seed-{seed}"
            evaluate(run, steps_of(run) if phase == "init" or seed == 0 else 5, 0.5, None, seed)
    view = read_ladder([folder])
    (only,) = compared(view, scored(view))
    assert only.seeds == (0,) and only.verdict == "no verdict"
    path = folder / "runs" / "basic" / "init" / "seed-0" / "evaluations.jsonl"
    path.write_text(path.read_text().replace('"samples": 2', '"samples": 3'))
    view = read_ladder([folder])
    assert not compared(view, scored(view))


def test_a_page_without_an_evaluation_has_no_such_section(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path / "ladder", seeds=1, ladder=load_ladder("classic"))
    write_report([folder], tmp_path / "page.html")
    assert "Does it tell a story?" not in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_stories_are_inert(tmp_path: Path) -> None:
    markdown_it = pytest.importorskip("markdown_it")
    run = run_of(write_ladder(tmp_path / "ladder", seeds=1), "packed")
    evaluate(run, steps_of(run), 0.5, good(), 0, f"{NASTY} ", f" </mark></blockquote></details>{NASTY}")
    path = run / "judgements.jsonl"
    path.write_text(path.read_text().replace("openai:simulated", json.dumps(NASTY)[1:-1]))
    write_report([run], tmp_path / "page.html")
    page = tags_of((tmp_path / "page.html").read_text(encoding="utf-8"))
    twin = (tmp_path / "page.md").read_text(encoding="utf-8")
    section = section_of(twin)
    assert "alert(1)" in section
    rendered = tags_of(markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render(section))
    assert not {"script", "img", "iframe", "style"} & set(rendered.tags) and "img" not in page.tags
    assert all(each.startswith(("#", "data:")) for each in [*page.links, *rendered.links])
    assert not [each for each in twin if unicodedata.category(each) == "Cc" and each != "\n"]
