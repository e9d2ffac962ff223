"""60 broken workflow files, each with the line and the column where the fault is, for ``benchmarks.workflows`` and the tests.

In a case ``«`` stands before the first sign that is at fault: it is taken out, and where it stood is what must be said.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MARK = "«"


@dataclass(frozen=True)
class Case:
    """One broken file."""

    name: str
    kind: str
    """What is wrong, in the words of the issue: type clash, unknown key, bad reference, …"""
    marked: str | bytes
    files: dict[str, str] = field(default_factory=dict)
    """Files beside it."""

    @property
    def data(self) -> bytes:
        """The file's bytes."""
        raw = self.marked if isinstance(self.marked, bytes) else self.marked.encode()
        return raw.replace(MARK.encode(), b"", 1)

    @property
    def place(self) -> tuple[int, int]:
        """Line and column of the fault, from 1 up."""
        raw = self.marked if isinstance(self.marked, bytes) else self.marked.encode()
        before = raw.partition(MARK.encode())[0].decode("utf-8", "replace")
        return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


HEAD = "version: 1\ninputs: {topic: str, n: {type: int, default: 5}}\n"
TOOL = "def count(items: list[str]) -> int:\n    return len(items)\n\n\ndef is_long(text: str) -> bool:\n    return len(text) > 10\n"
TOOLS = {"tools/words.py": TOOL}


def _calls(*lines: str, output: str = "$a", head: str = HEAD) -> str:
    return head + "calls:\n" + "".join(f"  {line}\n" for line in lines) + f"output: {output}\n"


def _deep(depth: int) -> str:
    """Lists in lists, the mark where it is too deep."""
    return HEAD + "calls:\n  a: {prompt: hello}\noutput: " + "[" * 63 + MARK + "[" * (depth - 63) + "1" + "]" * depth + "\n"


def _bomb(levels: int = 9) -> str:
    """Anchors ten of which make the next; in the sixth there are more values than a workflow has."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, levels)]
    return "version: 1\n" + "\n".join(lines) + "\n"


def cases() -> list[Case]:
    """All of them."""
    found = [*_types(), *_keys(), *_references(), *_shapes(), *_expressions(), *_texts(), *_injections()]
    assert len({case.name for case in found}) == len(found)
    return found


def _types() -> list[Case]:
    tools = HEAD + "tools: [./tools]\n"
    return [
        Case("text to a tool that takes a list", "type clash",
             _calls("a: {prompt: 'On {topic}.'}", "b: {tool: count, with: {items: «$a}}", output="$b", head=tools), TOOLS),
        Case("a list to a tool that takes text", "type clash",
             _calls("a: {prompt: 'List {topic}.', returns: 'list[str]'}", "b: {tool: is_long, with: {text: «$a}}", output="$b", head=tools), TOOLS),
        Case("a constant of another type", "type clash", _calls("a: {tool: is_long, with: {text: «[1, 2]}}", head=tools), TOOLS),
        Case("a default of another type", "type clash",
             "version: 1\ninputs: {n: {type: int, default: «many}}\ncalls:\n  a: {prompt: 'Say {n}.'}\noutput: $a\n"),
        Case("a type that is not there", "type clash", _calls("a: {prompt: 'On {topic}.', returns: «Section}")),
        Case("a type inside of a type that is not there", "type clash", _calls("a: {prompt: 'On {topic}.', returns: 'list[«Strng]'}")),
        Case("a type that is none", "type clash", _calls("a: {prompt: 'On {topic}.', returns: 'list«[str'}")),
        Case("a map over what is no list", "type clash", _calls("a: {each: {topic: «$n}, prompt: 'On {topic}.'}")),
        Case("a field that is not there", "type clash",
             _calls("a: {prompt: 'On {topic}.', returns: Part}", "b: {prompt: 'More on «{a.titel}.'}", output="$b",
                    head=HEAD + "types: {Part: {title: str, text: str}}\n")),
        Case("a field of text", "type clash", _calls("a: {prompt: 'On {topic}.'}", output="«$a.title")),
        Case("an output of another type", "type clash", _calls("a: {prompt: 'On {topic}.'}", output="«$a\nreturns: int")),
    ]  # fmt: skip


def _keys() -> list[Case]:
    return [
        Case("a key of the file", "unknown key", HEAD + "«cals:\n  a: {prompt: hello}\noutput: $a\n"),
        Case("a key of a call", "unknown key", _calls("a: {prompt: hello, «timout_s: 3}")),
        Case("what a call is", "unknown key", _calls("a: {«promt: hello}")),
        Case("a key of another kind of call", "unknown key", _calls("a: {ask: 'Go on?', «temperature: 1}")),
        Case("a key of an input", "unknown key",
             "version: 1\ninputs:\n  topic:\n    type: str\n    «defualt: rooks\ncalls:\n  a: {prompt: '{topic}'}\noutput: $a\n"),
        Case("an option of a planner", "unknown key",
             HEAD + "prompts:\n  next: {prompt: 'After {state}.', returns: 'list[str]'}\n  judge: {prompt: 'Rate {state}.', returns: float}\n"
             "calls:\n  a: {plan: {planner: beam, «widht: 5, propose: next, evaluate: judge}, state: $topic}\noutput: $a\n"),
        Case("a cap of a limit", "unknown key", _calls("a: {prompt: hello}", output="$a\nlimit: {«dollars: 3}")),
        Case("a call that is two things", "unknown key", _calls("a: {prompt: hello, «tool: count}")),
        Case("no version", "missing key", "«inputs: {topic: str}\ncalls:\n  a: {prompt: '{topic}'}\noutput: $a\n"),
        Case("no output", "missing key", "«version: 1\ncalls:\n  a: {prompt: hello}\n"),
        Case("a call that does nothing", "missing key", _calls("«a: {returns: str}")),
        Case("a loop without a bound", "unbounded loop", _calls("«a: {loop: better, with: {text: $topic}}",
                                                                 head=HEAD + "prompts: {better: {prompt: 'Better: {text}'}}\n")),
        Case("a loop with a bound of nothing", "unbounded loop", _calls("a: {loop: better, with: {text: $topic}, times: «0}",
                                                                         head=HEAD + "prompts: {better: {prompt: 'Better: {text}'}}\n")),
    ]  # fmt: skip


def _references() -> list[Case]:
    tools = HEAD + "tools: [./tools]\n"
    return [
        Case("a hole that nothing fills", "bad reference", _calls("a: {prompt: 'On «{topci}.'}")),
        Case("a hole below a text of several lines", "bad reference", _calls("a:", "  prompt: |", "    On the topic", "    write of «{topc}.")),
        Case("a variable that is not there", "bad reference", _calls("a: {prompt: '{topic}'}", output="$«b")),
        Case("an argument that is not there", "bad reference", _calls("a: {tool: count, with: {items: $«lines}}", head=tools), TOOLS),
        Case("a tool that is not there", "bad reference", _calls("a: {tool: «cuont, with: {items: [x]}}", head=tools), TOOLS),
        Case("a parameter that is not there", "bad reference", _calls("a: {tool: count, with: {items: [x], «most: 3}}", head=tools), TOOLS),
        Case("a parameter that is not set", "bad reference", _calls("«a: {tool: count}", head=tools), TOOLS),
        Case("a workflow that is not there", "bad reference", _calls("a: {workflow: «artcle, with: {topic: $topic}}")),
        Case("an effect that is not there", "bad reference", _calls("a: {prompt: '{topic}'}", output="$a\neffects: [«publish]")),
        Case("a model that is not there", "bad reference", _calls("a: {prompt: '{topic}', model: «writer}")),
        Case("a provider that is not there", "bad reference",
             HEAD + "models: {default: «opnai:gpt-5-mini}\ncalls:\n  a: {prompt: '{topic}'}\noutput: $a\n"),
        Case("a reference in a text", "bad reference", _calls("a: {ask: 'Go on?', show: 'It is on «$topic now'}")),
        Case("two calls that wait for one another", "cycle", _calls("«a: {prompt: 'After {b}.'}", "b: {prompt: 'After {a}.'}")),
        Case("a call that waits for itself", "cycle", _calls("«a: {prompt: 'After {a}.'}")),
        Case("a call that nobody reads", "unreachable", _calls("a: {prompt: '{topic}'}", "«b: {prompt: 'Also {topic}'}")),
        Case("a call with an input's name", "two producers", _calls("«topic: {prompt: hello}", output="$topic")),
    ]  # fmt: skip


def _shapes() -> list[Case]:
    return [
        Case("a list where a mapping is", "shape", "version: 1\ncalls: «[a, b]\noutput: $a\n"),
        Case("a text where a list is", "shape", _calls("a: {prompt: '{topic}', stop: «end}")),
        Case("a number where a text is", "shape", _calls("a: {prompt: «12}")),
        Case("a temperature below nothing", "shape", _calls("a: {prompt: '{topic}', temperature: «-1}")),
    ]


def _expressions() -> list[Case]:
    return [
        Case("a condition that compares text and number", "expression type", _calls("a: {when: 'topic «> 2', prompt: '{topic}'}")),
        Case("a condition that is a number", "expression type", _calls("a: {when: '«n + 1', prompt: '{topic}'}")),
        Case("a name that is not there", "expression type", _calls("a: {when: 'size(«topc) > 2', prompt: '{topic}'}")),
        Case("a condition that is none", "expression type", _calls("a: {when: 'n >«', prompt: '{topic}'}")),
        Case("a dollar sign in a condition", "expression type", _calls("a: {when: '«$n > 2', prompt: '{topic}'}")),
    ]


def _texts() -> list[Case]:
    big = (HEAD + "calls:\n  a: {prompt: hello}\noutput: $a\n").encode() + b"# " + b"x" * 10_000_000 + b"\n"
    return [
        Case("a file that is not there", "missing file", _calls("a: {prompt: «file:section.md}")),
        Case("a folder of tools that is not there", "missing file", HEAD + "tools: [«./tolls]\ncalls:\n  a: {prompt: hello}\noutput: $a\n"),
        Case("a tab", "tabs", HEAD + "calls:\n«\ta: {prompt: hello}\noutput: $a\n"),
        Case("a key twice", "duplicate keys", _calls("a: {prompt: hello}", "«a: {prompt: goodbye}")),
        Case("a bomb of anchors", "anchors bomb", _bomb().replace("a5: &a5 [*a4, *a4, ", "a5: &a5 [*a4, *a4, «")),
        Case("10 MB", "10 MB file", MARK.encode() + big),
        Case("lists in lists in lists", "deep nesting", _deep(5_000)),
        Case("Latin-1", "non-UTF-8", (HEAD + "calls:\n  a: {prompt: 'Caf").encode() + MARK.encode() + b"\xe9 {topic}'}\noutput: $a\n"),
        Case("a quote that is not closed", "syntax", _calls("a: {prompt: «'On {topic}.}")),
    ]


def _injections() -> list[Case]:
    return [
        Case("a shell in an input's name", "injection", "version: 1\ninputs: {«'topic; rm -rf ~': str}\ncalls:\n  a: {prompt: hello}\noutput: $a\n"),
        Case("a shell in a default", "injection",
             "version: 1\ninputs: {topic: {type: str, default: '«$(rm -rf ~)'}}\ncalls:\n  a: {prompt: '{topic}'}\noutput: $a\n"),
        Case("another language's template in a default", "injection",
             "version: 1\ninputs: {topic: {type: str, default: 'on «{{ config.key }}'}}\ncalls:\n  a: {prompt: '{topic}'}\noutput: $a\n"),
        Case("code in a type", "injection",
             "version: 1\ninputs: {topic: \"«__import__('os').system('id')\"}\ncalls:\n  a: {prompt: '{topic}'}\noutput: $a\n"),
        Case("an object's insides in a template", "injection", _calls("a: {prompt: 'On «{topic.__class__.__mro__}.'}")),
        Case("a tag that makes an object", "injection", _calls("a: {prompt: «!!python/object/apply:os.system ['id']}")),
        Case("a file outside of the folder", "injection", _calls("a: {prompt: «file:../../etc/passwd}")),
        Case("a tool by its module", "injection", _calls("a: {tool: «os.system, with: {command: id}}")),
    ]  # fmt: skip
