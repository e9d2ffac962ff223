"""What is said to the prompts of research.yaml, where no model is asked: one quotation is made up, one citation is wrong at first."""

import json

INPUTS = {"question": "How large can a rookery be?"}
MANY = {"text": "A rookery can have thousands of nests.", "notes": ["n1"]}
ANSWERS = {
    "cite wrongly": json.dumps([MANY, {"text": "Most have fewer than 200.", "notes": ["n2"]}]),
    "from these notes": json.dumps([MANY, {"text": "Most have fewer than 200.", "notes": []}]),
    "Haddo House": json.dumps([
        {"claim": "One had thousands of nests.", "quote": "The colony at Haddo House in Aberdeenshire had 6,697 nests in 1957"},
        {"claim": "Most are small.", "quote": "most rookeries in Britain have fewer than 200 nests"},
        {"claim": "The largest is in Wales.", "quote": "the largest of all is in Wales"},
    ]),
    "worms and grain": "[]",
}  # fmt: skip
