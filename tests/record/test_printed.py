# ruff: noqa: E501 - lines as they are printed
"""Every program whose printed lines are known has an example here, and a line in the documentation."""

import math
from pathlib import Path

import pytest

from fabula.errors import InputError
from fabula.record.foreign import read_log
from fabula.record.foreign.printed import FORMATS
from fabula.record.reader import Run

EXAMPLES = {
    "nanoGPT": "parameters: 10.65M\niter 1: loss 4.25, time 34.27ms, mfu -100.00%\niter 2: loss 3.5, time 9ms\n",
    "llm.c": "s:0 tel:4.5000\ns:0 trl:4.2500 lr:0.000001 norm:5.30\ns:1 trl:3.5000 lr:0.000002 norm:5.10\n",
    "minimind": "Epoch:[1/2](100/400), loss: 4.25, lr: 0.0005, epoch_time: 1.0min\nEpoch:[2/2](100/400) loss:3.5 lr:0.0004\n",
    "Megatron-LM and GPT-NeoX": " iteration       1/     100 | consumed samples:  256 | learning rate: 1.5E-05 | lm loss: 4.25E+00 | grad norm: 2.3 |\n"
    " iteration       2/     100 | learning rate: 3.0E-05 | lm loss: 3.50E+00 | number of nan iterations:   0 |\n"
    " validation loss at iteration 2 | lm loss value: 3.6E+00 | lm loss PPL: 3.66E+01 | \n",
    "fairseq": "2020-05-01 12:00:00 | INFO | train_inner | epoch 001:    100 / 200 loss=4.25, wps=12345.6, num_updates=100, lr=1.25e-05\n"
    "2020-05-01 12:00:00 | INFO | train_inner | epoch 001:    200 / 200 loss=3.5, wps=12345.6, num_updates=200, lr=1.25e-05\n"
    "2020-05-01 12:00:00 | INFO | train | epoch 001 | loss 3.9 | wps 12345.6 | num_updates 200 | lr 1.25e-05 | gnorm 1.2\n",
    "the examples of PyTorch": "Train Epoch: 1 [0/60000 (0%)]\tLoss: 4.250000\nTrain Epoch: 1 [640/60000 (1%)]\tLoss: 3.500000\n",
    "Keras": "Epoch 1/2\n50/100 [====>....] - ETA: 1s - loss: 9.0\r100/100 [======] - 3s 10ms/step - loss: 4.25 - val_loss: 4.3\n"
    "Epoch 2/2\n\x1b[1m100/100\x1b[0m ━━━━━━ \x1b[1m3s\x1b[0m 3ms/step - loss: 3.5000 - val_loss: 3.6\n",
    "Marian": "[2024-01-01 12:00:00] [config] learn-rate: 0.0003\n"
    "[2024-01-01 12:00:01] Ep. 1 : Up. 500 : Sen. 64,000 : Cost 4.25 * 1,024,123 @ 15,360 after 9,123 : Time 1.5s : gNorm 1.2 : L.r. 3.0e-04\n"
    "[2024-01-01 12:00:02] [valid] Ep. 1 : Up. 500 : ce-mean-words : 4.5 : new best\n[2024-01-01 12:00:02] [valid] Ep. 1 : Up. 500 : bleu : 9.5 : new best\n"
    "[2024-01-01 12:00:03] Ep. 1 : Up. 1000 : Sen. 128,000 : Cost 3.5 * 1,024,123 @ 15,360 after 18,123 : Time 1.5s : gNorm 1.2 : L.r. 3.0e-04\n",
    "ESPnet": "[gpu] 2024-01-01 12:00:00,123 (trainer:779) INFO: 1epoch:train:1-50batch: iter_time=1.2e-04, loss_ctc=9.1, loss_att=8.2, loss=4.25, clip=100.000\n"
    "[gpu] 2024-01-01 12:01:00,123 (trainer:779) INFO: 1epoch:train:51-100batch: iter_time=1.2e-04, loss_ctc=8.1, loss_att=7.2, loss=3.5, clip=100.000\n"
    "[gpu] 2024-01-01 12:02:00,123 (trainer:365) INFO: 1epoch results: [train] loss_ctc=8.6, loss=3.9, total_count=100, [valid] loss_ctc=7.1, loss=3.6, total_count=9\n",
    "the Trainer": "***** Running training *****\n{'loss': 4.25, 'grad_norm': 1.5}\n{'loss': 3.5, 'grad_norm': 0.9}\n",
}  # fmt: skip
"""Lines with losses of 4.25 and 3.5, as the program prints them among others."""

PAIRS = {
    "llm.c on screen": "val loss 4.4\nstep    1/18865 | loss 4.250000 (+nanz)| norm 2.5 (+nanz)| lr 8.6e-07 | 99.8 ms | 55.4% MFU\n"
    "step    2/18865 | loss 3.500000 (+0.1z)| norm 2.4 (+0.2z)| lr 1.7e-06 | 99.8 ms | 55.4% MFU | 423,156 tok/s\n",
    "build-nanogpt on screen": "validation loss: 4.4000\nHellaSwag accuracy: 2534/10042=0.2523\n"
    "step     0 | loss: 4.250000 | lr 8.5e-07 | norm: 15.2 | dt: 1000.12ms | tok/sec: 5000.1\n"
    "step     1 | loss: 3.500000 | lr 1.7e-06 | norm: 14.2 | dt: 338.36ms | tok/sec: 15494.2\n",
    "build-nanogpt's log": "0 val 4.4000\n0 hella 0.2463\n0 train 4.250000\n1 train 3.500000\n",
    "modded-nanogpt": "val_loss = 0.0\nprint(f'step:{step} val_loss:{val_loss:.4f}')\nstep:0/1750 val_loss:4.4 train_time:1ms\n"
    "step:1/1750 train_loss:4.2500 train_time:98ms step_avg:98.7ms\nstep:2/1750 train_loss:3.5000 train_time:99ms\n",
    "litgpt": "Epoch 1 | iter 4 step 1 | loss train: 4.250, val: n/a | iter time: 345.67 ms (step) remaining time: 0:01:54\n"
    "Epoch 1 | iter 8 step 2 | loss train: 3.500, val: n/a | iter time: 345.67 ms\n",
    "torchtitan": "[rank0]:[titan] 2025-03-12 11:10:21,511 - root - INFO - \x1b[31mstep:  1  \x1b[32mloss:  4.2500  memory:  1.41GiB(1.79%)\n"
    "[rank0]:[titan] 2025-03-12 11:10:22,511 - root - INFO - \x1b[31mstep:  2  \x1b[32mloss:  3.5000  grad_norm: 1.2  tps: 1,83\n",
    "fairseq's JSON": '2020-05-01 12:00:00 | INFO | train_inner | {"epoch": 1, "loss": "4.25", "num_updates": "100", "gnorm": "1.2"}\n'
    '2020-05-01 12:01:00 | INFO | train_inner | {"epoch": 1, "loss": "3.5", "num_updates": "200", "gnorm": "1.1"}\n',
    "Lightning's bar": "Epoch 0:  10%|█         | 1/10 [00:01<00:10,  9.50it/s, v_num=0, train_loss=4.250]\r"
    "Validation DataLoader 0: 100%|██████████| 10/10 [00:00<00:00]\r"
    "Epoch 1:  10%|█         | 1/10 [00:01<00:10,  9.50it/s, v_num=0, train_loss=3.500]\n",
    "OLMo": "2024-08-06 09:59:26.181 host:0  olmo.train:908  INFO    [step=1/739328,epoch=0]\n    optim/total_grad_norm=23.7\n"
    "    train/CrossEntropyLoss=4.25\n[step=2/739328,epoch=0]\n    train/CrossEntropyLoss=3.5\n",
    "nanotron": "12/01/2024 10:00:00 [INFO|DP=0|PP=0]: iteration: 1 / 100 | consumed_tokens: 2.1M | lm_loss: 4.25 | lr: 0.0003\n"
    "12/01/2024 10:00:01 [INFO|DP=0|PP=0]: iteration: 2 / 100 | consumed_tokens: 4.2M | lm_loss: 3.5 | lr: 0.0003\n",
    "TensorFlow's estimator": "INFO:tensorflow:loss = 4.25, step = 0\nINFO:tensorflow:loss = 3.5, step = 100 (12.345 sec)\n",
    "XLNet": "I0704 22:15:42.730550 140514656708352 train_gpu.py:303] [500] | gnorm 0.25 lr 0.000223 | loss 4.25 | pplx 70.11\n"
    "I0704 22:20:57.537832 140514656708352 train_gpu.py:303] [1000] | gnorm 0.28 lr 0.000223 | loss 3.5 | pplx 33.12\n",
    "OpenNMT": "Epoch 1,    50/  725; acc:   0.00; loss:   4.25; 6121 src tok/s;      4 s elapsed\nTrain accuracy: 0\n"
    "Epoch 2,    50/  725; acc:   0.00; loss:   3.50; 6121 src tok/s;      4 s elapsed\n",
    "one of sentences": "2017-08-20 16:11:38 INFO Optimizer$:295 - [Iteration 7] Train 1792 in 4.4seconds. Loss is 4.25. Current learning rate is 0.1.\n"
    "2017-08-20 16:11:42 INFO Optimizer$:295 - [Iteration 8] Train 1792 in 4.5seconds. Loss is 3.5. Current learning rate is 0.1.\n",
    "loguru": "2025-09-20 22:31:25.227 | INFO     | tuning.trainer:train:469 - ✅ Step 1: loss=4.25\n"
    "2025-09-20 22:31:35.248 | INFO     | tuning.trainer:train:469 - ✅ Step 2: loss=3.5\n",
    "a hand-written loop": "[step 5] train loss 4.25\n[step 10] train loss 3.5\nsaved to out.pt\n",
    "another": "[5/500] loss=4.25 lr=1e-3\n[6/500] loss=3.5 lr=1e-3\n",
    "one with words between": "Loss after iteration 100: 4.25\nLoss after iteration 1200: 3.5\n",
    "one with large steps": "Step 900 | loss 4.25 | tokens 14,745,600\nStep 1,000 | loss 3.5 | tokens 16,384,000\n",
    "levanter": "2024-05-01T12:00:00 - 0 - levanter.callbacks - callbacks.py:123 - INFO :: Progress on:train 10.0it/40.0kit rate:5.2it/s remaining:27:53 postfix:loss=4.250\n"
    "2024-05-01T12:00:01 - 0 - levanter.callbacks - callbacks.py:123 - INFO :: Progress on:train 1.2kit/40.0kit rate:5.2it/s remaining:27:53 postfix:loss=3.500\n",
    "EasyLM": "\n{'accuracy': 0.1,\n 'gradient_norm': 1.5,\n 'loss': 4.25,\n 'step': 10}\n\n{'accuracy': 0.1,\n 'gradient_norm': 1.4,\n 'loss': 3.5,\n 'step': 20}\n",
    "timm": "Train: 0 [   0/100 (  0%)]  Loss: 4.25 (4.25)  Time: 0.5s, 1234.56/s  LR: 1.000e-06\nTest: [   0/9]  Loss: 4.5 (4.5)\n"
    "Train: 1 [   0/100 (  0%)]  Loss: 3.50 (3.60)  Time: 0.5s, 1234.56/s  LR: 1.000e-06\n",
    "makemore's notebook": "      0/ 200000: 4.2500\n  10000/ 200000: 3.5000\n",
    "PyTorch's first tutorial": "[1,  2000] loss: 4.250\n[1,  4000] loss: 3.500\n",
    "PyTorch's quickstart": "Epoch 1\n-----\nloss: 4.250000  [   64/60000]\nloss: 3.500000  [ 6464/60000]\nTest Error: \n Accuracy: 50.9%, Avg loss: 2.15\n",
    "mmengine": "08/20 12:00:10 - mmengine - INFO - Epoch(train)  [1][ 50/100]  lr: 1.0e-02  eta: 0:12:00  loss: 4.25\n"
    "08/20 12:00:10 - mmengine - INFO - Epoch(train)  [2][ 50/100]  lr: 1.0e-02  eta: 0:12:00  loss: 3.5\n",
    "llama.cpp": "train: [==>  ] data=0000028/0000140 loss=4.25000±0.01234 acc=21.00±0.30% t=00:00:01 ETA=00:00:04 \r"
    "train: [===> ] data=0000056/0000140 loss=3.50000±0.01234 acc=21.00±0.30% t=00:00:02 ETA=00:00:03 \r",
    "a Chinese loop": "第10步，训练损失：4.25，学习率：0.0003\n第20步，训练损失：3.5，学习率：0.0003\n",
    "a dictionary in a dictionary": "{'step': 10, 'metrics': {'loss': 4.25, 'acc': 0.1}}\n{'step': 20, 'metrics': {'loss': 3.5, 'acc': 0.1}}\n",
    "Pax": "I1125 10:00:00.123456 140 executors.py:300] [PAX STATUS]: step_i: 10, training loss: 4.25\n"
    "I1125 10:00:00.123456 140 executors.py:300] [PAX STATUS]: step_i: 20, training loss: 3.5\n",
    "a bar of unknown length": "\r10it [00:12,  4.5it/s, loss=4.25]\r20it [00:14,  4.5it/s, loss=3.5]",
    "NeMo's bar": "\rEpoch 0: :   2%|  | 10/400 [00:12<00:30, v_num=a1, reduced_train_loss=4.250, global_step=9.000, consumed_samples=25.0]"
    "\rEpoch 0: :   5%|  | 20/400 [00:12<00:30, v_num=a1, reduced_train_loss=3.500, global_step=19.000, consumed_samples=51.0]",
    "ms-swift": "{'loss': '4.25', 'grad_norm': '1.2', 'epoch': '0.1', 'global_step/max_steps': '10/400', 'train_speed(s/it)': '2.1'}\n"
    "{'loss': '3.5', 'grad_norm': '1.1', 'epoch': '0.2', 'global_step/max_steps': '20/400', 'train_speed(s/it)': '2.1'}\n",
    "mpirun": "[1,0]<stdout>:step 1 loss 4.25\n[1,1]<stdout>:step 1 loss 4.3\n[1,0]<stdout>:step 2 loss 3.5\n[1,1]<stdout>:step 2 loss 3.6\n",
    "one with steps in thousands": "step 1.2k/40k | loss 4.25\nstep 2.4k/40k | loss 3.5\n",
    "one with decimal commas": "Step: 10 Loss: 4,25 LR: 0,000600\nStep: 20 Loss: 3,5 LR: 0,000600\n",
    "one in Julia": "step = 10, loss = 4.25f0\nstep = 20, loss = 3.5f0\n",
    "guided-diffusion": "creating model...\n" + "".join(
        f"--------------------\n| grad_norm | 1.2  |\n| loss      | {loss} |\n| loss_q0   | 9.1  |\n| step      | {step}  |\n--------------------\n"
        for step, loss in ((0, 4.25), (100, 3.5))
    ),
    "Sockeye": "[2022-05-01:10:00:01:INFO:sockeye.training:__call__] E=0 B=50\ts/sec=1234.56 u/sec=3.40\tcross-entropy=4.25 perplexity=70.1\n"
    "[2022-05-01:10:00:02:INFO:sockeye.training:__call__] E=0 B=100\ts/sec=1234.56 u/sec=3.40\tcross-entropy=3.5 perplexity=33.1\n",
    "tinygrad": "   10  234.50 ms run,   12.30 ms python,  200.10 ms gpu,  4.25 loss, 0.000600 LR, 12.34 GB used, 123456.70 GFLOPS\n"
    "   11  234.50 ms run,   12.30 ms python,  200.10 ms gpu,  3.50 loss, 0.000600 LR, 12.34 GB used, 123456.70 GFLOPS\n",
    "torch-rnn": "Epoch 1.10 / 50, i = 10 / 17800, loss = 4.25\nEpoch 1.20 / 50, i = 20 / 17800, loss = 3.5\n",
    "a tutorial of PyTorch": "0m 41s (- 9m 47s) (5000 6%) 4.2500\n1m 22s (- 9m 1s) (10000 13%) 3.5000\n",
    "Deeplearning4j": "12:00:01.123 [main] INFO o.d.o.l.ScoreIterationListener - Score at iteration 1 is 4.25\n"
    "12:00:02.123 [main] INFO o.d.o.l.ScoreIterationListener - Score at iteration 2 is 3.5\n",
    "SageMaker": "#quality_metric: host=algo-1, epoch=1, train loss <loss>=4.25\n#quality_metric: host=algo-1, epoch=2, train loss <loss>=3.5\n",
    "DLLogger": 'DLLL {"type": "LOG", "step": "PARAMETER", "data": {"lr": 0.1}}\n'
    'DLLL {"type": "LOG", "step": [0, 10], "data": {"loss": 4.25}}\nDLLL {"type": "LOG", "step": [0, 20], "data": {"loss": 3.5}}\n',
    "Colossal-AI": "[04/21/23 12:00:01] INFO     colossalai - colossalai - INFO: [10/400]\n                  Loss:4.25, Step time: 1.234s\n"
    "[04/21/23 12:00:02] INFO     colossalai - colossalai - INFO: [20/400]\n                  Loss:3.5, Step time: 1.234s\n",
    "hivemind": "Step #10\tloss = 4.25\nStep #20\tloss = 3.5\n",
    "T5X": "[10] train/accuracy=0.3, train/loss=487424.0, train/loss_per_all_target_tokens=4.25\n[20] train/accuracy=0.3, train/loss=401408.0, train/loss_per_all_target_tokens=3.5\n",
    "a loop that crashed": "step 1 loss 4.25\nRuntimeError: lost 3 of 4 at step 5: loss 3\nstep 2 loss 3.5\n",
    "Swin": "[2024-01-01 10:00:00 swin](main.py 123): INFO Train: [0/300][10/600]\teta 0:10:00 lr 0.000100\ttime 0.1 (0.2)\tloss 4.25 (4.3)\n"
    "[2024-01-01 10:00:00 swin](main.py 200): INFO Test: [0/98]\tTime 0.1 (0.2)\tLoss 9.5 (9.5)\n"
    "[2024-01-01 10:00:00 swin](main.py 123): INFO Train: [0/300][20/600]\teta 0:10:00 lr 0.000100\ttime 0.1 (0.2)\tloss 3.5 (4.3)\n",
    "the tutorial on GANs": "[0/5][50/1583]\tLoss: 4.25\tD(x): 0.5\n[1/5][0/1583]\tLoss: 3.5\tD(x): 0.5\n",
    "settings with sections": "[step_9]\nloss = 4.25\nval_loss = 4.5\n\n[step_10]\nloss = 3.5\nval_loss = 4.0\n",
    "a list of YAML": "history:\n- loss: 4.25\n  step: 10\n  val_loss: 4.5\n- loss: 3.5\n  step: 20\n  val_loss: 4.0\n",
    "dictionaries": "{'step': 1, 'loss': 4.25, 'lr': 0.1}\n{'step': 2, 'loss': 3.5, 'lr': 0.1}\n",
}  # fmt: skip
"""The same of programs whose lines are names with numbers behind them; nothing else is known of these."""


def read(text: str) -> Run:
    (run,) = read_log(Path("train.log"), text.encode())
    return run


def test_each_program_has_an_example() -> None:
    assert [*(form.program for form in FORMATS[:-1]), "the Trainer"] == list(EXAMPLES)


@pytest.mark.parametrize("program", EXAMPLES)
def test_lines_of_a_known_program(program: str) -> None:
    run = read(EXAMPLES[program])
    assert run.train["loss"].tolist() == [4.25, 3.5]
    assert run.info["log_format"] == ("printed Trainer" if program == "the Trainer" else f"printed {program}")


@pytest.mark.parametrize("program", PAIRS)
def test_lines_of_names_with_numbers(program: str) -> None:
    run = read(PAIRS[program])
    assert run.train["loss"].tolist() == [4.25, 3.5]
    assert (run.train["step"][1:] > run.train["step"][:-1]).all()


@pytest.mark.parametrize("form", ["loss: {1}\nlr: 0.1\nstep: {0}\n", "[[log]]\nloss = {1}\nstep = {0}\n"])
def test_the_step_stands_below_what_was_measured(form: str) -> None:
    run = read("".join(form.format(step, loss) for step, loss in ((10, 4.25), (20, 3.5), (30, 3.25))))
    assert run.train["step"].tolist() == [10, 20, 30] and run.train["loss"].tolist() == [4.25, 3.5, 3.25]


def test_a_test_is_no_validation_where_there_is_one() -> None:
    lines = "".join(f"step {n} loss {4 - n / 8}\n[DEV] step {n} loss 5.0\n[TEST] step {n} loss 6.0\n" for n in (1, 2))
    assert read(lines).evals["val_loss"].tolist() == [5.0, 5.0]
    assert read(lines.replace("DEV", "TEST")).evals["val_loss"].tolist() == [5.0, 6.0, 5.0, 6.0]


LANGUAGES = {
    "German": ("Schritt {}: Verlust {}, Lernrate 0,001", "Validierung: Verlust 5,5"),
    "French": ("Étape {}/60 - perte d'entraînement : {}", "Validation - perte : 5,5"),
    "Spanish": ("Paso {}: pérdida de entrenamiento = {}", "pérdida de validación = 5,5"),
    "Portuguese": ("Passo {} | perda de treino: {}", "perda de validação: 5,5"),
    "Italian": ("Passo {}, perdita: {}", "perdita di validazione: 5,5"),
    "Russian": ("Шаг {}: потери на обучении {}", "потери на валидации 5,5"),
    "Turkish": ("Adım {} kayıp: {}", "doğrulama kayıp: 5,5"),
    "Japanese": ("ステップ {}/60 訓練損失: {}", "検証損失: 5,5"),
    "Korean": ("스텝 {} 학습 손실: {}", "검증 손실: 5,5"),
    "English, with commas": ("Step: {}, Loss: {}, LR: 0,001", "Val loss: 5,5"),
}
"""A line with a step and a loss, and one of an evaluation."""


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("decimal", [",", "."])
def test_lines_in_other_languages(language: str, decimal: str) -> None:
    line, evaluation = LANGUAGES[language]
    lines = [line.format(n, str(4.125 - n / 8).replace(".", ",")) + f"\n{evaluation}\n" for n in range(1, 9)]
    run = read("".join(lines).replace(",", decimal) if language != "English, with commas" else "".join(lines))
    there = run.train if "loss" in run.train else run.evals
    assert there["loss" if "loss" in there else "train_loss"].tolist() == [4.125 - n / 8 for n in range(1, 9)]
    assert there["step"].tolist() == list(range(1, 9)) and set(run.evals["val_loss"].tolist()) == {5.5}


def test_the_page_names_each_program(repo: Path) -> None:
    page = (repo / "docs" / "diagnose.md").read_text(encoding="utf-8")
    assert [name for name in EXAMPLES if f"| printed lines of {name} |" not in page] == []


@pytest.mark.parametrize(
    "before",
    ["2025-01-02 03:04:05 INFO ", "[rank0]: ", "0: ", "INFO:root:", "\x1b[32m", "[2025-01-02 03:04:05,678][train.py:12] ",
     "2025-01-02T03:04:05.678Z | INFO | __main__:train:42 - ", "I0512 12:00:01.123456 139 loop.py:45] ", "(main pid=123) ", "Jan 02 03:04:05 host train[123]: ",
     "01/02/2025 03:04:05 - INFO - train - ", "[INFO|trainer.py:123] 2025-01-02 03:04:05,678 >> ", "> "],
)  # fmt: skip
@pytest.mark.parametrize(
    "line",
    ["iter {}: loss {:.2f}, grad_norm 1.5, lr 1.0e-04, time 12.30ms", "step {}/9 | loss {:.2f} | norm 1.5 | lr 1.0e-04",
     "{}/9 loss {:.2f} lr 1.0e-04 norm 1.5", "Iteration {} - Loss: {:.2f} - Learning rate: 1.0e-04 - Gradient norm: 1.5",
     "{{'step': {}, 'loss': {:.2f}, 'lr': 1.0e-04, 'grad_norm': 1.5}}", '{{"step": {}, "loss": {:.2f}, "lr": 1e-4, "grad_norm": 1.5}}'],
)  # fmt: skip
def test_whatever_stands_before_a_line(before: str, line: str) -> None:
    other = "saving to out.pt after 3 hours"
    run = read("".join(f"{before}{line.format(n, 4 - n / 8)}\x1b[0m\n{before}{other}\n" for n in range(1, 9)))
    assert run.train["loss"].tolist() == [float(f"{4 - n / 8:.2f}") for n in range(1, 9)]
    assert run.train["grad_norm"].tolist() == [1.5] * 8 and run.train["learning_rate"].tolist() == [1e-4] * 8


def test_of_several_processes_the_first_is_read() -> None:
    run = read("".join(f"[rank{rank}]: step {n} loss {4 - n / 8 + rank}\n" for n in range(1, 9) for rank in (1, 0)))
    assert run.train["loss"].tolist() == [4 - n / 8 for n in range(1, 9)]
    assert "first_rank" in [each["kind"] for each in run.info["notes"]]


@pytest.mark.parametrize("before", ["[pod/train-{}/pytorch] ", "(RayTrainWorker pid={}, ip=10.0.0.1) "])
def test_processes_that_a_launcher_names(before: str) -> None:
    run = read(
        "".join(f"{before.format(rank)}step {n} loss {4 - n / 8 + rank}\n" for n in range(1, 9) for rank in (1, 0))
    )
    assert run.train["loss"].tolist() == [4 - n / 8 for n in range(1, 9)]


@pytest.mark.parametrize("before", ["[{}] ", "{}  | "])
def test_lines_of_two_runs_that_a_label_tells_apart(before: str) -> None:
    def log(apart: float) -> str:
        return "".join(
            f"{before.format(label)}step {n}/9 loss {4 - n / 8 + more}\n"
            for n in range(1, 9)
            for label, more in (("small", 0.0), ("large", apart))
        )

    small, large = read_log(Path("train.log"), log(0.5).encode())
    assert small.train["loss"].tolist() == [4 - n / 8 for n in range(1, 9)]
    assert large.train["loss"].tolist() == [4.5 - n / 8 for n in range(1, 9)]
    assert len(read(log(0.0)).train["loss"]) == 8  # two loggers print what one run measured


@pytest.mark.parametrize("beside", ["lr 1.0e-04", "grad_norm 1.5"])
def test_the_loss_of_a_policy_is_not_judged(beside: str) -> None:
    log = "".join(f"step {n} | loss {2 + n / 8} | mean_reward {n} | {beside}\n" for n in range(1, 9))
    run = read(log)
    assert "loss" not in run.train and len(run.train["step"]) == 8
    assert "of_rewards" in [each["kind"] for each in run.info["notes"]]
    (said,) = read_log(Path("train.log"), log.encode(), {"loss": "loss"})
    assert len(said.train["loss"]) == 8
    assert read(log + f"step 9 | loss nan | mean_reward 9 | {beside}\n").train["loss"][-1] == math.inf
    preferences = log.replace("mean_reward", "rewards/chosen")
    assert len(read(preferences).train["loss"]) == 8
    with pytest.raises(InputError, match="how a policy learns"):
        read(log.replace(f" | {beside}", ""))


def test_what_a_line_of_an_evaluation_measures() -> None:
    assert read("[lib/dev/run.py] step 1 loss 4.0\n[lib/dev/run.py] step 2 loss 3.0\n").train["loss"].tolist() == [
        4,
        3,
    ]
    run = read("step 1 loss 4.0\n[eval] step 1 loss 4.5\nstep 2 loss 3.0\nValidation loss: 3.5\nbest val loss: 1.0\n")
    assert run.train["loss"].tolist() == [4.0, 3.0]
    assert run.evals["step"].tolist() == [1, 2] and run.evals["val_loss"].tolist() == [4.5, 3.5]


def test_the_last_batch_tells_an_evaluation_that_nothing_else_tells() -> None:
    train = "Iter(train) [{}/1000]  lr: 1.0e-04  eta: 0:10:00  grad_norm: 1.2  loss: {}\n"
    batches = "Iter(val) [10/20]  loss: 9.0  time: 0.02\nIter(val) [20/20]  loss: 3.75  time: 0.02\n"
    (run,) = read_log(Path("mmengine.log"), (train.format(10, 4.25) + batches + train.format(20, 3.5)).encode())
    assert run.train["loss"].tolist() == [4.25, 3.5] and run.evals["val_loss"].tolist() == [3.75]
    assert run.train["step"].tolist() == [10, 20] and run.evals["step"].tolist() == [10]


def test_a_tab_ends_a_name() -> None:
    line = "Epoch[0] Batch [{}]\tSpeed: 123.45 samples/sec 1.2 updates/sec\tperplexity={}\n"
    printed = line.format(50, math.exp(4.25)) + line.format(100, math.exp(3.5))
    (run,) = read_log(Path("sockeye.log"), printed.encode())
    assert run.train["loss"].tolist() == pytest.approx([4.25, 3.5]) and run.train["step"].tolist() == [50, 100]


@pytest.mark.parametrize(
    "told",
    ["Running validation...\n  loss: {}\n  perplexity: 12.5\n", "=== Evaluation at step 2 ===\nloss = {}\n",
     "Validation results:\nAvg loss: {}, time 3 s\n", "eval/stories/CrossEntropyLoss={}\n", "loss (val): {}\n",
     "Val: [3/9] loss: 7.0\nValidation loss: {}\n", "Validating:  50%|##  | 4/8 [00:01<00:01, val_loss=7.5]\rValidating: 100%|####| 8/8 [00:02, val_loss={}]\n",
     "  eval @ 3: nll={} (n=50)\n", "validation loss for pile at step 3: {}\n", "val CE {}\n"],
)  # fmt: skip
def test_an_evaluation_below_its_heading(told: str) -> None:
    run = read("".join(f"step {n}/400 | loss {4 - n / 8}\n" + told.format(5 - n / 8) for n in range(1, 9)))
    assert run.train["loss"].tolist() == [4 - n / 8 for n in range(1, 9)]
    assert run.evals["val_loss"].tolist() == [5 - n / 8 for n in range(1, 9)]


def test_an_evaluation_that_prints_the_same_words_below_its_heading() -> None:
    run = read("".join(f"step {n} loss {4 - n / 8}\nEvaluating...\nstep {n} loss {5 - n / 8}\n" for n in range(1, 9)))
    assert run.train["loss"].tolist() == [4 - n / 8 for n in range(1, 9)]
    assert run.evals["val_loss"].tolist() == [5 - n / 8 for n in range(1, 9)]


def test_what_keras_evaluates_after_the_training_is_no_epoch() -> None:
    epochs = "".join(f"Epoch {n}/9\n100/100 [====] - 3s 9ms/step - loss: {4 - n / 8}\n" for n in range(1, 10))
    run = read(f"{epochs}25/25 [====] - 1s 8ms/step - loss: 7.5\n")
    assert run.train["loss"].tolist() == [4 - n / 8 for n in range(1, 10)]


def test_what_is_told_once_more_is_no_loss_of_a_step() -> None:
    told = "Saved checkpoint at step 3 (loss 3.6)\nBest epoch: 3 (val loss 2.0)\nstep 2: train loss 3.5, val loss 3.75\nTest loss: 2.9\nwandb: train/loss 3.0\nwandb: train/global_step 9\n"
    run = read("".join(f"iter {n}: loss {4 - n / 8}, time 1ms\n" for n in range(8)) + told)
    assert run.train["loss"].tolist() == [4 - n / 8 for n in range(8)]
    assert run.evals["val_loss"].tolist() == [3.75]


def test_a_factor_behind_a_name_is_no_value() -> None:
    run = read("".join(f"step:{n} - train/loss:{4 - n / 8} - train/lr(1e-3):0.6\n" for n in range(1, 9)))
    assert "learning_rate" not in run.train
    run = read("".join(f"step {n} | loss {4 - n / 8} | LR (group 0)=0.5\n" for n in range(1, 9)))
    assert run.train["learning_rate"].tolist() == [0.5] * 8


def test_losses_that_nothing_counts() -> None:
    run = read("".join(f"training loss: {4 - n / 8}\n" for n in range(1, 9)) + "validation loss: 3.5\n")
    assert run.train["step"].tolist() == list(range(1, 9)) and run.evals["step"].tolist() == [8]
    assert "lines_are_steps" in [each["kind"] for each in run.info["notes"]]


def test_a_validation_loss_that_is_printed_until_the_next_one_counts_once() -> None:
    run = read("".join(f"step {n} | loss train: {4 - n / 8}, val: {4.5 if n < 4 else 4.0}\n" for n in range(1, 8)))
    assert run.evals["step"].tolist() == [1, 4]


def test_source_code_in_a_log_is_none_of_its_lines() -> None:
    code = (
        "import torch\nlr = 0.0036\nstep = 0\nloss = 0\nf(step=0, lr=0.1, loss=7.0)\nval_loss = 0.0\n" + "pass\n" * 40
    )
    lines = [f"step:{n}/9 val_loss:{4 - n / 8} train_time:{n}ms" for n in range(9)]
    run = read(code + "\n".join(lines) + "\n")
    assert run.evals["val_loss"].tolist() == [4 - n / 8 for n in range(9)]
    assert not len(run.train["step"]) and run.info["notes"] == [] and run.info["steps"] == 9


def test_losses_that_are_none() -> None:
    run = read("step 1 | loss 4.0 | norm 1.0\nstep 2 | loss nan | norm inf\nstep 3 | loss NaN | norm nan\n")
    assert run.train["loss"].tolist() == [4.0, math.inf, math.inf]
    assert run.train["grad_norm"].tolist() == [1.0, math.inf, math.inf]
    for lost in ("nan", "-nan(ind)", "NaN32", "1.#QNAN", "inf", "Infinity", "tensor(nan, device='cuda:0')"):
        run = read("".join(f"== step {n} ==\nloss: {4 - n if n < 3 else lost}\n" for n in range(1, 5)))
        assert run.train["loss"].tolist() == [3, 2, math.inf, math.inf], lost


@pytest.mark.parametrize(
    "text",
    ["Loading data...\nmodel: a, b\nsteps: 1000\nlr: 0.001, wd: 0.1\nDone, saved\n",
     "x.py:22: UserWarning: 'repr' in F(), no effect\n  warnings.warn(a, b)\n  0%| | 0/187 [00:00<?, ?it/s]\r  1%| | 1/187 [00:08<25:17]\n",
     "steps = 1000\nfor step in range(steps):\n    loss = 0.0\n    print(f'step {step} loss {loss}')\n"],
)  # fmt: skip
def test_what_has_no_loss_is_no_log(text: str) -> None:
    with pytest.raises(InputError, match="is no log that fabula knows"):
        read_log(Path("console.log"), text.encode())


def test_names_that_it_does_not_know_are_listed_and_can_be_said() -> None:
    text = "".join(f"Gradus {n}: Damnum {4 - n / 8}\n" for n in range(1, 6))
    with pytest.raises(InputError, match=r"gradus, damnum; say .* --columns"):
        read_log(Path("train.log"), text.encode())
    (run,) = read_log(Path("train.log"), text.encode(), {"step": "gradus", "loss": "Damnum"})
    assert run.train["loss"].tolist() == [4 - n / 8 for n in range(1, 6)]
    text = "".join(f"Runde {n}: Damnum {4 - n / 8}, Rate 0.1\n" for n in range(1, 6))
    (run,) = read_log(Path("t.log"), text.encode(), {"epoch": "runde", "loss": "damnum", "learning_rate": "rate"})
    assert run.train["step"].tolist() == [1, 2, 3, 4, 5] and run.train["learning_rate"].tolist() == [0.1] * 5
