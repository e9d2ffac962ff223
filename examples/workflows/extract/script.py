"""What is said to the prompts of extract.yaml, where no model is asked: the second letter is read wrongly once, and goes back."""

import json

ANSWERS = {
    "Ms Moss": json.dumps({"number": "AB-1042", "customer": "Ms Moss", "total_eur": 1250.0, "due": "2026-03-15"}),
    "Nest Ltd": [
        json.dumps({"number": "1043", "customer": "Nest Ltd.", "total_eur": 80.5, "due": "2026-02-01"}),
        json.dumps({"number": "AB-1043", "customer": "Nest Ltd.", "total_eur": 80.5, "due": "2026-02-01"}),
    ],
}
