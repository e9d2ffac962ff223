"""Gathers the short English texts that the embedder is fitted on: dictionary glosses, descriptions of web service calls, docstrings.

    python -m training.embedder.texts --wordnet FOLDER --out texts.txt

``FOLDER`` holds WordNet's ``data.noun``, ``data.verb``, ``data.adj`` and ``data.adv`` (Debian package ``wordnet-base``). The rest comes from
this Python and from packages that rookery is installed with (botocore, kubernetes). No benchmark's data is read.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import json
import random
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

WORDNET = ("noun", "verb", "adj", "adv")
MIN_WORDS, MAX_WORDS = 3, 48


def glosses(folder: Path) -> Iterator[str]:
    """``lemma: definition`` and each example sentence of every synset."""
    for part in WORDNET:
        for line in (folder / f"data.{part}").read_text("utf-8", errors="replace").splitlines():
            if line.startswith("  "):
                continue  # the licence
            facts, _, gloss = line.partition(" | ")
            fields = facts.split()
            lemmas = [fields[4 + 2 * at].replace("_", " ").split("(")[0] for at in range(int(fields[3], 16))]
            definition, *examples = [piece.strip().strip('"').strip() for piece in gloss.split("; \"")]
            yield f"{', '.join(lemmas[:3])}: {definition}"
            yield definition
            yield from examples


def services(folder: Path) -> Iterator[str]:
    """Name and description of each operation and parameter in botocore's service descriptions."""
    for path in sorted(folder.glob("*/*/service-2.json*")):
        raw = path.read_bytes()
        service = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
        for name, operation in service.get("operations", {}).items():
            text = first_sentences(re.sub(r"<[^>]+>", " ", operation.get("documentation", "")))
            yield f"{spaced(name)}: {text}"
            yield text


def docstrings(folder: Path) -> Iterator[str]:
    """The first sentences of every function's and class's docstring in a folder of Python."""
    for path in sorted(folder.rglob("*.py")):
        try:
            tree = ast.parse(path.read_text("utf-8"))
        except (SyntaxError, UnicodeDecodeError, ValueError):
            continue  # a file for another Python, or one that tests broken encodings
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                text = first_sentences(ast.get_docstring(node) or "")
                if text:
                    yield f"{spaced(node.name)}: {text}"


def spaced(name: str) -> str:
    """``DescribeTable`` and ``describe_table`` as words."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_+", " ", name).strip().lower()


def first_sentences(text: str) -> str:
    """The first paragraph, cut after so many words."""
    paragraph = re.split(r"\n\s*\n|:param|Args:|Parameters\n", text.strip())[0]
    return " ".join(paragraph.split()[:MAX_WORDS])


def gather(wordnet: Path, *, seed: int) -> list[str]:
    """All different texts of a sensible length, shuffled."""
    packages = Path(sysconfig.get_paths()["purelib"])
    found: dict[str, None] = {}
    for source in (glosses(wordnet), services(packages / "botocore" / "data"), docstrings(Path(sysconfig.get_paths()["stdlib"])),
                   docstrings(packages / "kubernetes")):
        for text in source:
            words = text.split()
            if len(words) >= MIN_WORDS:
                found.setdefault(" ".join(words[:MAX_WORDS]))
    texts = list(found)
    random.Random(seed).shuffle(texts)
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordnet", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    texts = gather(chosen.wordnet, seed=chosen.seed)
    chosen.out.write_text("\n".join(texts) + "\n", "utf-8")
    print(f"{len(texts)} texts")


if __name__ == "__main__":
    main()
