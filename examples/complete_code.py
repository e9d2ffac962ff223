"""Goes on with Python code after a dot: the embedded model writes, and a monitor lets it use only names that exist in the project.

python examples/complete_code.py                              (a demo: what may follow `cart.`?)
python examples/complete_code.py FILE:LINE --project FOLDER   (after the last dot of that line)
python examples/complete_code.py --model openai:gpt-5-mini    (any model)

No key, no network, no server. The model is small and knows only what Python looks like; what exists is known to the analyser (jedi).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rookery import RookeryError, prompt, run
from rookery.decoding import members

MODEL = "embedded:python"
LINES = 20
"""So many lines before the dot are shown to the model; the analyser sees the whole file."""
SHOP = '''class Cart:
    def __init__(self):
        self.articles = []

    def put(self, name, price):
        self.articles.append((name, price))

    def sum_of_prices(self):
        return sum(price for _, price in self.articles)
'''
DEMO = '''from shop import Cart


def buy(names):
    cart = Cart()
    for name in names:
        cart.'''


@dataclass(frozen=True, slots=True)
class Place:
    """A dot in a file, and what stands before and after it."""

    project: str
    file: str
    before: str
    after: str


def plain(text: str) -> str:
    """A text whose braces are no holes."""
    return text.replace("{", "{{").replace("}", "}}")


def completed(place: Place, *, model: str, is_monitored: bool) -> str:
    """What the model writes after the dot, up to the end of the line."""
    rule = members(place.project, file=place.file, before=plain(place.before), after=plain(place.after), private="own", dunder="none")

    @prompt(decode=rule.within(5.0) if is_monitored else None, max_tokens=16, stop=("\n",))
    def go_on(code: str) -> str:
        """{code}"""

    return str(run(go_on, code="".join(place.before.splitlines(keepends=True)[-LINES:]), model=model))


def place_of(text: str, project: str) -> Place:
    """The last dot of a line, from ``FILE:LINE``.

    :raises ValueError: there is no such file, line or dot.
    """
    name, _, number = text.rpartition(":")
    path = Path(name).resolve()
    if not number.isdigit() or not path.is_file():
        raise ValueError(f"{text!r} is no place: give FILE:LINE, as in shop/cart.py:12")
    lines = path.read_text("utf-8").splitlines(keepends=True)
    head, dot, rest = "".join(lines[: int(number)]).rpartition(".")
    if int(number) > len(lines) or "\n" in rest.rstrip("\n"):
        raise ValueError(f"line {number} of {path.name} has no dot")
    root = Path(project).resolve() if project else path.parent
    if not path.is_relative_to(root):
        raise ValueError(f"{path.name} is not in {root}: name the folder that its imports start from with --project")
    return Place(str(root), path.relative_to(root).as_posix(), head + dot, "\n" + "".join(lines[int(number) :]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", nargs="?", default="", metavar="FILE:LINE")
    parser.add_argument("--project", default="", help="the folder that imports start from (default: the file's)")
    parser.add_argument("--model", default=MODEL)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "shop.py").write_text(SHOP)
        try:
            place = place_of(args.place, args.project) if args.place else Place(folder, "main.py", DEMO, "\n")
            for is_monitored in (False, True):
                line = completed(place, model=args.model, is_monitored=is_monitored)
                print(f"{'with' if is_monitored else 'without'} the monitor: {place.before.splitlines()[-1].lstrip()}{line}")
        except (RookeryError, ValueError) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
