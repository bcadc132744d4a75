"""The words of a page that a reader may not know, each explained in a sentence or two: the one source for the
explanation that appears where a word is touched and for the list at the end of the page."""

WORDS = {
    "baseline": "The recipe that the others are compared with: nothing improved yet.",
    "batch": "The stories that one training step looks at together.",
    "bracket": "Several learning rates, tried one after the other to find the best.",
    "checkpoint": "The model as it was saved at one step.",
    "clipping": "Making a gradient shorter that is longer than a limit, so that no single batch can do harm.",
    "confidence interval": "The range in which the true value is likely to be: of 100 such ranges about 95 hold it.",
    "context": "How many tokens the model can look back.",
    "correlation": "Whether two numbers rise and fall together: 1 means always, 0 means not at all.",
    "divergence": "The loss rises and does not come back: the training is lost.",
    "embedding": "The table in which each token has its list of numbers. In a small model it is a large part of all.",
    "entropy": "How unpredictable a text is in itself. The loss cannot get far below it.",
    "epoch": "Once through all training stories.",
    "gradient norm": (
        "How strongly a batch pulls at the weights of the model. High at the start is usual; growing later is a sign "
        "of trouble."
    ),
    "held-out": "Kept apart: stories that the model never trains on.",
    "Holm": (
        "A correction for asking several questions at once. Without it, one of twenty questions would look like a "
        "success by luck alone."
    ),
    "interaction": "Whether one change does more, or less, when another change is there too.",
    "learning rate": "How large a step the training takes with each batch.",
    "loss": "How badly the model guesses the next token. Lower is better.",
    "median": "The value in the middle: half of the others are below it. Single extreme values do not move it.",
    "nat": (
        "The unit of the loss. 0.69 nats less means that the model gives the right next token twice the probability."
    ),
    "overfitting": "The model learns its training stories by heart and gets worse on new ones.",
    "p": ("How often chance alone would show a difference at least this large. Below 0.05 is taken as more than luck."),
    "padding": "Empty places that fill a row up to its length. They cost time and teach nothing.",
    "parameters": "The numbers inside the model that training sets.",
    "phase": "One recipe of a ladder. Usually it is the one before it with one change more.",
    "positions": "Places for a token in the rows of a batch, whether a token stands there or padding.",
    "protocol": "A way to measure the loss. This page has two: stream and story.",
    "recipe": "Everything that decides how a model is trained: its size, the data, the learning rate and so on.",
    "ruler": "What a loss was measured with: which text, which rule, how much context. Only equal rulers compare.",
    "seed": (
        "The number that starts all random choices, such as the first weights and the order of the stories. With "
        "another seed the same recipe ends a little better or worse."
    ),
    "spike": "The loss jumps up for a short time and comes back.",
    "standard deviation": "How far single values usually are from their mean.",
    "step": "One update of the model, after it has looked at one batch.",
    "story": (
        "One of the two ways to measure the loss: every validation story by itself, cut to the length that the model "
        "can read."
    ),
    "stream": (
        "One of the two ways to measure the loss: the validation stories one after the other, like one long text."
    ),
    "temperature": "How much chance there is in choosing the next token: 0 always takes the likeliest one.",
    "tier": "A size of the model.",
    "token": "What a model reads and writes: a short word, or a piece of a longer one.",
    "top-p": "Only the likeliest tokens are drawn from, as many as hold this share of the probability.",
    "validation": "Stories that the model never trains on, kept apart to measure it.",
    "validation loss": "How badly the model guesses the next token of stories that it has never seen. Lower is better.",
    "warmup": "The first steps, in which the learning rate rises from near 0 to its highest value.",
}
"""Word -> what it means."""

FORMS = {
    "95 % interval": "confidence interval",
    "adjusted p": "Holm",
    "batches": "batch",
    "clipped": "clipping",
    "embeddings": "embedding",
    "epochs": "epoch",
    "held out": "held-out",
    "interactions": "interaction",
    "intervals": "confidence interval",
    "nats": "nat",
    "on story": "story",
    "on stream": "stream",
    "overfits": "overfitting",
    "p value": "p",
    "p values": "p",
    "phases": "phase",
    "protocols": "protocol",
    "random seed": "seed",
    "random seeds": "seed",
    "recipes": "recipe",
    "rulers": "ruler",
    "seeds": "seed",
    "spikes": "spike",
    "tiers": "tier",
    "tokens": "token",
    "validation stories": "validation",
}
"""How else a word stands on a page -> the word."""

NOT_IN_PROSE = ("baseline", "p", "step", "story", "stream")
"""Explained only where they stand as a name: in prose they are everyday words, or everywhere."""
