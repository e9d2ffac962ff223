"""What is said to the prompt of repair.yaml, where no model is asked; each time with a change that makes it worse."""

import json

WORSE = {"old": "default=0", "new": "default=1", "why": "another default"}
ANSWERS = {
    "test_total:": json.dumps([WORSE, {"old": "sum(prices) * rate", "new": "sum(prices) * (1 + rate)", "why": "the price itself is paid too"}]),
    "test_dearest:": json.dumps([WORSE, {"old": "min(prices", "new": "max(prices", "why": "the highest, not the lowest"}]),
}
