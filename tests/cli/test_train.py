"""`fabula train` and `fabula ladder` as a user meets them: plans, runs, stops, and wrong input in one line."""

import json
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.train.tiny import metrics, tiny_file

from fabula.cli import run
from fabula.cli.named.defaults import LOADING
from fabula.cli.screen.display import Display
from fabula.record.checkpoint import checkpoint_steps
from fabula.record.reader import read_run
from fabula.train.loop import Training

Fabula = Callable[..., tuple[int, str, str]]
LADDER = """
tiers = ["tier.toml"]
phases = "classic"
seeds = 2
set = { "tokenizer" = "bpe:512" }
"""


@pytest.fixture
def fabula(
    tmp_path: Path, grammar_folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Fabula]:
    """Run a command in an empty folder that holds `tiny.toml` and the link `data`; exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    # A shell starts its background jobs deaf to Ctrl-C; the tests do as a user at a terminal does.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    tiny_file(tmp_path)
    (tmp_path / "data").symlink_to(grammar_folder)

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["fabula", *arguments])
        capfd.readouterr()
        code = run(list(arguments))
        out, err = capfd.readouterr()
        return code, out, err

    yield command
    signal.signal(signal.SIGINT, before)


TRAIN = ("train", "tiny.toml", "--data", "data", "--out", "run")


def refused(fabula: Fabula, *arguments: str) -> str:
    """The one line that says what is wrong; the folder stays as it was."""
    before = sorted(path for path in Path().rglob("*"))
    code, out, err = fabula(*arguments)
    if LOADING in err:  # the first line, where torch was to be loaded before it showed
        err = err.partition("\n")[2].replace("building tiny and timing a few steps ...\n", "")
    assert code == 2 and out == "", (code, out, err)
    assert err.count("\n") == 1 and err.startswith("fabula: ") and "Traceback" not in err, err
    assert sorted(path for path in Path().rglob("*")) == before
    return err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "nowhere"}, r"nowhere does not exist; make it with: fabula prepare"),
        ({"data": "."}, r"holds no manifest\.json, so it is not a prepared folder"),
        ({"recipe": "basc"}, r'unknown recipe "basc"; did you mean "basic"\?'),
        (
            {"recipe": "basic"},
            r"data is not tokenized with gpt2; .*add it with: fabula prepare grammar --tokenizer gpt2",
        ),
        ({"recipe": "none.toml"}, r"none\.toml does not exist"),
        ({"more": ["--set", "model.widht=3"]}, r'unknown recipe field "model\.widht"; did you mean "model\.width"\?'),
        ({"more": ["--set", "batch.rows=0"]}, r'"batch\.rows": input should be greater than or equal to 1, got 0'),
        ({"more": ["--set", "model.heads=3"]}, r"model\.width 16 is not a multiple of model\.heads 3"),
        ({"more": ["--set", "tokenizer=bpe:600"]}, r"data is not tokenized with bpe:600; known: bpe:512; add it with"),
        ({"more": ["--set", "model.vocabulary=9"]}, r"vocabulary \(9\) is smaller than that of data"),
        ({"more": ["--steps", "3", "--minutes", "1"]}, r"--steps and --minutes both say how long to train"),
        ({"more": ["--steps", "3", "--set", "steps=4"]}, r"--steps and --set steps both say how long"),
        ({"more": ["--minutes", "0"]}, r"--minutes 0: give a number above 0"),
        ({"more": ["--minutes", "nan"]}, r"--minutes nan: give a number above 0"),
        ({"more": ["--steps", "0"]}, r"'--steps'.*see: fabula train --help"),
        ({"more": ["--sed", "0"]}, r"train has no option --sed; did you mean --seed\?; see: fabula train --help"),
        ({"more": ["--resume"]}, r"nothing was saved in run, so there is nothing to go on with; leave --resume out"),
        ({"out": "."}, r"\. already exists and is not empty; choose another --out, or continue with --resume"),
        ({"out": "tiny.toml"}, r"tiny\.toml already exists"),
        ({"out": "tiny.toml/run"}, r"tiny\.toml"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(change: dict[str, Any], message: str, fabula: Fabula) -> None:
    arguments = {"recipe": "tiny.toml", "data": "data", "out": "run", "more": [], **change}
    err = refused(
        fabula, "train", arguments["recipe"], "--data", arguments["data"], "--out", arguments["out"], *arguments["more"]
    )
    assert re.search(message, err), err


def test_a_half_written_data_folder_is_told(fabula: Fabula) -> None:
    source = Path("data").resolve()
    Path("data").unlink()
    shutil.copytree(source, "data")
    tokens = next(Path("data").rglob("train.tokens.bin"))
    content = tokens.read_bytes()
    tokens.write_bytes(content[:-2])
    assert re.search(
        r"train\.tokens\.bin holds \d+ bytes where \d+ are due; prepare the data again", refused(fabula, *TRAIN)
    )
    tokens.unlink()
    assert "train.tokens.bin is missing; prepare the data again" in refused(fabula, *TRAIN)
    Path("data/manifest.json").write_text('{"version"')
    assert "manifest.json is damaged; prepare the data again" in refused(fabula, *TRAIN)


def test_a_wrong_command_line_is_one_line(fabula: Fabula) -> None:
    assert 'unknown command "trian"; did you mean "train"?' in refused(fabula, "trian")
    assert "Option '--out' requires an argument" in refused(fabula, "train", "tiny.toml", "--out")
    code, out, _ = fabula()
    assert code == 0 and "COMMAND" in out


def test_a_run_from_its_plan_to_its_end_and_again(fabula: Fabula) -> None:
    code, out, err = fabula(*TRAIN, "--dry-run", "--steps", "6")
    assert code == 0 and not Path("run").exists()
    assert "6 steps, 768 positions" in out and "learning rate" in out and re.search(r"about [\d.]+ \w+: training", out)
    assert out.splitlines()[-1] == "next: fabula train tiny.toml --data data --out run --steps 6"
    assert "device: " in err and "precision: float32 (the recipe says so)" in err

    code, out, err = fabula(*TRAIN, "--steps", "6", "--seed", "3", "--set", "checkpoint.every=2")
    assert code == 0
    said = out.splitlines()
    assert re.fullmatch(r"validation loss \d\.\d\d \(untrained 6\.\d\d\) after 6 steps; lower is better\.", said[0])
    assert said[-1] == "next: fabula generate run --prompt 'Once upon a time', or fabula report run --out report.html"
    assert re.search(r"finished at about (\w+ )?\d\d:\d\d\n.*step 0  validation \d\.\d{4}, whole split", err, re.DOTALL)
    assert err.count("Once upon a time") == 3, "at steps 0, 5 and 6"
    assert "\x1b" not in err
    record = read_run(Path("run"))
    assert record.status == "finished" and record.info["seed"] == 3 and record.train["step"][-1] == 6
    assert checkpoint_steps(Path("run")) == [2, 4, 6]
    before = (Path("run") / "run.json").read_bytes()
    code, out, err = fabula(*TRAIN, "--resume")
    assert code == 0 and err.splitlines()[1:] == ["run is finished already"] and out.splitlines() == said
    assert (Path("run") / "run.json").read_bytes() == before
    assert "run already exists and is not empty" in refused(fabula, *TRAIN)

    assert "run was made with seed 3, not 4; give that one" in refused(fabula, *TRAIN, "--resume", "--seed", "4")
    assert "run cannot be made longer: its cosine falls to the end of its 6 steps" in refused(
        fabula, *TRAIN, "--resume", "--steps", "9"
    )
    assert "no run is made shorter; leave out --steps" in refused(fabula, *TRAIN, "--resume", "--steps", "5")
    assert "leave out --minutes" in refused(fabula, *TRAIN, "--resume", "--minutes", "5")
    other = refused(fabula, "train", "basic", "--data", "data", "--out", "run", "--resume")
    assert "run was made with the recipe tiny, not basic/packed; give that name" in other
    info = json.loads(before)
    for content, message in (
        ("{", "run.json is not valid JSON"),
        ("[]", "run.json is not a JSON object"),
        ("{}", "run.json lacks fields of a run"),
        (
            json.dumps(info | {"data": info["data"] | {"text_hashes": {}}}),
            "run was made with other stories than data holds",
        ),
    ):
        (Path("run") / "run.json").write_text(content)
        assert message in refused(fabula, *TRAIN, "--resume")


def test_a_run_goes_on_from_the_checkpoint_that_is_named(fabula: Fabula) -> None:
    assert fabula(*TRAIN, "--set", "evaluation.every=4")[0] == 0
    assert "--step says where --resume goes on; give --resume too" in refused(fabula, *TRAIN, "--step", "4")
    both = refused(fabula, *TRAIN, "--resume", "--step", "4", "--best")
    assert "give --step or --best, not both" in both
    assert "run has no checkpoint at step 5; choose one of: 4, 8, 12" in refused(
        fabula, *TRAIN, "--resume", "--step", "5"
    )
    code, _, err = fabula(*TRAIN, "--resume", "--step", "8")
    assert code == 0 and "goes on after step 8" in err
    assert "set aside: the checkpoint of step 12, now in run/checkpoints.discarded" in err
    assert fabula(*TRAIN, "--resume", "--best")[0] == 0

    record = Path("run") / "metrics.jsonl"
    record.write_bytes(b"")
    for command in (("diagnose", "run"), ("report", "run", "--out", "page.html"), (*TRAIN, "--resume")):
        assert "metrics.jsonl ends at step 0, but run.json says that the run finished 12 steps" in refused(
            fabula, *command
        )
    recipe = Path("run") / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("steps = 12", "steps = 13"))
    assert "recipe.toml: it is not the recipe that the run was made with" in refused(fabula, *TRAIN, "--resume")


def test_a_run_is_made_longer(fabula: Fabula) -> None:
    command = ("train", "tiny.toml", "--data", "data", "--out", "run")
    assert fabula(*command, "--set", "schedule.kind=warmdown", "--set", "schedule.decay=0.5")[0] == 0
    before = (Path("run") / "metrics.jsonl").read_bytes()
    code, out, err = fabula(*command, "--resume", "--steps", "16", "--dry-run")
    told = (
        "made longer, 12 to 16 steps: on from the checkpoint of step 6, before its learning rate fell, and at its peak"
    )
    assert code == 0 and told in err and "16 steps" in out
    assert (Path("run") / "metrics.jsonl").read_bytes() == before
    code, out, err = fabula(*command, "--resume", "--steps", "16")
    assert code == 0 and told in err and "after 16 steps" in out
    record = read_run(Path("run"))
    assert record.train["step"].tolist() == list(range(1, 17)) and record.info["steps"] == 16
    assert record.info["segments"] == [{"from_step": 0, "steps": 12}, {"from_step": 6, "steps": 16}]
    assert json.loads(fabula("diagnose", "run", "--json")[1])["verdict"] in ("healthy", "not judged", "warning")
    assert fabula(*command, "--resume", "--steps", "16")[0] == 0, "it is that long already"


def signals_at(monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
    """Ctrl-C after each of these updates."""
    plain = Display.stepped

    def stepped(self: Display, line: dict[str, Any]) -> None:
        plain(self, line)
        if line["step"] in steps:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Display, "stepped", stepped)


def test_ctrl_c_before_the_first_step_says_that_nothing_was_written(
    fabula: Fabula, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fabula.train.life.run.set_up_training", stopped)  # as while it compiles
    code, _, err = fabula(*TRAIN)
    assert code == 130 and err.endswith("\nstopped before the first step; nothing was written\n")
    monkeypatch.setattr("fabula.data.prepare.preparation.train_tokenizer", stopped)
    code, _, err = fabula("prepare", "builtin", "--limit", "60", "--out", "stories")
    assert code == 130 and err.endswith("\nstopped; nothing was written\n")
    assert not Path("run").exists() and not Path("stories").exists()


def test_ctrl_c_stops_with_a_checkpoint_and_resume_finishes(fabula: Fabula, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        signals_at(patch, 3)
        code, out, err = fabula(*TRAIN, "--seed", "2")
    assert code == 130 and out == ""
    assert "stopping after this step, with a checkpoint; Ctrl-C again stops at once" in err
    assert "stopped; continue with: fabula train --data data --out run --resume\n" in err
    record = read_run(Path("run"))
    assert record.status == "interrupted" and record.info["steps_done"] == 3 and checkpoint_steps(Path("run")) == [3]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    code, out, err = fabula(*TRAIN, "--resume")
    assert code == 0 and "goes on after step 3" in err
    assert read_run(Path("run")).status == "finished" and read_run(Path("run")).info["seed"] == 2
    assert [line["step"] for line in metrics(Path("run")) if line["kind"] == "train"] == list(range(1, 13))


def test_a_background_job_stays_deaf_to_ctrl_c(fabula: Fabula, monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signals_at(monkeypatch, 3)
    assert fabula(*TRAIN, "--steps", "4")[0] == 0
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_second_ctrl_c_stops_at_once(fabula: Fabula, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Display.stepped

    def stepped(self: Display, line: dict[str, Any]) -> None:
        plain(self, line)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Display, "stepped", stepped)
        code, _, err = fabula(*TRAIN)
    assert code == 130 and "Traceback" not in err
    assert err.endswith("stopped; continue with: fabula train --data data --out run --resume\n")
    assert read_run(Path("run")).status == "interrupted" and not checkpoint_steps(Path("run"))
    assert fabula(*TRAIN, "--resume")[0] == 0
    assert read_run(Path("run")).status == "finished"


def test_ctrl_c_before_the_first_step_leaves_nothing(fabula: Fabula, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Display, "planned", lambda *_: signal.raise_signal(signal.SIGINT))
    code, _, err = fabula(*TRAIN)
    assert code == 130 and "Traceback" not in err and not Path("run").exists()


def test_a_run_that_fails_says_so_and_exits_1(fabula: Fabula, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fabula.train.loop.MOST_SKIPPED", 2)
    code, out, err = fabula(*TRAIN, "--set", "initialization.std=1e30")
    assert code == 1 and out == ""
    assert err.splitlines()[-1].startswith(
        "fabula: the training failed: 2 steps in a row were not finite; lower initialization.std"
    )
    assert read_run(Path("run")).status == "failed"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["schedule.peak=1e38", "steps=1"], "the last evaluation is not finite; lower schedule.peak"),
        (["initialization.std=1e30", "steps=1"], "the last evaluation is not finite; lower initialization.std"),
        (["initialization.std=1e30", "steps=5"], "the last evaluation is not finite; lower initialization.std"),
        (["optimizer.weight_decay=1e30"], "the last evaluation is not finite; lower schedule.peak"),
        (["optimizer.kind=muon", "schedule.peak=1e30"], "not finite; lower schedule.peak"),
        (["schedule.peak=1e6", "optimizer.clip=1e-30"], " steps changed no weight: loss or gradient was not"),
    ],
)
def test_a_training_that_ends_in_nan_exits_1(settings: list[str], message: str, fabula: Fabula) -> None:
    """However few its steps are, and whether loss, weights or gradients are what is not finite."""
    more = [part for setting in settings for part in ("--set", setting)]
    code, out, err = fabula(*TRAIN, *more)
    assert (code, out) == (1, "") and message in err.splitlines()[-1]
    record = read_run(Path("run"))
    assert record.status == "failed" and record.events[-1]["event"] == "failed"
    assert record.events[-1]["reason"] in record.info["error"]
    assert 12 not in checkpoint_steps(Path("run"))
    assert fabula(*TRAIN, "--resume")[0] == 1, "the same steps come to the same end"


def test_weights_that_are_not_finite_are_never_kept(fabula: Fabula, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Training.update

    def update(self: Training, writer: Any) -> None:
        plain(self, writer)
        if self.progress.step == 8:
            next(self.engine.model.parameters()).data[511] = float("inf")

    monkeypatch.setattr(Training, "update", update)
    code, _, err = fabula(*TRAIN, "--set", "evaluation.every=4")
    assert code == 1 and "the weights after step 8 are not finite; " in err.splitlines()[-1]
    assert err.splitlines()[-1].endswith("; the best checkpoint is that of step 4")
    assert checkpoint_steps(Path("run")) == [4]


def test_minutes_fix_the_steps_in_the_recipe(fabula: Fabula, monkeypatch: pytest.MonkeyPatch) -> None:
    def warm_up(engine: Any, *_: object) -> None:
        engine.step_seconds = 1.0

    monkeypatch.setattr("fabula.train.life.run.warm_up", warm_up)
    code, out, _ = fabula(*TRAIN, "--minutes", "10", "--dry-run")
    steps = int(re.search(r"^([\d,]+) steps", out, re.MULTILINE).group(1).replace(",", ""))  # type: ignore[union-attr]
    assert code == 0 and 12 < steps < 600
    assert "0.1 min is too short" in refused(fabula, *TRAIN, "--minutes", "0.1")


@pytest.mark.long
def test_a_ladder_from_its_plan_to_its_report(fabula: Fabula, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("ladder.toml").write_text(LADDER)
    tier = Path(tiny_file(Path(), steps=4, evaluation__every=4)).read_text()
    Path("tier.toml").write_text(tier)
    command = ("ladder", "ladder.toml", "--data", "data", "--out", "out", "--phases", "cosine,packed")
    code, out, _ = fabula(*command, "--dry-run")
    assert code == 0 and not Path("out").exists()
    assert "2 x 4 steps, 512 positions each" in out and "4 runs, 2,048 positions, about" in out
    assert out.splitlines()[-1] == f"next: fabula {' '.join(command)}"
    assert "with 2 seeds and 1 question at once" in out and "kept recipes of" in out, (
        "what it can tell, and by what noise"
    )

    with monkeypatch.context() as patch:
        signals_at(patch, 2)
        code, _, err = fabula(*command, "--seeds", "1")
    assert code == 130 and f"stopped; continue with: fabula {' '.join(command)} --seeds 1" in err
    runs = Path("out/runs/tier")
    assert read_run(runs / "cosine/seed-0").status == "interrupted" and not (runs / "packed").exists()

    code, out, err = fabula(*command, "--seeds", "1")
    assert code == 0 and out.splitlines()[0] == "out/report.html" and "next: " in out
    assert "run 1 of 2, seed 0: tier/cosine" in err and "run 2 of 2, seed 0: tier/packed" in err
    assert err.count("device: ") == 1, "the same choices are told once"
    assert Path("out/report.html").is_file() and Path("out/report.md").is_file()
    assert {read_run(runs / phase / "seed-0").status for phase in ("cosine", "packed")} == {"finished"}

    before = (runs / "cosine/seed-0/metrics.jsonl").read_bytes()
    code, out, err = fabula(*command, "--dry-run")
    assert (
        code == 0
        and out.startswith("2 of 4 runs have ended already and are not repeated\n")
        and "2 runs, 1,024 positions" in out
    )
    code, _, err = fabula(*command, "--seeds", "1")
    assert code == 0 and "2 of 2 runs have ended already" in err
    assert (runs / "cosine/seed-0/metrics.jsonl").read_bytes() == before

    Path("tier.toml").write_text(tier.replace("rows = 4", "rows = 2"))
    assert "was made with another recipe" in refused(fabula, *command)
    for more in ([], ["--dry-run"]):
        assert "holds a ladder with scale 1.0, not 0.5" in refused(fabula, *command, "--scale", "0.5", *more)


@pytest.mark.long
def test_the_noise_of_a_dry_run_is_that_of_the_runs_that_are_named(fabula: Fabula) -> None:
    tiny_file(Path(), steps=4, evaluation__every=4)
    Path("tiny.toml").rename("tier.toml")
    Path("ladder.toml").write_text(LADDER)
    command = ("ladder", "ladder.toml", "--data", "data", "--phases", "cosine,packed")
    assert fabula(*command, "--out", "first")[0] == 0
    code, out, _ = fabula(*command, "--out", "first", "--seeds", "4", "--dry-run")
    assert code == 0 and "the noise is that of 4 runs of 2 recipes in first\n" in out
    code, out, _ = fabula(*command, "--out", "second", "--dry-run", "--noise-from", "first")
    assert code == 0 and "the noise is that of 4 runs of 2 recipes in first\n" in out
    one = ("--noise-from", "first/runs/tier/packed/seed-0")
    assert "no two finished runs of one recipe there" in refused(fabula, *command, "--out", "second", "--dry-run", *one)
    assert "add --dry-run" in refused(fabula, *command, "--out", "second", *one)
    code, out, _ = fabula(*command, "--out", "second", "--seeds", "1", "--dry-run")
    assert code == 0 and "nothing with one seed" in out


@pytest.mark.long
def test_a_ladder_grows_until_it_is_told(fabula: Fabula, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_file(Path(), steps=4, evaluation__every=4)
    Path("tiny.toml").rename("tier.toml")
    Path("ladder.toml").write_text(LADDER)
    plain = ("ladder", "ladder.toml", "--data", "data", "--out", "out", "--phases", "cosine,packed")
    command = (*plain, "--until-told", "--detect", "9")
    code, out, _ = fabula(*command, "--dry-run")
    assert code == 0 and "smaller than 9 nats; looked at with 2, 3, 4, 6, 9, 12 and 16 seeds" in out
    assert "for 9.000, it needs 2 seeds" in out and not Path("out").exists()
    for more, why in (
        (("--detect", "1"), "--detect belongs to --until-told"),
        (("--budget", "1"), "--budget belongs to --until-told"),
        (("--until-told", "--detect", "0"), "--detect 0: give a number above 0"),
        (("--until-told", "--budget", "nan"), "--budget nan: give a number above 0"),
        (("--until-told", "--seeds", "1"), "begins with 2 to 16 seeds, not 1"),
        (("--until-told", "--seeds", "17"), "begins with 2 to 16 seeds, not 17"),
        (("--until-told", "--phases", "packed"), "needs two phases or more"),
    ):
        assert why in refused(fabula, *plain, *more)

    with monkeypatch.context() as patch:
        signals_at(patch, 2)
        assert fabula(*command)[0] == 130
    assert json.loads(Path("out/ladder.json").read_text())["until_told"]["taken"] == [], "the rule stands there before"
    code, out, err = fabula(*command)
    assert code == 0 and out.startswith("out/report.html\nnext: ")
    assert "look 1 of 7: shown to be smaller: packed" in err
    assert "it stops: every question is told or shown to be small" in err
    assert "shown to be smaller than 9" in Path("out/report.md").read_text()
    code, _, err = fabula(*command)
    assert code == 0 and "it has stopped: every question is told" in err and "4 of 4 runs have ended" in err

    assert "and how it stops was settled before its first run" in refused(fabula, *plain)
    assert "holds a ladder that began with 2 seeds, --detect 9 and 2 recipes" in refused(fabula, *plain, "--until-told")


@pytest.mark.long
def test_a_ladder_with_a_failed_run_is_made_to_its_end_and_exits_1(fabula: Fabula) -> None:
    Path("tier.toml").write_text(Path(tiny_file(Path(), steps=4, evaluation__every=4)).read_text())
    phases = "".join(
        f'[[phases]]\nname = "{name}"\nchange = "{name}"\nset = {{ "initialization.std" = {std} }}\n'
        for name, std in (("wild", "1e30"), ("tame", "0.02"))
    )
    Path("ladder.toml").write_text('tiers = ["tier.toml"]\nseeds = 1\n' + phases)
    for _ in range(2):  # made, and found made
        code, out, err = fabula("ladder", "ladder.toml", "--data", "data", "--out", "out")
        assert code == 1 and out.startswith("out/report.html\nnext: ")
        assert "1 of 2 runs failed, and the report says so: runs/tier/wild/seed-0\n" in err
    assert read_run(Path("out/runs/tier/tame/seed-0")).status == "finished"
    assert fabula("ladder", "ladder.toml", "--data", "data", "--out", "other", "--phases", "tame")[0] == 0


def test_a_ladder_says_what_its_recipes_are_warned_of(fabula: Fabula) -> None:
    """Before a step is made, and by recipe; it goes on, for what a bad recipe costs may be the question."""
    Path("tier.toml").write_text(Path(tiny_file(Path(), steps=4, evaluation__every=4)).read_text())
    rising = '[[phases]]\nname = "rising"\nchange = "rises"\nset = { "schedule.floor" = 1.0 }\n'
    Path("ladder.toml").write_text('tiers = ["tier.toml"]\n' + rising)
    code, _, err = fabula("ladder", "ladder.toml", "--data", "data", "--out", "out", "--dry-run")
    assert code == 0 and "tier/rising: warning: " in err
    assert "[lr_floor_above_peak]" in err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--tiers", "bsic"], r'unknown tier "bsic"; did you mean "basic"'),
        (["--phases", "init,pakced"], r'unknown phase "pakced"; did you mean "packed"'),
        (["--phases", ","], r"give at least one phase: baseline, init, cosine, packed"),
        (["--scale", "0"], r"--scale 0: give a number above 0"),
        (["--scale", "nan"], r"--scale nan: give a number above 0"),
        (["--scale", "-1"], r"--scale -1: give a number above 0"),
        (["--seeds", "0"], r"'--seeds'.*see: fabula ladder --help"),
        (["--tiers", "basic"], r"data is not tokenized with gpt2"),
        (["--tiers", "basic", "--dry-run"], r"data is not tokenized with gpt2"),
    ],
)
def test_a_ladder_that_cannot_be_is_one_line(more: list[str], message: str, fabula: Fabula) -> None:
    assert re.search(message, refused(fabula, "ladder", "classic", "--data", "data", "--out", "out", *more))


def test_an_unknown_ladder_names_the_nearest(fabula: Fabula) -> None:
    assert 'did you mean "classic"' in refused(fabula, "ladder", "clasic", "--data", "data", "--out", "out")
    Path("out").mkdir()
    Path("out/notes.txt").write_text("mine")
    Path("ladder.toml").write_text(LADDER)
    tiny_file(Path())
    Path("tiny.toml").rename("tier.toml")
    assert "out exists and is not a ladder" in refused(
        fabula, "ladder", "ladder.toml", "--data", "data", "--out", "out"
    )


def test_a_step_that_cannot_be_compiled_is_told_with_one_word(fabula: Fabula, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("C++ compile error\nmore of it")

    monkeypatch.setenv("CXX", "c++")
    monkeypatch.setattr("torch.compile", lambda *_, **__: fails)
    code, _, err = fabula(*TRAIN, "--set", "compute.compile=on", "--dry-run")
    assert code == 0 and "compile: off (torch.compile failed: C++ compile error)" in err
    assert "compiled: " not in err
    assert err.count("torch.compile failed") == 1
