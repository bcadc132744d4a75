"""What damages an input: bytes, lines, numbers, names and the structure of JSON, each drawn from a seeded generator."""

import json
import re
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from harm.logs import record, varint

NUMBERS = (
    "0 -1 1 -0 1e18 1e308 1e400 -1e400 1e-320 nan NaN -nan inf -Infinity null true 3e9 9007199254740993 0x10 1_000 "
    "1,000 1.000,5 2147483648 9223372036854775808 18446744073709551616 -9223372036854775809 1e12 .5 5. "
    "+ - . e 1e 00012 "
    "١٢٣ ２ ² ½ ∞ 50% 3/4 1:2 12K 1e5M"
).split()
LONG_NUMBERS = ("9" * 400, "1" * 5000, "0." + "3" * 2000, "1e" + "9" * 30)
WORDS = (
    "",
    " ",
    "step",
    "loss",
    "epoch",
    "nan",
    "\x00",
    "\x1b[31m",
    "\x1b]0;title\x07",
    "\u202e",
    "\ud83d\ude00",
    "é",
    "\ufeff",
    "<script>alert(1)</script>",
    "[x](javascript:1)",
    "| a | b |",
    "`",
    "```",
    "\\",
    "%s%n",
    "{0}",
    "{{7*7}}",
    "../../etc",
    "a" * 3000,
    "train/loss",
    "=1+1",
    "#",
    "'",
    '"',
    "\r",
    "\u2028",
    "\u0661",
    "__class__",
    "-",
    "--json",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**53 + 1,
    2**63,
    10**18,
    10**400,
    1e308,
    1e18,
    3e9,
    0.5,
    -0.5,
    float("nan"),
    float("inf"),
    -float("inf"),
    "",
    "x",
    "nan",
    "1",
    "1e400",
    "\ud800",
    [],
    [1],
    [None],
    [[[]]],
    {},
    {"a": 1},
    {"": None},
    [[1, 2], [3]],
    ["a", 1, None, {}],
    {"step": {"step": 1}},
    "\x1b[31m",
    "a" * 3000,
)
_NUMBER = re.compile(rb"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")
_WORD = re.compile(rb"[A-Za-z_/]{2,}")


def mutated(content: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """`content` after one to four damages."""
    for _ in range(random.choice([1, 1, 1, 2, 2, 4])):
        change = random.choices(CHANGES, WEIGHTS)[0]
        content = change(content, random)
        if others and random.random() < 0.05:
            content = _spliced(content, random.choice(others), random)
    return content[: 1 << 20]


def _bytes(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice([1, 1, 3, 20])):
        place = random.randrange(len(changed) + 1)
        what = random.randrange(4)
        if what == 0 and place < len(changed):
            changed[place] ^= 1 << random.randrange(8)
        elif what == 1:
            changed[place:place] = random.randbytes(random.choice([1, 2, 8]))
        elif what == 2:
            del changed[place : place + random.choice([1, 2, 30])]
        elif place < len(changed):
            changed[place] = random.choice(b"\x00\xff\n\r\t ,;:{}[]\"'|-.0123456789eE")
    return bytes(changed)


def _cut(content: bytes, random: Random) -> bytes:
    first, last = sorted(random.randrange(len(content) + 1) for _ in range(2))
    before, cut, behind = content[:first], content[first:last], content[last:]
    return random.choice([before + cut, cut + behind, before + behind, before + cut * 2 + behind])


def _lines(content: bytes, random: Random) -> bytes:
    lines = content.split(b"\n")
    place, other = random.randrange(len(lines)), random.randrange(len(lines))
    what = random.randrange(7)
    if what == 0:
        del lines[place]
    elif what == 1:
        lines[place], lines[other] = lines[other], lines[place]
    elif what == 2:
        lines[place:place] = [lines[other]] * random.choice([1, 2, 50])
    elif what == 3:
        random.shuffle(lines)
    elif what == 4:
        lines.reverse()
    elif what == 5:
        lines[place] = lines[place] + lines[other]
    else:
        lines = lines[: random.choice([1, 2, 3])]
    return b"\n".join(lines)


def _numbers(content: bytes, random: Random) -> bytes:
    return _replaced(content, _NUMBER, LONG_NUMBERS if random.random() < 0.05 else NUMBERS, random)


def _words(content: bytes, random: Random) -> bytes:
    return _replaced(content, _WORD, WORDS, random)


def _replaced(content: bytes, pattern: re.Pattern[bytes], by: Sequence[str], random: Random) -> bytes:
    """One place, or every place with one text, or all by one."""
    found = list(pattern.finditer(content))
    if not found:
        return content
    chosen = random.choice(found)
    new = random.choice(by).encode("utf-8", "surrogatepass")
    if random.random() < 0.3:
        return content.replace(chosen[0], new)
    if random.random() < 0.1:
        return pattern.sub(lambda _: random.choice(by).encode("utf-8", "surrogatepass"), content)
    return content[: chosen.start()] + new + content[chosen.end() :]


def _signs(content: bytes, random: Random) -> bytes:
    old = random.choice([b",", b"\n", b" ", b":", b'"', b"{", b"}", b"[", b"]", b"|", b"\t", b";", b".", b"="])
    new = random.choice([b",", b"\n", b" ", b":", b'"', b"", b"\r", b"\r\n", b"\t", b";", b"|", b"\x00", b"  "])
    return content.replace(old, new, random.choice([1, 3, -1]))


def _tree(content: bytes, random: Random) -> bytes:
    """Another value somewhere in a JSON document, or in one of its lines."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    try:
        return _dumped(_changed(json.loads(text), random)).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        pass
    lines = text.split("\n")
    for _ in range(random.choice([1, 1, 5])):
        place = random.randrange(len(lines))
        try:
            lines[place] = _dumped(_changed(json.loads(lines[place]), random))
        except (ValueError, RecursionError):
            continue
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _changed(value: Any, random: Random) -> Any:
    """`value` with one node of it replaced, removed, renamed or put into another."""
    if isinstance(value, (dict, list)) and value and random.random() < 0.85:
        key = random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value))
        what = random.random()
        if what < 0.12:
            del value[key]
        elif what < 0.2 and isinstance(value, dict):
            value[random.choice(WORDS)] = value.pop(key)
        elif what < 0.25 and isinstance(value, dict):
            value[random.choice(WORDS)] = random.choice(VALUES)
        else:
            value[key] = _changed(value[key], random)
        return value
    what = random.random()
    if what < 0.03:
        for _ in range(random.choice([3, 200, 2000])):
            value = [value] if random.random() < 0.5 else {"a": value}
        return value
    if what < 0.08:
        return [value] * 3
    return random.choice(VALUES)


def _records(content: bytes, random: Random) -> bytes:
    """An event file with damaged contents and right checksums."""
    found, place = [], 0
    while place + 12 <= len(content) and len(found) < 5000:
        (length,) = struct.unpack("<Q", content[place : place + 8])
        if length > len(content):
            return content
        found.append(content[place + 12 : place + 12 + length])
        place += length + 16
    if not found:
        return content
    place = random.randrange(len(found))
    changed = _bytes(found[place], random)
    if random.random() < 0.3:  # another step
        changed = b"\x10" + varint(random.choice([2**31, 2**62, 2**63, 2**64 - 1, 2**70])) + changed
    found[place] = changed
    return b"".join(map(record, found))


def _spliced(one: bytes, other: bytes, random: Random) -> bytes:
    return one[: random.randrange(len(one) + 1)] + other[random.randrange(len(other) + 1) :]


CHANGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    _bytes,
    _cut,
    _lines,
    _numbers,
    _words,
    _signs,
    _tree,
    _records,
)
WEIGHTS = (2, 1, 2, 4, 2, 2, 6, 1)
