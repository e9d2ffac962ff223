"""What is said to the prompts of folder_qa.yaml, where no model is asked: the agent searches, reads, and answers."""

import json

ANSWERS = {
    "are looked after by Ada Moss. They": json.dumps({"answer": "Ada Moss looks after the nest boxes (boxes.md)."}),
    "Nest boxes are looked after": json.dumps({"calls": [{"tool": "read_file", "arguments": {"path": "boxes.md"}}]}),
    "Who looks after": json.dumps({"calls": [{"tool": "search_files", "arguments": {"text": "looked after"}}]}),
}
