"""The commands, their arguments and their help; what they do lives in the files beside this one, imported when it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rookery.cli import mcp, memory, tools
from rookery.cli.out import CODES, guarded, note, say, say_json
from rookery.errors import InputError

app = typer.Typer(
    name="rookery", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Programs whose steps are filled in by language models: run them, look at them, take them up again.", epilog=CODES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(tools.group, name="tools")
app.add_typer(mcp.group, name="mcp")
app.add_typer(memory.group, name="memory")

ProgramArg = Annotated[
    str, typer.Argument(metavar="PROGRAM", help="FILE.yaml, FILE.py:NAME or MODULE:NAME; only FILE.py when there is one program in it.")
]
ToolsOpt = Annotated[list[str] | None, typer.Option("--tools", metavar="FILE.py", help="Tools that a workflow file may name.")]
RunArg = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, the beginning of it, or `last`.")]
LogOpt = Annotated[Path | None, typer.Option("--log", metavar="PATH", help="The log's file. [default: ROOKERY_LOG, or .rookery/log.db]")]
ModelOpt = Annotated[str | None, typer.Option("--model", "-m", metavar="MODEL", help="provider:NAME[@BASE_URL], or a name from the settings.")]
LimitOpt = Annotated[str, typer.Option("--limit", metavar="CAPS", help="tokens=…,usd=…,calls=…,seconds=…")]
SecretOpt = Annotated[list[str] | None, typer.Option("--secret", metavar="PATH=VALUE", help="A secret again; without =VALUE it is asked for.")]
ClearOpt = Annotated[list[str] | None, typer.Option("--clear", metavar="LABEL=SINK", help="Where labelled values may go: untrusted=send.body")]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
WaitOpt = Annotated[bool, typer.Option("--wait", help="Stay while a person is needed, instead of ending; ask nothing here.")]
QuietOpt = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the value.")]


def _version(value: bool) -> None:
    if value:
        from rookery import __version__

        say(f"rookery {__version__}")
        raise typer.Exit


@app.callback()
def _root(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False) -> None:
    pass


# ------------------------------------------------------------------ carrying out


@app.command()
@guarded
def run(
    program: ProgramArg,
    inputs: Annotated[list[str] | None, typer.Argument(metavar="[NAME=VALUE]…", help="The program's inputs: JSON where it fits, else text.")] = None,
    model: ModelOpt = None, log: LogOpt = None, limit: LimitOpt = "", as_json: JsonOpt = False, quiet: QuietOpt = False,
    max_in_flight: Annotated[int | None, typer.Option(min=1, help="At most so many calls at a time.")] = None, tools: ToolsOpt = None,
    seed: Annotated[int, typer.Option(help="The run's seed.")] = 0,
    id: Annotated[str | None, typer.Option("--id", metavar="ID", help="The run's id; made up when it is not given.")] = None, wait: WaitOpt = False,
    tui: Annotated[bool, typer.Option("--tui", help="Watch it in the terminal UI; it runs in a process of its own.")] = False,
    clear: ClearOpt = None,
) -> None:
    """Run a program; what it finishes is kept in the log, so that it can be resumed."""
    from rookery.cli.drive import Manner, carry_out, log_path, model_of
    from rookery.cli.load import clearance_of, inputs_of, limit_of, load
    from rookery.engine.door import start

    loaded = load(program, tools=tools or ())
    graph = loaded.graph
    values = inputs_of(graph, inputs or [])
    name, built = model_of(model, graph)
    if tui:
        from rookery.cli.screen import run_with_screen

        given = {"--model": model, "--limit": limit, "--max-in-flight": max_in_flight, "--seed": seed or None}
        words = [word for option, value in given.items() if value for word in (option, str(value))]
        words += [word for option, given_words in (("--tools", tools), ("--clear", clear)) for one in given_words or () for word in (option, one)]
        run_with_screen(graph.name, ["run", program, *(inputs or ()), *words], log)
        return
    manner = Manner(log_path(log), as_json, quiet, wait)
    options: dict[str, Any] = {"model": name, "models": {name: built} if built else None, "limit": limit_of(limit), "max_in_flight": max_in_flight,
                               "id": id, "clearance": clearance_of(clear or [])}
    carry_out(lambda: start(graph, log=manner.log, origin=loaded.origin, inputs=values, seed=seed, **options), manner, built)


@app.command()
@guarded
def resume(
    run: RunArg,
    program: Annotated[str | None, typer.Argument(metavar="[PROGRAM]", help="Where the program is now, if it has moved.")] = None,
    model: ModelOpt = None, log: LogOpt = None, limit: LimitOpt = "", secret: SecretOpt = None, as_json: JsonOpt = False, quiet: QuietOpt = False,
    max_in_flight: Annotated[int | None, typer.Option(min=1, help="At most so many calls at a time.")] = None, tools: ToolsOpt = None,
    wait: WaitOpt = False, clear: ClearOpt = None,
) -> None:
    """Take a run up where its log ends: what is finished stays, the rest is carried out."""
    from rookery.cli.again import prepared, secrets_of
    from rookery.cli.drive import Manner, carry_out, log_path
    from rookery.cli.load import clearance_of, limit_of
    from rookery.engine.door import resume as take_up

    path = log_path(log)
    again = prepared(path, run, program, model, tools or ())
    options: dict[str, Any] = {
        "model": again.model_name, "models": {again.model_name: again.model} if again.model else None, "limit": limit_of(limit),
        "max_in_flight": max_in_flight, "secrets": secrets_of(again.graph, secret or []), "clearance": clearance_of(clear or []),
    }
    carry_out(lambda: take_up(again.run, again.graph, log=path, **options), Manner(path, as_json, quiet, wait), again.model)


@app.command()
@guarded
def fork(
    run: RunArg,
    edits: Annotated[list[str] | None, typer.Argument(metavar="[VARIABLE=VALUE]…", help="What is different: a call's path, or inputs.NAME.")] = None,
    program: Annotated[str | None, typer.Option("--program", metavar="PROGRAM", help="Where the program is now, if it has moved.")] = None,
    model: ModelOpt = None, log: LogOpt = None, limit: LimitOpt = "", secret: SecretOpt = None,
    new: Annotated[str | None, typer.Option("--new", metavar="ID", help="The new run's id.")] = None,
    prompt: Annotated[list[str] | None, typer.Option("--prompt", metavar="NAME=TEXT", help="Other words for a prompt; {name} is a hole.")] = None,
    as_json: JsonOpt = False, quiet: QuietOpt = False, wait: WaitOpt = False, clear: ClearOpt = None,
) -> None:
    """Begin a new run from the values of another, some of them changed: only what depends on those runs."""
    from rookery.cli.again import edits_of, prepared, secrets_of, words_of
    from rookery.cli.drive import Manner, carry_out, log_path
    from rookery.cli.load import clearance_of, limit_of
    from rookery.engine.door import fork as begin

    path = log_path(log)
    again = prepared(path, run, program, model, words=words_of(prompt or []))
    if not edits and not prompt and program is None:
        raise InputError("nothing is different", hint="VARIABLE=VALUE, --prompt NAME=TEXT, or --program for one that has changed")
    options: dict[str, Any] = {
        "model": again.model_name, "models": {again.model_name: again.model} if again.model else None, "limit": limit_of(limit),
        "secrets": secrets_of(again.graph, secret or []), "edit": edits_of(again, edits or []), "new": new, "named": {"prompts": again.words},
        "clearance": clearance_of(clear or []),
    }
    carry_out(lambda: begin(again.run, again.graph, log=path, **options), Manner(path, as_json, quiet, wait), again.model)


# ------------------------------------------------------------------ looking


@app.command()
@guarded
def tui(
    what: Annotated[str | None, typer.Argument(metavar="[RUN|PROGRAM]", help="A run, or a program to run; without one all runs are listed.")] = None,
    log: LogOpt = None,
    page: Annotated[str, typer.Option("--page", metavar="NAME", help="Begin there: run, search, talk, events, memory, tools, models.")] = "",
    light: Annotated[bool, typer.Option("--light", help="Begin with the light theme.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Look at a few recorded runs; nothing is run or kept.")] = False,
) -> None:
    """Look at runs in the terminal, live or past, steer and debug them; closing it touches no run."""
    from rookery.cli.screen import open_screen

    open_screen(what, log=log, page=page, light=light, demo=demo)


@app.command()
@guarded
def runs(log: LogOpt = None, as_json: JsonOpt = False) -> None:
    """List the runs of the log, newest first."""
    from rookery.cli.drive import log_path
    from rookery.cli.show import runs as listed

    listed(log_path(log), as_json=as_json)


@app.command()
@guarded
def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, the beginning of it, or `last`; or a FILE.yaml, to draw it.")],
    log: LogOpt = None, as_json: JsonOpt = False,
    events: Annotated[bool, typer.Option("--events", help="Print the events instead.")] = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print the graph as a Mermaid chart instead, coloured by status.")] = False,
    every: Annotated[bool, typer.Option("--all", help="List every call, however many.")] = False,
    svg: Annotated[bool, typer.Option("--svg", help="Of a FILE.yaml: draw it as an SVG.")] = False, tools: ToolsOpt = None,
) -> None:
    """Show a run: its calls, times, tokens, cost, value, faults and open questions. Of a workflow file: draw it."""
    from rookery.cli.load import is_workflow

    if is_workflow(run):
        from rookery.cli.workflow import show as drawn

        drawn(run, "svg" if svg else "mermaid" if mermaid else "text", tools or (), as_json=as_json)
        return
    from rookery.cli.drive import log_path
    from rookery.cli.show import show as shown

    shown(log_path(log), run, as_json=as_json, events=events, mermaid=mermaid, every=every)


@app.command()
@guarded
def check(
    program: ProgramArg, mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid chart.")] = False, tools: ToolsOpt = None,
    as_json: JsonOpt = False,
) -> None:
    """Check a program without running it: all faults at once, or a picture of its calls."""
    from rookery.cli.load import has_labels, inputs_data, load
    from rookery.core import layout

    graph = load(program, tools=tools or ()).graph
    if has_labels(graph):
        from rookery.engine.begin import Options, in_force
        from rookery.engine.held import ensure_clear

        ensure_clear(graph, in_force(graph, Options()))
    if any(call.policy.decode is not None for call in graph.calls.values()):
        from rookery.engine.rules import ensure_rules

        ensure_rules(graph)
    picture = layout.mermaid(graph) if mermaid else layout.text(graph)
    if as_json:
        say_json({"program": program, "graph": graph.name, "inputs": inputs_data(graph), "calls": len(graph.calls), "faults": [], "picture": picture})
    else:
        say(picture)
        note(f"{graph.name}: {len(graph.calls)} call{'' if len(graph.calls) == 1 else 's'}, no faults")


@app.command()
@guarded
def explain(
    program: ProgramArg,
    inputs: Annotated[list[str] | None, typer.Argument(metavar="[NAME=VALUE]…", help="The program's inputs, as for run.")] = None,
    model: ModelOpt = None, log: LogOpt = None, tools: ToolsOpt = None,
    guess: Annotated[list[str] | None, typer.Option("--guess", metavar="CALL.PART=N", help="tokens, items, seconds, yes, turns or error.")] = None,
    pace: Annotated[list[str] | None, typer.Option("--pace", metavar="MODEL=S,S,S", help="Seconds of a request, a token in, a token out.")] = None,
    parallel: Annotated[str, typer.Option("--parallel", metavar="N,N", help="Calls in flight to tell the time for.")] = "1,2,8",
    tune: Annotated[list[str] | None, typer.Option("--tune", metavar="INPUT=V,V", help="Compare values of one input.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Learn nothing from earlier runs in the log.")] = False, as_json: JsonOpt = False,
) -> None:
    """Say what a program will take before it runs: calls, tokens, cost, time, error. Nobody is asked."""
    from rookery.cli.drive import log_path
    from rookery.cli.explain import explain as explained
    from rookery.cli.load import load

    explained(load(program, tools=tools or ()), inputs or [], model=model, log=log_path(log), guesses=guess or [], paces=pace or [],
              parallel=parallel, tune=tune or [], fresh=fresh, as_json=as_json)


@app.command()
@guarded
def doctor(log: LogOpt = None, as_json: JsonOpt = False) -> None:
    """Report on Python, packages, the log, settings, keys (never their values) and models."""
    from rookery.cli.doctor import doctor as report

    report(log, as_json=as_json)


@app.command()
@guarded
def models(as_json: JsonOpt = False) -> None:
    """List the models that can be named here, and what each of them needs."""
    from rookery.cli.doctor import models as listed

    listed(as_json=as_json)


# ------------------------------------------------------------------ workflow files


@app.command()
@guarded
def new(
    file: Annotated[str, typer.Argument(metavar="FILE.yaml", help="The file to write.")],
    template: Annotated[str, typer.Option("--template", "-t", help="article, extract, approval, agent or search.")] = "article",
    as_json: JsonOpt = False,
) -> None:
    """Write a workflow file to begin with, and the schema by which editors complete it."""
    from rookery.cli.workflow import new as begin

    begin(file, template, as_json=as_json)


@app.command()
@guarded
def schema(as_json: JsonOpt = False) -> None:
    """Print the JSON Schema of workflow files, for editors."""
    from rookery.cli.workflow import schema as printed

    printed(as_json=as_json)


@app.command()
@guarded
def diff(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="FILE.yaml, or FILE.py:NAME.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="FILE.yaml, or FILE.py:NAME.")],
    tools: ToolsOpt = None, as_json: JsonOpt = False,
) -> None:
    """Say what differs in meaning between two programs: not comments, order or layout."""
    from rookery.cli.workflow import diff as compared

    compared(before, after, tools or (), as_json=as_json)


@app.command()
@guarded
def export(
    program: ProgramArg, to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Where to; else it is printed.")] = None,
    tools: ToolsOpt = None, as_json: JsonOpt = False,
) -> None:
    """Write a graph from Python as a workflow file, or a workflow file as Python."""
    from rookery.cli.workflow import export as written

    written(program, to, tools or (), as_json=as_json)


# ------------------------------------------------------------------ steering


@app.command()
@guarded
def answer(
    run: RunArg,
    call: Annotated[str, typer.Argument(metavar="CALL", help="The question's path, as `rookery show` has it.")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="The answer: JSON where that fits, else text.")],
    log: LogOpt = None, as_json: JsonOpt = False,
) -> None:
    """Answer a question that a run has asked."""
    from rookery.cli.drive import log_path
    from rookery.cli.steer import answer as give

    give(log_path(log), run, call, value, as_json=as_json)


@app.command()
@guarded
def edit(
    run: RunArg,
    variable: Annotated[str, typer.Argument(metavar="VARIABLE", help="A call's path, or inputs.NAME.")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="The new value: JSON where that fits, else text.")],
    log: LogOpt = None, as_json: JsonOpt = False,
) -> None:
    """Change a variable of a run; only what depends on it runs again."""
    from rookery.cli.drive import log_path
    from rookery.cli.steer import edit as change

    change(log_path(log), run, variable, value, as_json=as_json)


def _post(verb: str, run: str, place: str, log: Path | None, as_json: bool, done: str, value: Any = None) -> None:
    from rookery.cli.drive import log_path
    from rookery.cli.steer import post
    from rookery.engine.log import Message

    post(log_path(log), run, Message(verb, place, value, by="command line"), as_json=as_json, done=done)


CallArg = Annotated[str, typer.Argument(metavar="[CALL]", help="One call of the run; without it the whole run.")]


@app.command()
@guarded
def cancel(run: RunArg, call: CallArg = "", log: LogOpt = None, as_json: JsonOpt = False) -> None:
    """Cancel a run, or one call of it; the run can be resumed."""
    _post("cancel", run, call, log, as_json, f"{call or 'it'} is cancelled")


@app.command()
@guarded
def pause(run: RunArg, log: LogOpt = None, as_json: JsonOpt = False) -> None:
    """Let a run start no further calls; those in flight end."""
    _post("pause", run, "", log, as_json, "it is paused; `rookery continue` lets it go on")


@app.command("continue")
@guarded
def go_on(run: RunArg, call: CallArg = "", log: LogOpt = None, as_json: JsonOpt = False) -> None:
    """Let a paused run, or a call at a breakpoint, go on."""
    _post("continue", run, call, log, as_json, f"{call or 'it'} goes on")


@app.command("break")
@guarded
def set_break(
    run: RunArg,
    place: Annotated[str, typer.Argument(metavar="PLACE", help="A call's path, or a variable that calls read.")],
    off: Annotated[bool, typer.Option("--off", help="Take the breakpoint away.")] = False,
    log: LogOpt = None, as_json: JsonOpt = False,
) -> None:
    """Let calls at a place wait before they start, until `rookery continue RUN CALL`."""
    _post("breakpoint", run, place, log, as_json, f"calls at {place} {'no longer wait' if off else 'wait before they start'}", not off)


@app.command()
@guarded
def prune(
    run: Annotated[list[str] | None, typer.Argument(metavar="[RUN]…", help="The runs to remove.")] = None,
    finished: Annotated[bool, typer.Option("--finished", help="All finished runs.")] = False,
    older_than: Annotated[float | None, typer.Option("--older-than", metavar="DAYS", min=0, help="All runs without change for so long.")] = None,
    scope: Annotated[str | None, typer.Option("--scope", metavar="SCOPE", help="Instead: what came from this scope's memory.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    log: LogOpt = None, as_json: JsonOpt = False,
) -> None:
    """Remove runs, and the values that no other run refers to."""
    from rookery.cli.again import pruned
    from rookery.cli.drive import log_path

    if scope is not None:
        if run or finished or older_than is not None:
            raise InputError("--scope goes alone", hint="prune runs by another command")
        memory.redact(scope, log_path(log), as_json=as_json)
        return

    pruned(log_path(log), run or [], finished=finished, older_than_days=older_than, ask=not yes, as_json=as_json)
