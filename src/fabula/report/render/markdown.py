"""The page's twin in Markdown: the same tables and sentences, for a code-hosting site or a terminal."""

from collections.abc import Sequence
from dataclasses import replace

from fabula.record.text.markup import as_html, markdown_code
from fabula.record.text.markup import markdown as escape
from fabula.record.wording import kind_title
from fabula.report.render.blocks import (
    Block,
    Bullets,
    Completions,
    Details,
    Document,
    Figure,
    FigureGrid,
    FindingCard,
    FindingCards,
    Heading,
    MarkedStories,
    Observed,
    Opening,
    Paragraph,
    Rich,
    Span,
    Story,
    Table,
    told,
)

MARKS = {"copied": "***", "repeated": "*", "prompt": "**"}
DOTS = {"good": "🟢", "note": "🔵", "warning": "🟡", "failure": "🔴", "unknown": "⚪"}


def render_markdown(document: Document, origin: str = "") -> str:
    """`origin` stands in a comment at the end; what it is, fabula.report.checking.origin says."""
    parts = [f"# {escape(document.title)}", escape(document.subtitle), _block(document.opening)]
    parts.extend(text for block in document.blocks if (text := _block(block)))
    parts += [f"<!-- {origin} -->"] if origin else []
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f'<a id="{block.anchor}"></a>\n\n{"#" * block.level} {inline(block.text)}'
        case Paragraph():
            text = inline(block.text)
            return f"> {text}" if block.kind == "lead" else text
        case Bullets():
            anchors = block.anchors or ("",) * len(block.items)
            return "\n".join(
                f'- <a id="{anchor}"></a>{inline(item)}' if anchor else f"- {inline(item)}"
                for item, anchor in zip(block.items, anchors, strict=True)
            )
        case Table():
            return _table(block)
        case FigureGrid():
            return "\n\n".join(text for figure in block.figures if (text := _figure(figure)))
        case Figure():
            return _figure(block)
        case Observed():
            return "\n\n".join(text for each in (block.figure, *block.said) if (text := _block(each)))
        case Opening():
            answer = [_block(each) for each in block.blocks]
            story = [_story(block.story)] if block.story else []
            return "\n\n".join([*story, *answer] if block.story_first else [*answer, *story])
        case Completions():
            return _completions(block)
        case MarkedStories():
            return "\n\n".join(f"{inline(label)}\n\n{_marked(begun, text)}" for label, begun, text in block.entries)
        case FindingCards():
            return "\n\n".join(_card(card) for card in block.cards)
        case Details():
            inner = "\n\n".join(text for each in block.blocks if (text := _block(each)))
            anchor = f'<a id="{block.anchor}"></a>\n\n' if block.anchor else ""
            return f"{anchor}<details><summary>{_summary(block.summary)}</summary>\n\n{inner}\n\n</details>"


def inline(text: Rich, in_table: bool = False) -> str:
    """Spans as Markdown; a line of its own becomes a break in a table and a space elsewhere."""
    return "".join(_span(span, in_table) for span in _rejoined(text))


def _rejoined(text: Rich) -> Rich:
    """Words that the page explains are cut out of their sentence; here they go back into it."""
    spans: list[Span] = []
    for span in (replace(each, term="") for each in text):
        if spans and replace(spans[-1], text="", tone="", own_line=False) == replace(span, text=""):
            spans[-1] = replace(spans[-1], text=spans[-1].text + span.text)
        else:
            spans.append(span)
    return tuple(spans)


def _span(span: Span, in_table: bool) -> str:
    if span.code:
        text = markdown_code(span.text, in_table=in_table)
    else:
        text = escape(span.text)
        if span.strong:
            text = _around(text, "**")
        if span.mark:
            text = _around(text, MARKS[span.mark])
    if span.tone:
        text = f"{DOTS[span.tone]} {text}"
    if span.link:
        text = f"[{text}](#{span.link})"
    if span.quiet:
        text = f"<sub>{text}</sub>" if in_table else text
    if span.own_line:
        text = f"<br>{text}" if in_table else f" {text}"
    return text


def _around(text: str, mark: str) -> str:
    """Marks must touch the words: spaces at the ends stay outside."""
    inner = text.strip()
    start = text[: len(text) - len(text.lstrip())]
    end = text[len(text.rstrip()) :]
    return f"{start}{mark}{inner}{mark}{end}" if inner else text


def _summary(text: Rich) -> str:
    """A summary line is HTML."""
    return "".join(_tagged(as_html(span.text), span) for span in _rejoined(text))


def _tagged(text: str, span: Span) -> str:
    if span.code:
        return f"<code>{text}</code>"
    return f"<b>{text}</b>" if span.strong else text


def _table(block: Table) -> str:
    names = [escape(column.name) for column in block.columns]
    rules = ["---:" if column.numeric else "---" for column in block.columns]
    lines = [_line(names), _line(rules)]
    lines += [_line([inline(cell, in_table=True) for cell in row.cells]) for row in block.rows]
    notes = [f"<sub>{inline(note)}</sub>" for note in block.notes]
    return "\n\n".join(["\n".join(lines), *notes])


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _figure(figure: Figure) -> str:
    """Curves as lines of block characters; a picture without such lines is told by the tables around it."""
    anchor = f'<a id="{figure.anchor}"></a>\n\n'
    if not figure.sparks:
        return ""
    lines = [f"**{escape(figure.title)}** over the steps{', logarithmic' if figure.log else ''}:", ""]
    lines += ["| | | |", "| --- | --- | --- |"]
    lines += [
        _line([escape(name), f"`{line}`" if line else "", escape(course)]) for name, line, course in figure.sparks
    ]
    return anchor + "\n".join(lines)


def _story(story: Story) -> str:
    between = "" if story.text[:1] in ".,;:!?'\N{RIGHT SINGLE QUOTATION MARK}\n" else " "
    first, *others = f"{between}{story.text.strip(' ')}".splitlines() or [""]
    prompt = _around(_quoted(story.prompt.splitlines())[2:], "*")
    written = "\n".join([f"> {prompt}{escape(first)}", *([_quoted(others)] if others else [])])
    parts = [f"**{escape(story.label)}**", written, inline(story.source)]
    if story.before:
        parts.append(escape(f"Before training it wrote: {story.before} ..."))
    return "\n\n".join(parts)


def _quoted(lines: Sequence[str]) -> str:
    return "\n".join(f"> {escape(line)}" if line.strip() else ">" for line in lines)


def _completions(block: Completions) -> str:
    parts = [f"**{escape(block.prompt)} …**"]
    for label, text in block.entries:
        quoted = _quoted(text.strip().splitlines())
        parts.append(f"{inline(label)}\n\n{quoted or '> (nothing)'}")
    return "\n\n".join(parts)


def _marked(begun: str, text: Rich) -> str:
    return f"> {escape(begun)} … {inline(text).strip()}"


def _card(card: FindingCard) -> str:
    finding = card.finding
    head = (
        f'<a id="{card.anchor}"></a>\n\n{DOTS[finding.severity]} **{kind_title(finding.kind)}**, {inline(card.where)}'
    )
    if len(card.sayings) == 1:
        said = inline(told(finding.sentence))
    else:
        said = "\n".join(
            f"- {escape(label)}: {inline(told(sentence))}" if label else f"- {inline(told(sentence))}"
            for label, sentence in card.sayings
        )
    if card.evidence:
        said += f"\n\nEvidence: {escape(card.evidence)}."
    if card.more:
        said += f"\n\n{escape(card.more)}"
    if card.likewise:
        said += "\n\nLikewise:\n\n" + "\n".join(
            f'- <a id="{each.anchor}"></a>{inline(each.where)}'
            + (f": {inline(told(each.sentence))}" if each.sentence else "")
            for each in card.likewise
        )
    causes = escape("; ".join(finding.alternatives))
    experiment = inline(told(finding.try_))
    return f"{head}\n\n{said}\n\nPossible causes: {causes}. What tells them apart: {experiment}."
