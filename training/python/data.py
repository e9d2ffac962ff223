"""The training data of the Python model: permissively licensed packages, pinned, split by package, without duplicates.

``python -m training.python.data --folder FOLDER`` downloads the wheels of ``packages.csv`` with pip (about 250 MB), reads them and
the standard library, and writes ``byte_pairs.json``, ``train.bin``, ``dev.bin`` (token ids, uint16) ``files.csv`` and
``trained.npy`` (sketches of what was trained on) into FOLDER.
"""

from __future__ import annotations

import argparse
import ast
import csv
import hashlib
import json
import random
import subprocess
import sys
import sysconfig
import warnings
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rookery.models.byte_pairs import PATTERN, BytePairTokenizer

HERE = Path(__file__).parent
VOCABULARY = 3072
SPLITS = ("test", "dev", "train")
"""In the order in which duplicates are looked for: the first to have a file keeps it."""

MAX_FILE_BYTES, MIN_FILE_BYTES = 200_000, 300
MAX_PACKAGE_BYTES = 2_000_000
"""No package gives more than this to the training, so that none decides what Python looks like."""
SKIPPED_FOLDERS = frozenset({"test", "tests", "testing", "_vendor", "vendor", "_vendored", "vendored", "_distutils", "third_party", "typeshed",
                             "idlelib", "lib2to3", "turtledemo", "site-packages", "ensurepip", "locale", "locales", "externals", "migrations"})
STANDARD_LIBRARY = "standard-library"


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file."""

    package: str
    split: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Package:
    """A row of ``packages.csv``."""

    package: str
    version: str
    split: str
    licence: str


def packages() -> list[Package]:
    """All packages, those held out first."""
    with (HERE / "packages.csv").open(newline="") as file:
        return sorted((Package(**row) for row in csv.DictReader(file)), key=lambda p: (SPLITS.index(p.split), p.package))


def download(folder: Path) -> None:
    """Fetch the wheels that are not there yet; nothing is installed or run."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [f"{p.package}=={p.version}" for p in packages() if not _wheel(folder, p)]
    for at in range(0, len(wanted), 20):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
        subprocess.run([*command, *wanted[at : at + 20]], check=True)


def _wheel(folder: Path, package: Package) -> Path | None:
    name = package.package.replace("-", "_")
    return next((path for path in folder.glob("*.whl") if path.name.lower().replace("-", "_").replace(".", "_").startswith(
        f"{name}_{package.version.replace('.', '_')}_")), None)


def sources(wheels: Path) -> Iterator[Source]:
    """Every usable file of all packages and of the standard library of the Python that runs this."""
    for package in packages():
        wheel = _wheel(wheels, package)
        if wheel is None:
            raise FileNotFoundError(f"no wheel of {package.package} {package.version} in {wheels}")
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(archive.namelist()):
                if (text := _usable(name, archive.read)) is not None:
                    yield Source(package.package, package.split, name, text)
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if (text := _usable(name, lambda name: (root / name).read_bytes())) is not None:
            yield Source(STANDARD_LIBRARY, "train", name, text)


def _usable(name: str, read: object) -> str | None:
    if not name.endswith(".py") or SKIPPED_FOLDERS & set(name.split("/")[:-1]) or name.split("/")[-1].startswith("test_"):
        return None
    raw: bytes = read(name)  # type: ignore[operator]
    if not MIN_FILE_BYTES <= len(raw) <= MAX_FILE_BYTES:
        return None
    try:
        text = raw.decode("utf-8").replace("\r\n", "\n")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (ValueError, SyntaxError):
        return None
    lines = text.split("\n")
    tables = max(map(len, lines)) > 500 or sum(map(len, lines)) / len(lines) > 80
    return None if tables or len(text.encode()) > 1.05 * len(text) else shortened(text, tree)


def shortened(text: str, tree: ast.Module) -> str:
    """The file without the comment at its head (mostly a licence), and of each docstring only the first line: the rest is no Python."""
    lines = text.split("\n")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or ast.get_docstring(node) is None:
            continue
        string = node.body[0].value  # type: ignore[attr-defined]
        first, last = string.lineno - 1, string.end_lineno - 1
        if last > first and string.col_offset == len(lines[first]) - len(lines[first].lstrip()):
            quote = '"""' if '"""' in lines[first] else "'''"
            kept = lines[first] if lines[first].strip().strip("rRuU") != quote else lines[first] + lines[first + 1].strip()
            lines[first] = kept.rstrip("\\").rstrip() + quote + lines[last][string.end_col_offset :]
            lines[first + 1 : last + 1] = [None] * (last - first)  # type: ignore[list-item]
    kept = [line for line in lines if line is not None]
    while kept and (kept[0].startswith("#") or not kept[0].strip()):
        kept.pop(0)
    return "\n".join(line.rstrip() for line in kept).strip() + "\n"


def shingles(text: str) -> set[int]:
    """Hashes of three lines in a row, white space and comments left out: what two copies of a file have in common."""
    lines = [stripped for line in text.split("\n") if (stripped := line.split(" #")[0].strip()) and len(stripped) > 3]
    return {int.from_bytes(hashlib.blake2b("\n".join(lines[i : i + 3]).encode(), digest_size=8).digest(), "little")
            for i in range(max(1, len(lines) - 2))}


def sketch(text: str) -> list[int]:
    """The lower halves of the file's smallest shingles, at most eight: two files share about as much of these as of all (Broder 1997)."""
    return sorted({mark & 0xFFFFFFFF for mark in shingles(text)})[:8]


def without_duplicates(files: Iterator[Source], share: float = 0.3) -> Iterator[Source]:
    """Each file unless an earlier one (or the same) holds ``share`` of its shingles; held-out packages come first, so they keep theirs."""
    owners: dict[int, list[int]] = defaultdict(list)
    for number, file in enumerate(files):
        marks = shingles(file.text)
        common = Counter(owner for mark in marks for owner in owners.get(mark, ()))
        if common and common.most_common(1)[0][1] >= share * len(marks):
            continue
        for mark in marks:
            if len(owners[mark]) < 8:
                owners[mark].append(number)
        yield file


def capped(files: list[Source], seed: int = 0) -> list[Source]:
    """At most ``MAX_PACKAGE_BYTES`` of each package of the training split, files drawn at random; twice as much of the standard library."""
    by_package: dict[str, list[Source]] = defaultdict(list)
    for file in files:
        by_package[file.package].append(file)
    chosen: list[Source] = []
    for package, members in by_package.items():
        random.Random(f"{seed} {package}").shuffle(members)
        left = MAX_PACKAGE_BYTES * (4 if package == STANDARD_LIBRARY else 1)
        for file in members:
            if file.split != "train" or (left := left - len(file.text)) >= 0:
                chosen.append(file)
    random.Random(seed).shuffle(chosen)
    return chosen


def learn_vocabulary(texts: list[str], size: int) -> BytePairTokenizer:
    """Byte-pair merges over pieces of :data:`rookery.models.byte_pairs.PATTERN`; id 0 ends a file."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=["<end>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    data = json.loads(tokenizer.to_str())["model"]
    of_letter = {letter: bytes([value]) for value, letter in _byte_letters().items()}
    tokens = [b""] * len(data["vocab"])
    for text, i in data["vocab"].items():
        tokens[i] = b"" if text == "<end>" else b"".join(of_letter[letter] for letter in text)
    return BytePairTokenizer(tokens, end=0)


def _byte_letters() -> dict[int, str]:
    """The letters that stand for bytes in byte-level BPE files (GPT-2's table)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [value for value in range(256) if value not in plain]
    return {value: chr(value) for value in plain} | {value: chr(256 + i) for i, value in enumerate(others)}


def write(folder: Path, *, seed: int = 0) -> None:
    """From wheels to token files."""
    files = capped(list(without_duplicates(sources(folder / "wheels"))), seed)
    train = [file.text for file in files if file.split == "train"]
    tokenizer = learn_vocabulary(train[::3], VOCABULARY)
    tokenizer.save(folder / "byte_pairs.json")
    for split in SPLITS[1:]:
        ids: list[int] = []
        for file in files:
            if file.split == split:
                ids += [*tokenizer.encode(file.text), 0]
        np.array(ids, np.uint16).tofile(folder / f"{split}.bin")
    sketches = [sketch(text) for text in train]
    np.save(folder / "trained.npy", np.array([marks + [0xFFFFFFFF] * (8 - len(marks)) for marks in sketches], np.uint32))
    counts: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    for file in files:
        counts[file.split, file.package] += 1
        sizes[file.split, file.package] += len(file.text.encode())
    with (folder / "files.csv").open("w", newline="") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(["split", "package", "files", "bytes"])
        rows.writerows((*key, counts[key], sizes[key]) for key in sorted(counts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=HERE.parent / "out" / "python")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    download(args.folder / "wheels")
    write(args.folder, seed=args.seed)


if __name__ == "__main__":
    main()
