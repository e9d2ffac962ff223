"""How things are written on the screens: marks and words of each status, colours of both themes, and other people's text made harmless."""

from __future__ import annotations

import json
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.theme import Theme

from rookery.core.argument import UNKNOWN
from rookery.core.spend import Spend
from rookery.tui.progress import money
from rookery.tui.safe import safe

MARKS = {"": "○", "running": "●", "waiting": "?", "again": "↻", "done": "✓", "failed": "✗", "stopped": "■", "finished": "✓", "paused": "‖"}
WORDS = {
    "": "not begun", "running": "running", "waiting": "waits for you", "again": "tries again", "done": "done", "failed": "failed",
    "stopped": "stopped", "finished": "finished", "paused": "paused", "new": "begins",
}
STYLES = {
    "": "dim", "new": "dim", "running": "bold cyan", "waiting": "bold yellow", "again": "yellow", "done": "green", "finished": "green",
    "failed": "bold red", "stopped": "dim", "paused": "yellow",
}
HOLE = "bold magenta"
DIM = "dim"
NAME = "bold"
MAX_CHARS = 20_000
"""Of a value or a text so many characters are shown; all of it can be saved to a file."""

DARK = Theme(
    "rookery-dark", primary="#7aa2c9", secondary="#5f7f9f", accent="#e0b15a", warning="#e0b15a", error="#e06c75", success="#8fbf7f",
    foreground="#d5dbe3", background="#11151b", surface="#161b22", panel="#1f2630", dark=True,
    variables={"border": "#33404f", "border-blurred": "#26303b", "block-cursor-background": "#2f4256", "block-cursor-foreground": "#ffffff",
               "footer-key-foreground": "#e0b15a", "input-selection-background": "#7aa2c9 35%"},
)
LIGHT = Theme(
    "rookery-light", primary="#2f5d8a", secondary="#53718e", accent="#96650c", warning="#96650c", error="#b3282d", success="#37712f",
    foreground="#1e252d", background="#f7f6f2", surface="#ffffff", panel="#e9e7e0", dark=False,
    variables={"border": "#b9c2cc", "border-blurred": "#d5dae0", "block-cursor-background": "#cfdcea", "block-cursor-foreground": "#10161d",
               "footer-key-foreground": "#96650c", "input-selection-background": "#2f5d8a 30%"},
)
_BIDI = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C])
"""Characters that change the direction of what follows them: they could make a line read as another one."""


def clean(text: str) -> str:
    """Text of a model, a tool or a file without what a terminal would obey or a reader be misled by; tabs as spaces."""
    return safe(text).translate(_BIDI).replace("\t", "    ")


def line(text: str, width: int) -> str:
    """The beginning of a text on one line of at most ``width`` columns."""
    text = " ".join(clean(text[: 4 * width + 80]).split())
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)).rstrip() + "…"


def tail(text: str, width: int) -> str:
    """The end of a text on one line of at most ``width`` columns."""
    text = " ".join(clean(text[-4 * width :]).split())
    if cell_len(text) <= width:
        return text
    while text and cell_len(text) > width - 1:
        text = text[1:] if cell_len(text) - width < 8 else text[(cell_len(text) - width) // 2 :]
    return "…" + text


def body(text: str, *, most: int = MAX_CHARS) -> str:
    """A text of several lines, cut where it is very long; says so then."""
    if len(text) <= most:
        return clean(text)
    return f"{clean(text[:most])}\n… {len(text) - most:,} more characters; s saves all of it"


def shown(value: Any, *, most: int = MAX_CHARS) -> str:
    """A plain value for people: text as it is, other data as indented JSON."""
    if value is UNKNOWN:
        return "(not known)"
    if isinstance(value, str):
        return body(value, most=most)
    return body(json.dumps(value, ensure_ascii=False, indent=2), most=most)


def brief(value: Any, width: int) -> str:
    """A plain value on one line."""
    if value is UNKNOWN:
        return ""
    if isinstance(value, str):
        return line(value, width)
    if isinstance(value, list | dict) and len(value) > 50:
        return line(f"{len(value):,} items: {json.dumps(value[:20] if isinstance(value, list) else list(value)[:20], ensure_ascii=False)}", width)
    return line(json.dumps(value, ensure_ascii=False), width)


def status(word: str) -> Text:
    """A status as its mark and its word."""
    return styled(f"{MARKS.get(word, ' ')} {WORDS.get(word, word)}", STYLES.get(word, ""))


def duration(seconds: float) -> str:
    """``0.42 s``, ``12 s``, ``3:05``, ``2:10:00``."""
    if seconds < 9.95:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def count(number: int) -> str:
    """``812``, ``3.4k``, ``1.2M``."""
    if number < 1_000:
        return str(number)
    return f"{number / 1_000:.1f}k" if number < 999_950 else f"{number / 1_000_000:.1f}M"


def spent(spend: Spend) -> str:
    """``3.4k tokens $0.0012``, as far as there is any."""
    return " ".join(word for word in (f"{count(spend.tokens)} tok" if spend.tokens else "", money(spend.cost_usd)) if word)


def bar(done: float, most: float, width: int) -> str:
    """``▮▮▮▯▯``."""
    filled = 0 if most <= 0 else max(0, min(width, int(done * width / most)))
    return "▮" * filled + "▯" * (width - filled)


def styled(words: str, style: str = "") -> Text:
    """The beginning of a text that goes on in other styles: only these words have this one."""
    return Text().append(words, style=style)
