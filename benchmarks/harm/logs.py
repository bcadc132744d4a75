"""Small healthy logs of every form that is read, as bytes: what the mutations begin with."""

import gzip
import json
import struct
from collections.abc import Callable, Iterator
from random import Random

Content = dict[str, bytes]
"""Path below the place that is read -> bytes; the one file `log` is given itself, of several their folder."""


def logs(random: Random) -> dict[str, Content]:
    """A log a form, drawn anew: its length, its numbers, which columns it has."""
    losses = _losses(random)
    text = {name: make(random, losses) for name, make in TEXTS.items()}
    if random.random() < 0.1:
        text = {name: made.replace("\n", "\r\n") for name, made in text.items()}
    made: dict[str, Content] = {name: {"log": content.encode()} for name, content in text.items()}
    made["packed"] = {"log": gzip.compress(text[random.choice(list(text))].encode(), 1)}
    made["utf-16"] = {"log": text[random.choice(list(text))].encode("utf-16")}
    made["event file"] = {"log": events(_scalars(losses))}
    made["event files"] = {
        "run/events.out.tfevents.1": events(_scalars(losses)),
        "run/events.out.tfevents.2": events([(len(losses), "train/loss", losses[-1])]),
    }
    state = _trainer_state(random, losses).encode()
    made["Trainer folder"] = {
        "checkpoint-10/trainer_state.json": state,
        "trainer_state.json": state,
        "config.json": b'{"vocab_size": 50257, "text_config": {"vocab_size": 512}}',
    }
    made["folder"] = {"a.csv": text["csv"].encode(), "b.jsonl": text["json lines"].encode(), "c.log": b"nothing\n"}
    return made


def _losses(random: Random) -> list[float]:
    end, length = random.uniform(0.5, 6.0), random.choice([1, 2, 3, 8, 20, 60, 150])
    losses = [end + 6.0 * 0.9**step + random.gauss(0, 0.05) for step in range(length)]
    if random.random() < 0.2:
        losses[random.randrange(length)] = random.choice([float("nan"), float("inf"), 0.0, 1e9])
    return losses


def _table(header: str, rows: Iterator[str]) -> str:
    return f"{header}\n" + "".join(f"{row}\n" for row in rows)


def _csv(random: Random, losses: list[float]) -> str:
    names = random.choice(["step,loss,lr,grad_norm", "iter,train/loss,learning_rate,gnorm", "epoch,step,loss,val_loss"])
    text = _table(names, (f"{at},{loss:.4f},{1e-3 * at:g},{random.random():.3f}" for at, loss in enumerate(losses)))
    return text.replace(",", random.choice([",", ",", "\t", ";", "|", "  "]))


def _epochs(random: Random, losses: list[float]) -> str:
    return _table(
        "epoch,batch,total_steps,train_loss,val_loss,ppl",
        (
            f"{at // 7},{at % 7},7,{loss:.3f},{loss + 0.1:.3f},{2.7 ** min(loss, 50.0):.3f}"
            for at, loss in enumerate(losses)
        ),
    )


def _runs_in_one(random: Random, losses: list[float]) -> str:
    rows = (f"{name},{at},{loss:.3f},{at * 1000:,}" for name in ("fox", "owl") for at, loss in enumerate(losses))
    return _table("run;step;loss;tokens", (row.replace(",", ";", 3) for row in rows))


def _long(random: Random, losses: list[float]) -> str:
    return _table(
        "step,metric,value", (f"{at},{name},{loss:.3f}" for at, loss in enumerate(losses) for name in ("loss", "lr"))
    )


def _markdown(random: Random, losses: list[float]) -> str:
    rows = "".join(f"| {at} | {loss:.3f} |\n" for at, loss in enumerate(losses))
    return f"| Step | Training Loss |\n|---|---|\n{rows}"


def _json_lines(random: Random, losses: list[float]) -> str:
    lines = [{"step": at, "loss": loss, "lr": 1e-3, "train": {"grad_norm": 0.5}} for at, loss in enumerate(losses)]
    lines += [{"step": at, "val_loss": loss, "done": True} for at, loss in enumerate(losses) if at % 5 == 0]
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def _json_list(random: Random, losses: list[float]) -> str:
    lines = [{"step": at, "loss": loss} for at, loss in enumerate(losses)]
    return json.dumps(random.choice([lines, {"name": "run", "history": lines}]), indent=random.choice([None, 1]))


def _json_columns(random: Random, losses: list[float]) -> str:
    return json.dumps({"history": {"loss": losses, "val_loss": losses, "epoch": list(range(len(losses)))}})


def _printed_lists(random: Random, losses: list[float]) -> str:
    wrapped = ", ".join(f"np.float32({loss})" for loss in losses)
    return random.choice([
        f"train_losses: {losses}\nval_losses: {losses[::5]}\n",
        f"{ {'loss': losses, 'val_loss': losses[::5]} }\n",
        f"self.loss_history = [{wrapped}]\n",
        "".join(f"epoch {at} losses [{' '.join(map(str, losses))}]\n" for at in range(3)),
        f"{list(enumerate(losses))}\n",
    ])  # fmt: skip


def _numbers(random: Random, losses: list[float]) -> str:
    return random.choice(
        [
            f"{losses}\n",
            "".join(f"{loss}\n" for loss in losses),
            "".join(f"{at} {loss}\n" for at, loss in enumerate(losses)),
        ]
    )


def _own(random: Random, losses: list[float]) -> str:
    lines = [{"kind": "event", "step": 0, "event": "started"}]
    lines += [{"kind": "train", "step": at, "loss": loss, "grad_norm": 0.5, "learning_rate": 1e-3, "tokens": 9 * at,
               "non_finite": ["loss"]} for at, loss in enumerate(losses, start=1)]  # fmt: skip
    lines += [{"kind": "eval", "step": 0, "val_loss": 9.0, "val_loss_subset": 9.1, "full": True}]
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def _trainer_state(random: Random, losses: list[float]) -> str:
    history = [
        {"step": at * 10, "loss": loss, "learning_rate": 1e-4, "epoch": at / 9} for at, loss in enumerate(losses)
    ]
    history += [
        {"step": 10, "eval_a_loss": 3.0, "eval_b_loss": 4.0},
        {"step": 90, "train_loss": 2.0, "train_runtime": 1.0},
    ]
    return json.dumps({"global_step": 10 * len(losses), "max_steps": 5000, "logging_steps": 10, "epoch": 3.0,
                       "num_train_epochs": 3, "log_history": history})  # fmt: skip


def _trainer_printed(random: Random, losses: list[float]) -> str:
    bars = random.random() < 0.5
    return (
        "".join(
            f"{{'loss': '{loss:.4g}', 'grad_norm': {loss / 9:.3f}, 'learning_rate': 1e-05, 'epoch': {at / 9:.2f}}}\n"
            + (f"\r {at}%|###   | {10 * at}/{10 * len(losses)} [00:01<00:02, 3.0it/s]" if bars else "")
            for at, loss in enumerate(losses)
        )
        + "{'train_runtime': 20.0, 'train_loss': 3.0, 'epoch': 1.0}\n"
    )


def _wandb_chart(random: Random, losses: list[float]) -> str:
    names = ['"fox - train/loss"', '"fox - train/loss__MIN"', '"fox - train/loss__MAX"', '"owl - b - train/loss"']
    return _table(f'"Step",{",".join(names)}', (f'"{at}","{loss}","1","9","{loss}"' for at, loss in enumerate(losses)))


def _wandb_history(random: Random, losses: list[float]) -> str:
    return _table(",_step,_runtime,train/global_step,train/loss,eval/loss",
                  (f"{at},{at},{at * 1.5},{at * 10},{loss}," for at, loss in enumerate(losses)))  # fmt: skip


def _download(random: Random, losses: list[float]) -> str:
    return _table("Wall time,Step,Value", (f"1.7e9,{at},{loss}" for at, loss in enumerate(losses)))


def _notebook(random: Random, losses: list[float]) -> str:
    table = "<table><tr><th>Step</th><th>Training Loss</th></tr>" + "".join(
        f"<tr><td>{at}</td><td>{loss:.3f}</td></tr>" for at, loss in enumerate(losses)
    )
    printed = [f"step {at} | loss {loss:.3f}\n" for at, loss in enumerate(losses)]
    cells = [
        {"cell_type": "code", "outputs": [{"output_type": "stream", "text": printed}]},
        {"cell_type": "code", "outputs": [{"output_type": "display_data", "data": {"text/html": [table, "</table>"]}}]},
        {"cell_type": "markdown", "source": ["# loss"]},
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


PRINTED = {
    "nanoGPT": "iter {at}: loss {loss:.4f}, time 20.1ms, mfu 3.1%\n"
    "step {at}: train loss {loss:.4f}, val loss {loss:.4f}\n",
    "llm.c": "s:{at} trl:{loss:.4f}\ns:{at} tel:{loss:.4f}\n",
    "minimind": "Epoch:[1/2]({at}/900) loss:{loss:.3f} lr:0.000500 epoch_Time:10.0min:\n",
    "Megatron": " iteration {at:8d}/ 5000 | consumed samples: {at} | lm loss: {loss:.6E} | "
    "grad norm: 1.2 | learning rate: 1.5E-04 |\n",
    "PyTorch": "Train Epoch: 1 [{at}/900 (5%)]\tLoss: {loss:.6f}\n"
    "| epoch 1 | {at}/900 batches | lr 0.02 | loss {loss:.2f} | ppl 20\n",
    "Keras": "Epoch {at}/100\n900/900 [=====] - 3s 3ms/step - loss: {loss:.4f} - val_loss: {loss:.4f}\n",
    "pairs": "[rank{rank}]: 2024-01-02 10:00:0{rank},123 - INFO - "
    "step {at}/5000 | loss: {loss:.3f} | lr=1.0e-3 | tokens 12.5K | dt 3ms\n",
    "bar": "\r {at}%|##  | {at}/100 [00:01<00:02, loss={loss:.3f}, lr=1e-3]",
    "dictionary": "\x1b[32m{{'step': {at}, 'loss': {loss:.3f}, 'note': \"it's\"}}\x1b[0m\n",
    "blocks": "Step: {at}\n  training loss = {loss:.3f}\n  validation ppl {loss:.2f}\n",
}


def _printed(form: str) -> Callable[[Random, list[float]], str]:
    def make(random: Random, losses: list[float]) -> str:
        start = random.choice(
            ["", "found vocab_size = 65\nInitializing a new model from scratch\n", "seed: 1\nlr = 3\n"]
        )
        return start + "".join(form.format(at=at, loss=loss, rank=at % 2) for at, loss in enumerate(losses))

    return make


TEXTS = {
    "csv": _csv, "epochs": _epochs, "several runs": _runs_in_one, "long table": _long, "Markdown table": _markdown,
    "printed lists": _printed_lists, "numbers": _numbers,
    "json lines": _json_lines, "json list": _json_list, "json columns": _json_columns, "own lines": _own,
    "Trainer state": _trainer_state, "Trainer lines": _trainer_printed, "W&B chart": _wandb_chart,
    "W&B history": _wandb_history, "TensorBoard download": _download, "notebook": _notebook,
    **{f"printed {name}": _printed(form) for name, form in PRINTED.items()},
}  # fmt: skip


def _scalars(losses: list[float]) -> list[tuple[int, str, float]]:
    return [(at, name, loss) for at, loss in enumerate(losses) for name in ("train/loss", "train/learning_rate")]


def events(scalars: list[tuple[int, str, float]]) -> bytes:
    """An event file of TensorBoard with a summary a scalar."""
    records = [b"\x1a\x0dbrain.Event:2"]
    for step, tag, value in scalars:
        entry = _sized(1, tag.encode()) + b"\x15" + struct.pack("<f", value if abs(value) < 1e30 else float("inf"))
        records.append(b"\x10" + varint(step) + _sized(5, _sized(1, entry)))
    return b"".join(map(record, records))


def record(content: bytes) -> bytes:
    head = struct.pack("<Q", len(content))
    return head + _checksum(head) + content + _checksum(content)


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _sized(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc_table()


def _checksum(content: bytes) -> bytes:
    """CRC-32C as record_writer.h masks it."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _TABLE[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
