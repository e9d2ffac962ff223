"""What is said to the prompts of summarise.yaml, where no model is asked."""

import json

ANSWERS = {
    "Write one text": "Rooks, jackdaws and ravens are crows. Rooks nest in colonies, one of which had 1,085 nests in 1946; jackdaws, the smallest "
                      "at about 34 cm, prefer chimneys; ravens, about 63 cm long, live up to 23 years.",
    "The rook is": json.dumps({"subject": "Rooks", "gist": "Rooks are crows that nest in large colonies.", "figures": ["1,085 nests in 1946"]}),
    "Jackdaws are": json.dumps({"subject": "Jackdaws", "gist": "Jackdaws are the smallest crows and nest in chimneys.", "figures": ["about 34 cm"]}),
    "Ravens live": json.dumps({"subject": "Ravens", "gist": "Ravens are large and grow old.", "figures": ["up to 23 years", "about 63 cm"]}),
}  # fmt: skip
