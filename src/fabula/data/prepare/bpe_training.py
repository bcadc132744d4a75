"""Training a byte-level BPE on the stories to train on."""

import json
from dataclasses import replace

from fabula.data.prepare.journal import appended
from fabula.data.prepare.passes import Passes
from fabula.data.prepare.splits import Plan
from fabula.data.prepare.tasks import HASHES, Sample
from fabula.data.stories.sources import GrammarSource, Source
from fabula.data.tokenizers.bpe import EOT_TEXT, byte_tokens, to_bytes
from fabula.data.tokenizers.tokenizer import ByteLevelTokenizer, tokenizer_size

GRAMMAR_SAMPLE = 10_000  # stories, after which the grammar has no new words
SAMPLE_BYTES = 32_000_000  # more text moves a few of the rarest merges only, and takes memory and time in proportion


def train_tokenizer(name: str, plan: Plan, passes: Passes) -> ByteLevelTokenizer:
    """The tokenizer `bpe:N`, trained on the training stories with the lowest hashes, about SAMPLE_BYTES of them.

    Ids as in GPT-2: the 256 bytes, the merges in order, end-of-text last. The sample and so the tokenizer depend on
    the stories alone. N is the most: a text that holds fewer different tokens has a tokenizer of so many, with the
    same name, for a recipe asks for its tokenizer by this name.
    """
    size = tokenizer_size(name)
    assert size is not None
    part = plan.splits["train"]
    share = min(1.0, SAMPLE_BYTES / max(1, plan.num_train_bytes))
    source = part.source
    if isinstance(source, GrammarSource):  # drawn independently: the first stories are as good as any, and cost less
        share = 1.0
        source = replace(source, stop=min(source.stop, source.start + GRAMMAR_SAMPLE))
    texts = _sample(name, Sample(part.selection, int(share * HASHES)), source, passes)
    if not texts:
        raise plan.nothing_left()
    ranks = train_ranks(texts, size - 1)
    if (held := len(ranks) + 1) < size:
        passes.progress.notice(
            f"These stories hold only {held:,} different tokens, so {name} has {held:,} of them, not {size:,}."
        )
    return ByteLevelTokenizer(name, ranks, eot=len(ranks))


def _sample(name: str, task: Sample, source: Source, passes: Passes) -> list[str]:
    place = passes.journal.at("sample")
    path = passes.work / "sample.jsonl"
    with appended(path, place.state) as (file, state):
        texts = [json.loads(line) for line in file]
        number = place.chunks
        chunks = [] if place.done else passes.over(f"sample for {name}", task, source, place.chunks)
        for number, chunk in enumerate(chunks, start=place.chunks + 1):
            texts += chunk
            if passes.journal.keeps:
                file.writelines(json.dumps(text).encode() + b"\n" for text in chunk)
            passes.journal.note("sample", number, state)
        passes.journal.note("sample", number, state, done=True)
    return texts


def train_ranks(texts: list[str], num_tokens: int) -> dict[bytes, int]:
    """Up to `num_tokens` tokens, the 256 bytes among them, learnt from `texts` by `tokenizers`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers  # only a new vocabulary needs it

    engine = Tokenizer(models.BPE())
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = trainers.BpeTrainer(
        vocab_size=num_tokens,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[],
        # A word longer than this is a wall of symbols; merges over its length would be learnt for nothing.
        max_token_length=64,
    )
    engine.train_from_iterator((text.replace(EOT_TEXT, " ") for text in texts), trainer)
    order = sorted(engine.get_vocab().items(), key=lambda item: item[1])
    learnt = [to_bytes(token) for token, _ in order if len(token) > 1]
    return {token: rank for rank, token in enumerate([*byte_tokens(), *learnt])}
