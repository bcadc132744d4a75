"""The recipe: all that determines a run but its seed and its data.

Every section is frozen and strict: an unknown key, a wrong type or a contradiction is an InputError that names
the nearest known key or the remedy. What is merely unwise (a floor above the peak, a warmup that never ends)
is valid here and is found by the recipe lint, since the original experiments themselves contain it.
"""

from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self, TypeGuard, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError, model_validator

from fabula.errors import InputError, nearest
from fabula.recipe.own import Own
from fabula.recipe.section import Count, CountOrNone, NonNegative, Positive, Section, Share

GPT2_VOCABULARY = 50_257
ORIGINAL_PROMPTS = (
    "A boy told his sister a bedtime story about a flying cat",
    "The kingdom was at war, and a brave knight",
    "A pirate ship sailed",
)


class Model(Section):
    """The shape of a decoder-only transformer. The defaults are the original GPT."""

    layers: Annotated[int, Field(ge=1, le=10_000)]
    width: Count
    heads: Count
    kv_heads: CountOrNone = 0
    """Key/value heads shared by groups of query heads; 0: as many as `heads`."""
    head_width: CountOrNone = 0
    """Width of one head; 0: width / heads."""
    context: Count
    vocabulary: CountOrNone = 0
    """Rows of the embedding; 0: as many as the tokenizer has."""
    tied: bool = True
    """The output head shares the embedding's weight."""
    head_bias: bool = True
    """The output head has a bias of its own."""
    embedding_scale: Literal["sqrt_width", "one"] = "sqrt_width"
    """What token embeddings are multiplied by (Vaswani et al. 2017, section 3.4)."""
    previous_token: bool = False
    """Add the embedding of the token before, each dimension times a learned weight that starts at zero."""
    embedding_norm: bool = False
    """Normalise what enters the first layer."""
    value_embeddings: bool = False
    """Each layer adds to its values an embedding of the token, from a table of its own: capacity that costs no
    products (modded-nanogpt, after Zhou et al. 2024)."""
    positions: Literal["learned", "rope"] = "learned"
    rope_base: Positive = 10_000.0
    """RoPE base of global layers."""
    rope_local_base: Positive = 10_000.0
    """RoPE base of sliding-window layers."""
    sliding_window: CountOrNone = 0
    """Tokens a local layer sees, itself included; 0: every layer is global."""
    global_every: Count = 6
    """With a sliding window: each layer whose number (from 1) is a multiple of this one is global."""
    norm: Literal["layernorm", "rmsnorm", "rmsnorm_plus_one", "rmsnorm_bare"] = "layernorm"
    """`plus_one` multiplies by 1 + weight (Gemma); `bare` has no weight."""
    norm_epsilon: Positive = 1e-5
    post_norm: bool = False
    """A second norm after each half of a layer, before the residual addition (Gemma 3)."""
    qk_norm: bool = False
    """Normalise queries and keys, each head by itself, before positions are applied."""
    attention_bias: bool = False
    """Biases on the query, key and value projections."""
    attention_output_bias: bool = True
    query_scale: NonNegative = 0.0
    """Queries are multiplied by this; 0: head_width ** -0.5."""
    feed_forward: Literal["relu", "gelu", "gelu_tanh", "relu_squared", "swiglu", "geglu_tanh"] = "relu"
    feed_forward_width: CountOrNone = 0
    """0: four times the width."""
    feed_forward_bias: bool = True
    logit_cap: NonNegative = 0.0
    """Logits become cap * tanh(logits / cap); 0: no cap."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.head_width and self.width % self.heads:
            raise ValueError(
                f"model.width {self.width} is not a multiple of model.heads {self.heads}; set model.head_width"
            )
        if self.kv_heads and self.heads % self.kv_heads:
            raise ValueError(
                f"model.heads {self.heads} is not a multiple of model.kv_heads {self.kv_heads}; change one"
            )
        if self.positions == "rope" and self.size_of_head % 2:
            raise ValueError(
                f"RoPE needs an even head width, and this one is {self.size_of_head}; set model.head_width"
            )
        return self

    def switched_on(self) -> list[str]:
        """The fields that are not off: not False, 0, or None. What an export does not know must be off, whatever it is
        by default."""
        return [name for name in type(self).model_fields if getattr(self, name)]

    @property
    def size_of_head(self) -> int:
        return self.head_width or self.width // self.heads

    @property
    def num_kv_heads(self) -> int:
        return self.kv_heads or self.heads

    @property
    def size_of_feed_forward(self) -> int:
        return self.feed_forward_width or 4 * self.width

    @property
    def norm_widths(self) -> list[int]:
        """How wide each norm of a layer is, but for those of queries and keys."""
        return [self.width] * (4 if self.post_norm else 2)

    @property
    def gated(self) -> bool:
        return self.feed_forward in ("swiglu", "geglu_tanh")

    def is_local(self, layer: int) -> bool:
        """Whether layer number `layer`, counted from 0, sees only the sliding window."""
        return self.sliding_window > 0 and (layer + 1) % self.global_every != 0


class Initialization(Section):
    scheme: Literal["default", "scaled", "scaled_residual", "normal_embedding", "zero_writers"] = "scaled"
    """`default`: what the framework does (embedding N(0, 1), linear uniform by fan-in); `scaled`: linear and
    embedding N(0, std), biases zero; `scaled_residual`: as scaled, the projections that write into the residual
    stream divided by sqrt(2 layers) (GPT-2); `normal_embedding`: as scaled, but the embedding N(0, 1);
    `zero_writers`: embedding N(0, 1), linear uniform by fan-in, and zero what writes into the residual stream or is an
    untied head, so that the model begins as its embedding and with a loss of ln V."""
    std: Positive = 0.02


class Schedule(Section):
    """Learning rate as a function of the step; see fabula.recipe.schedule."""

    kind: Literal["constant", "cosine", "warmdown"] = "cosine"
    """`constant`: the peak from the first step on, without warmup; `cosine`: warmup, then a cosine to the floor;
    `warmdown`: warmup, the peak, then a line to the floor."""
    peak: Positive
    floor: NonNegative = 0.0
    warmup: CountOrNone = 0
    """Steps of linear rise to the peak."""
    warmup_start: Share = 0.0
    """Share of the peak at which the warmup begins."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.6
    """Share of the run, its end, over which a warmdown falls."""
    unit: Literal["step", "micro_step"] = "step"
    """What the schedule counts. `micro_step` reproduces a scheduler that is stepped once a forward-backward:
    its warmup is then given in micro-steps and shrinks with the accumulation."""


class Optimizer(Section):
    kind: Literal["adamw", "muon"] = "adamw"
    """`muon`: matrices inside layers by Muon, everything else by AdamW."""
    momentum: Share = 0.95
    """Of Muon."""
    embedding_rate: Positive = 1.0
    """Learning rate of embeddings, as a multiple of the schedule's. A tied head is an embedding."""
    head_rate: Positive = 1.0
    """Learning rate of an untied head, as a multiple of the schedule's."""
    beta1: Share = 0.9
    beta2: Share = 0.95
    epsilon: Positive = 1e-8
    weight_decay: NonNegative = 0.1
    """Decoupled, on tensors of two or more dimensions; with Muon only on its matrices."""
    clip: NonNegative = 1.0
    """Largest global gradient norm; 0: no clipping."""


class Batches(Section):
    layout: Literal["packed", "padded"] = "packed"
    """`packed`: full windows of a stream of stories; `padded`: one story a row, cut or filled up."""
    rows: Count = 16
    """Rows of one micro-step."""
    accumulation: Count = 1
    """Micro-steps of one step; their losses are averaged over all tokens of the step."""
    end_of_text: bool = True
    """Stories are closed by an end-of-text token. Without it the model never learns where a story ends; the original
    Gemma was trained so. Evaluation keeps the token: the ruler is the same for all."""
    hidden_tokens: Share = 0.0
    """Share of the input tokens whose embeddings are zero while training, drawn afresh each time: what follows has to
    be told from the rest, and stories that come again are never quite the same. For runs of several epochs."""

    @model_validator(mode="after")
    def _rows_need_ends(self) -> Self:
        if self.layout == "padded" and not self.end_of_text:
            raise ValueError(
                "padded rows need the end-of-text token; use batch.layout=packed, or leave batch.end_of_text=true"
            )
        return self


class Compute(Section):
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where the model is trained; `auto`: on a GPU where torch finds one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type of activations and matrix products; `auto`: bfloat16 where the processor multiplies it natively."""
    weights: Literal["float32", "bfloat16"] = "float32"
    """Type in which weights are stored and updated. bfloat16 loses small updates; the original Gemma did so."""
    compile: Literal["auto", "on", "off"] = "auto"


class Evaluation(Section):
    every: Count = 500
    """Steps between evaluations on the fixed subset."""
    split: Literal["validation", "tune"] = "validation"
    """The stories to evaluate on: choices are made on `tune`, results reported on `validation`."""
    prompts: tuple[str, ...] = Field(default=ORIGINAL_PROMPTS, strict=False)
    """A completion of the first is shown at each evaluation; all of them are completed at the end."""
    sample_tokens: CountOrNone = 48
    """Length of the completions while training; 0: none."""


class Checkpoints(Section):
    every: CountOrNone = 1000
    """Steps between checkpoints; 0: only at the end."""
    keep: CountOrNone = 2
    """How many of the latest to keep (the best one is kept too, and what a rollback may need); 0: all."""


class Guarding(Section):
    """What is done when a training goes wrong: a loss or gradient is not finite, the loss rises and stays up."""

    policy: Literal["skip", "stop", "rollback"] = "skip"
    """`skip`: a step that is not finite changes no weight, and after twenty in a row the run has failed; a rise is left
    alone. `stop`: the first step that is not finite, and a rise, end the run as failed. `rollback`: for a rise, or
    three steps in a row that are not finite, the run goes back to its last good checkpoint and on with other batches
    and, for a while, a lower learning rate."""
    spike: Positive = 2.0
    """A rise: the level of the loss stands so many times its scatter above the lowest level so far."""
    rollbacks: Count = 5
    """After so many, trouble ends the run as failed."""
    cut: Annotated[float, Field(gt=0, le=1)] = 0.5
    """What the learning rate is multiplied by after a rollback; after several, once for each that still holds."""
    cut_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """For how long, from the trouble on, as a share of the run; twice as long after each further rollback."""


class Recording(Section):
    internals: CountOrNone = 0
    """Steps between looks inside: gradients, updates, activations and attention, layer by layer; 0: none."""

    def looks_into(self, step: int) -> bool:
        """Whether there is a look inside at update `step`."""
        return self.internals > 0 and step % self.internals == 0


class Recipe(Section):
    name: str = Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")
    tokenizer: str = "gpt2"
    """The tokenization of the data folder that this recipe trains on: gpt2, gpt2-compact, bpe:N (N tokens at most), or
    a hash."""
    steps: Count
    model: Model
    initialization: Initialization = Initialization()
    schedule: Schedule
    optimizer: Optimizer = Optimizer()
    batch: Batches = Batches()
    compute: Compute = Compute()
    evaluation: Evaluation = Evaluation()
    checkpoint: Checkpoints = Checkpoints()
    record: Recording = Recording()
    guard: Guarding = Guarding()
    own: Own = Own()

    @model_validator(mode="after")
    def _names_a_size(self) -> Self:
        size = self.tokenizer[4:]
        if self.tokenizer.startswith("bpe:") and not (size.isdecimal() and len(size) <= 9):
            raise ValueError(f'tokenizer "{self.tokenizer}": write the number of tokens after bpe:, such as bpe:8192')
        return self

    @model_validator(mode="after")
    def _leaves_its_inside_alone(self) -> Self:
        if not self.own.model:
            return self
        for field, value, off in (
            ("batch.hidden_tokens", self.batch.hidden_tokens, 0),
            ("record.internals", self.record.internals, 0),
            ("optimizer.kind", "" if self.own.optimizer or self.optimizer.kind == "adamw" else self.optimizer.kind, ""),
        ):
            if value != off:
                raise ValueError(
                    f"{field}={value} asks for the inside of the model, which is not known of one of your own; "
                    "leave it out"
                )
        return self

    @property
    def positions_per_step(self) -> int:
        return self.batch.rows * self.batch.accumulation * self.model.context

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding. Before the data is known: of a tokenizer `bpe:N` the most that it may have, N; 0 where
        nothing is known."""
        if self.model.vocabulary:
            return self.model.vocabulary
        if self.tokenizer == "gpt2":
            return GPT2_VOCABULARY
        return int(self.tokenizer[4:]) if self.tokenizer.startswith("bpe:") else 0

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Self:
        """Validate nested dictionaries (a parsed TOML file).

        Raises InputError, one line, naming the key and the nearest known one.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise InputError(_one_line(error)) from error

    def as_tree(self) -> dict[str, Any]:
        """Without `own` where nothing is: such a recipe is the one that it was before there were any."""
        return self.model_dump(mode="json", exclude=None if self.own.named() else {"own"})

    def with_values(self, **values: Any) -> "Recipe":
        """A copy with dotted keys replaced: `recipe.with_values(**{"model.width": 64})`."""
        tree = self.as_tree()
        for key, value in values.items():
            set_key(tree, key, value)
        return Recipe.from_tree(tree)


def set_key(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in nested dictionaries. Raises InputError if the key is none of the recipe's."""
    if key not in known_keys():
        raise InputError(f'unknown recipe field "{key}"{_suggestion(key)}')
    *sections, last = key.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise InputError(f'"{section}" is a section of the recipe; write it as a table, [{section}]')
    tree[last] = value


def known_keys(section: type[BaseModel] = Recipe, prefix: str = "") -> dict[str, Any]:
    """Every dotted key of a recipe with its annotation."""
    keys: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        kind = field.annotation
        if _is_section(kind):
            keys.update(known_keys(kind, f"{prefix}{name}."))
        else:
            keys[prefix + name] = kind
    return keys


def _suggestion(key: str) -> str:
    """The nearest known key, or the one whose last part is nearest: `--set rows=8` means batch.rows."""
    known = known_keys()
    sections = [name for name, field in Recipe.model_fields.items() if _is_section(field.annotation)]
    last_parts = {name.rpartition(".")[2]: name for name in known}
    alike = get_close_matches(key.rpartition(".")[2], last_parts, n=1, cutoff=0.75)
    if alike and not get_close_matches(key, [*known, *sections]):
        return nearest(last_parts[alike[0]], list(known))
    return nearest(key, [*known, *(section for section in sections if section != key)])


def first_error(error: ValidationError) -> dict[str, Any]:
    """The error to tell: a misspelt key rather than the key that it leaves missing."""
    return dict(min(error.errors(), key=lambda each: each["type"] != "extra_forbidden"))


def _one_line(error: ValidationError) -> str:
    first = first_error(error)
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f'unknown recipe field "{key}"{_suggestion(key)}'
    if first["type"] == "missing":
        return f'the recipe has no "{key}"; add it, or start from a preset (`fabula recipes`)'
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    if first["type"] == "string_pattern_mismatch" and key.startswith("own."):
        return f"{key}: write it as module:function, such as mine:build; got {short(first['input'])}"
    kind = known_keys().get(key)
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    hint = nearest(str(first["input"]), [str(choice) for choice in choices]) if choices else ""
    return f'recipe field "{key}": {first["msg"].lower()}, got {short(first["input"])}{hint}'


def short(value: Any) -> str:
    """A value as it is written, as far as a line has room for it."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        return "a very long number"
    return text if len(text) <= 100 else f"{text[:100]}..."


def _is_section(kind: Any) -> TypeGuard[type[Section]]:
    return isinstance(kind, type) and issubclass(kind, Section)
