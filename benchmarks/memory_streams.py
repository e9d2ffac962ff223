"""Generated streams for the memory benchmark, each from a fixed seed: updates and contradictions, facts with two times, near-duplicates, fill."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

NAMES = [
    "Ada",
    "Bela",
    "Cora",
    "Dario",
    "Edda",
    "Fritz",
    "Greta",
    "Hanno",
    "Ilse",
    "Jonas",
    "Karla",
    "Lorenz",
    "Mira",
    "Nuno",
    "Olga",
    "Paolo",
    "Quirin",
    "Rosa",
    "Stefan",
    "Tilda",
    "Ugo",
    "Vera",
    "Wanda",
    "Xaver",
    "Yara",
    "Zeno",
    "Anouk",
    "Bruno",
    "Celine",
    "Dimitri",
    "Esther",
    "Felix",
    "Gloria",
    "Hektor",
    "Ingrid",
    "Jasper",
    "Kirsten",
    "Leander",
    "Marlene",
    "Nadia",
]
FAMILIES = [
    "Abel",
    "Berger",
    "Conti",
    "Dorn",
    "Eberle",
    "Falk",
    "Gruber",
    "Hauser",
    "Imhof",
    "Jansen",
    "Keller",
    "Lang",
    "Maurer",
    "Neumann",
    "Ott",
    "Peters",
    "Quast",
    "Richter",
    "Sommer",
    "Thiel",
    "Ulrich",
    "Vogel",
    "Weber",
    "Zeller",
    "Arnold",
    "Brandt",
    "Cramer",
    "Dietz",
    "Engel",
    "Fuchs",
]
CITIES = [
    "Paris",
    "Berlin",
    "Rome",
    "Oslo",
    "Lisbon",
    "Vienna",
    "Prague",
    "Dublin",
    "Athens",
    "Warsaw",
    "Madrid",
    "Zurich",
    "Geneva",
    "Bern",
    "Basel",
    "Turin",
    "Milan",
    "Naples",
    "Porto",
    "Seville",
]
FIRMS = [
    "Acme",
    "Borealis",
    "Cobalt",
    "Dynamo",
    "Everest",
    "Fulcrum",
    "Gantry",
    "Helix",
    "Indigo",
    "Juniper",
    "Krypton",
    "Lumen",
    "Meridian",
    "Nimbus",
    "Orbit",
]
COLOURS = ["red", "blue", "green", "yellow", "black", "white", "orange", "purple", "brown", "turquoise"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
TOOLS = ["Postgres", "MySQL", "SQLite", "Redis", "Kafka", "RabbitMQ", "Elastic", "Mongo", "Cassandra", "DuckDB"]
SPORTS = ["rowing", "climbing", "chess", "tennis", "judo", "fencing", "sailing", "cycling", "yoga", "running"]
DISHES = ["lasagna", "ramen", "paella", "goulash", "curry", "risotto", "tacos", "pierogi", "moussaka", "fondue"]


@dataclass(frozen=True)
class Family:
    """One attribute: ways to say it (``{who}``, ``{value}``), a question, its values; whether the ways differ in their words."""

    name: str
    says: tuple[str, ...]
    asks: tuple[str, ...]
    values: tuple[str, ...]


NUMBERS = tuple(f"555-{number}" for number in range(1000, 1040))
FAMILIES_OF_FACTS: list[Family] = [
    Family(
        "city",
        ("{who} lives in {value}.", "{who} has moved to {value}.", "{who}'s home is in {value} these days."),
        ("Where does {who} live?", "What is the city of {who}?"),
        tuple(CITIES),
    ),
    Family(
        "employer",
        ("{who} works for {value}.", "{who} started a job at {value}.", "The employer of {who} is {value}."),
        ("Where does {who} work?", "Who employs {who}?"),
        tuple(FIRMS),
    ),
    Family(
        "phone",
        ("{who}'s phone number is {value}.", "You can call {who} on {value}.", "The phone number of {who} is {value}."),
        ("What is {who}'s phone number?",),
        NUMBERS,
    ),
    Family(
        "colour",
        ("{who}'s favourite colour is {value}.", "The favourite color of {who} is {value}.", "{who} likes {value} best of all colours."),
        ("What is {who}'s favourite colour?",),
        tuple(COLOURS),
    ),
    Family(
        "day",
        ("{who}'s team meets on {value}s.", "The weekly meeting of {who}'s team is on {value}.", "{who}'s team now gets together every {value}."),
        ("On which day does {who}'s team meet?",),
        tuple(DAYS),
    ),
    Family(
        "store",
        (
            "{who}'s service keeps its data in {value}.",
            "{who} switched the service over to {value}.",
            "The database behind {who}'s service is {value}.",
        ),
        ("Which database does {who}'s service use?",),
        tuple(TOOLS),
    ),
    Family(
        "sport",
        ("{who} goes {value} every weekend.", "{who}'s weekend sport is {value} now.", "{who} took up {value} for the weekends."),
        ("Which sport does {who} do at weekends?",),
        tuple(SPORTS),
    ),
    Family(
        "dish",
        ("{who} always orders {value} at the canteen.", "At the canteen {who} now takes the {value}.", "{who}'s usual canteen lunch is {value}."),
        ("What does {who} usually eat at the canteen?",),
        tuple(DISHES),
    ),
]


@dataclass(frozen=True)
class Update:
    """Statements about one thing, oldest first; each says something else than the one before."""

    who: str
    family: Family
    statements: tuple[str, ...]
    question: str


def updates(count: int, seed: int = 6) -> list[Update]:
    """Chains of two to four statements, all of another person or attribute."""
    draw = random.Random(seed)
    people = [f"{name} {family}" for family in FAMILIES for name in NAMES]
    draw.shuffle(people)
    found = []
    for number in range(count):
        who, family = people[number // 2 % len(people)], FAMILIES_OF_FACTS[number % len(FAMILIES_OF_FACTS)]
        values = draw.sample(family.values, draw.choice((2, 2, 3, 4)))
        found.append(
            Update(
                who,
                family,
                tuple(draw.choice(family.says).format(who=who, value=value) for value in values),
                draw.choice(family.asks).format(who=who),
            )
        )
    return found


@dataclass(frozen=True)
class Dated:
    """A fact of a stream with two times."""

    who: str
    family: Family
    value: str
    begin: float
    end: float

    @property
    def subject(self) -> str:
        return f"{self.who} / {self.family.name}"


def dated(count: int, seed: int = 7) -> list[Dated]:
    """Facts in the order in which they are recorded: some late, some for a while only; of one subject no two begin at once."""
    draw = random.Random(seed)
    families = FAMILIES_OF_FACTS[:5]
    begins: dict[tuple[str, str], set[float]] = {}
    found = []
    for number in range(count):
        person = draw.randrange(max(20, count // 30))
        who = f"{NAMES[person % len(NAMES)]} {FAMILIES[person // len(NAMES) % len(FAMILIES)]} {person // (len(NAMES) * len(FAMILIES)) + 1}"
        family = draw.choice(families)
        late = draw.random() < 0.15
        while True:
            begin = 86_400.0 * (10_000 + (draw.randrange(0, number * 3 + 1) if late else number * 3 + draw.randrange(40)))
            if begin not in begins.setdefault((who, family.name), set()):
                break
        begins[who, family.name].add(begin)
        end = begin + 86_400.0 * draw.randrange(5, 4_000) if draw.random() < 0.1 else float("inf")
        found.append(Dated(who, family, f"{draw.choice(family.values)}", begin, end))
    return found


def holding(facts: list[Dated], at: float) -> Dated | None:
    """Of the facts of one subject the one that holds at a time: the latest begun that has not ended."""
    valid = [fact for fact in facts if fact.begin <= at < fact.end]
    return max(valid, key=lambda fact: fact.begin, default=None)


# ------------------------------------------------------------------ the same or not

_BASES = [
    "{a} will bring {n} chairs to the garden party on {d}.",
    "The budget of the {f} project is {n} euros.",
    "{a} is allergic to peanuts and penicillin.",
    "{a} did not like the film about {c}.",
    "On {d} {a} meets {b} at the office of {f}.",
    "The train from {c} to {e} leaves at {n} past the hour.",
    "{a} has {n} children and a dog.",
    "The access code of the {f} building is {n}{n}.",
    "{a} prefers tea, but {b} prefers coffee.",
    "{a} was a teacher before joining {f}.",
    "The {f} server needs {n} gigabytes of memory.",
    "{a} can't come to the meeting in {c}.",
    "{a} buys bread every {d} at the corner shop.",
    "It's {n} kilometres from {c} to {e}.",
    "{a} lent {b} a large umbrella.",
]
_WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten", 11: "eleven", 12: "twelve"}


def pairs(count: int, seed: int = 10) -> list[tuple[str, str, bool]]:
    """Two texts, and whether they say the same: in other case, signs, blanks, contractions, fillers, order of phrases, spellings, words for
    numbers; or with another number, name, day, denial, tense, direction, or a word that means the opposite."""
    draw = random.Random(seed)
    found: list[tuple[str, str, bool]] = []
    while len(found) < count:
        n = draw.randrange(2, 13)
        a, b = draw.sample(NAMES, 2)
        c, e = draw.sample(CITIES, 2)
        d, other_day = draw.sample(DAYS, 2)
        f = draw.choice(FIRMS)
        base = draw.choice(_BASES)
        text = base.format(a=a, b=b, c=c, d=d, e=e, f=f, n=n)
        if draw.random() < 0.5:
            other = _alike(draw, text, n)
            if other != text:
                found.append((text, other, True))
        else:
            swaps = [
                base.format(a=a, b=b, c=c, d=d, e=e, f=f, n=n + draw.choice((1, 2, 10))),
                base.format(a=b, b=a, c=c, d=d, e=e, f=f, n=n),
                base.format(a=a, b=b, c=e, d=d, e=c, f=f, n=n),
                base.format(a=a, b=b, c=c, d=other_day, e=e, f=f, n=n),
                _unlike(text),
            ]
            other = draw.choice([swap for swap in swaps if swap != text])
            found.append((text, other, False))
    return found


def _alike(draw: random.Random, text: str, n: int) -> str:
    ways = [
        str.upper,
        str.lower,
        lambda t: t.rstrip(".") + "!",
        lambda t: t.replace(" ", "  "),
        lambda t: f"{t} ",
        lambda t: t.replace(".", ""),
        lambda t: f"Actually, {t}",
        lambda t: f"By the way, {t}",
        lambda t: f"Please note that {t}",
        lambda t: t.replace(f" {n} ", f" {_WORDS[n]} "),
        lambda t: t.replace("can't", "cannot").replace("It's", "It is").replace("did not", "didn't"),
        lambda t: t.replace("large", "big"),
        lambda t: t.replace("film", "movie"),
        lambda t: t.replace("buys", "purchases"),
        lambda t: t.replace("children", "kids"),
        lambda t: _fronted(t),
        lambda t: t.replace(",", ""),
        lambda t: f"“{t}”",
        lambda t: t.replace(" the ", " "),
    ]
    for way in draw.sample(ways, draw.choice((1, 2, 2))):
        text = way(text)
    return text


def _fronted(text: str) -> str:
    body = text.rstrip(".")
    head, mark, tail = body.rpartition(" on ")
    if mark and tail in DAYS:
        return f"On {tail} {head}."
    if body.startswith("On ") and body.split()[1] in DAYS:
        _, day, rest = body.split(" ", 2)
        return f"{rest} on {day}."
    return text


def _unlike(text: str) -> str:
    for old, new in (
        (" did not like ", " liked "),
        (" is allergic ", " is not allergic "),
        (" can't ", " can "),
        (" prefers tea", " hates tea"),
        (" was ", " is "),
        (" before ", " after "),
        (" needs ", " has "),
        (" leaves ", " arrives "),
        (" large ", " small "),
        (" buys ", " sells "),
        (" will ", " won't "),
        (" has ", " had "),
        (" meets ", " avoids "),
        (" budget ", " deficit "),
        ("access code", "old code"),
        ("It's", "It isn't"),
    ):
        if old in text:
            return text.replace(old, new, 1)
    return text + " Not."


# ------------------------------------------------------------------ fill

_SYLLABLES = [
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ha",
    "ki",
    "lo",
    "mu",
    "na",
    "pe",
    "ri",
    "so",
    "tu",
    "va",
    "we",
    "xi",
    "yo",
    "za",
    "bra",
    "cle",
    "dri",
    "flo",
    "gru",
]


def vocabulary(size: int = 30_000, seed: int = 12) -> list[str]:
    """Made-up words, the frequent ones short."""
    draw = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < size:
        found["".join(draw.choice(_SYLLABLES) for _ in range(2 + len(found) * 3 // size + draw.randrange(2)))] = None
    return list(found)


def sentences(count: int, seed: int = 13) -> Iterator[str]:
    """Sentences of 8 to 20 words, the words as frequent as in a language (Zipf), with names, cities and numbers among them."""
    draw = random.Random(seed)
    words = vocabulary()
    weights = [1 / (rank + 3) for rank in range(len(words))]
    pool = draw.choices(words, weights, k=1 << 20)
    for _ in range(count):
        length, at = draw.randrange(8, 21), draw.randrange((1 << 20) - 24)
        who = f"{NAMES[draw.randrange(len(NAMES))]} {FAMILIES[draw.randrange(len(FAMILIES))]}"
        yield f"{who} {' '.join(pool[at : at + length])} {CITIES[draw.randrange(len(CITIES))]} {draw.randrange(10_000)}."
