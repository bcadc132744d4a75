"""What steps and losses are called in other languages than English, a word at a time."""

_WORDS = {
    "step": "schritt schritte étape etape itération iteración iteracion iteração iterazione paso passo шаг итерация "
    "krok adım ステップ 스텝 步数",
    "epoch": "epoche époque epoque época epoca эпоха epoka エポック 에폭 에포크 轮次 轮数",
    "loss": "verlust perte pérdida perdida perda perdita потери потеря kayıp 損失 손실 损失",
    "train": "trainings entraînement entrainement entrenamiento treino treinamento addestramento обучении обучения "
    "обучение eğitim 訓練 학습 훈련 训练",
    "val": "validierung validierungs validación validacion validação validacao validazione валидации валидация "
    "doğrulama 検証 검증 验证",
    "learning_rate": "lernrate 学習率 학습률 学习率",
    "test": "测试",
    "eval": "评估",
    "grad_norm": "梯度范数",
    "train_loss": "trainingsverlust",
    "val_loss": "validierungsverlust",
}
_ENGLISH = {word: english for english, words in _WORDS.items() for word in words.split()}
_BETWEEN = set("de do da di del du la le of на".split())
_INSIDE = sorted((word for word in _ENGLISH if word[0] >= "\u3040"), key=len, reverse=True)
"""Words of languages that put no blanks between them, the longest first."""
HELD_OUT = "|".join(word for word in _WORDS["val"].split() if word not in _INSIDE)


def in_english(name: str) -> str:
    """`name`, words with underscores between, with the words of it that are known in English.

    >>> in_english("pérdida_de_entrenamiento"), in_english("検証損失"), in_english("loss_de")
    ('loss_train', 'val_loss', 'loss_de')
    """
    if not name.isascii() and any(word in name for word in _INSIDE):
        for word in _INSIDE:
            name = name.replace(word, f"_{_ENGLISH[word]}_")
        name = "_".join(filter(None, name.split("_")))
    words = name.split("_")
    if _ENGLISH.keys().isdisjoint(words):
        return name
    return "_".join(_ENGLISH.get(word, word) for word in words if word not in _BETWEEN)
