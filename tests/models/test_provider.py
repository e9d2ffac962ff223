"""From names to models: the grammar, the settings, and errors that say what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rookery.errors import ModelUnknown, SettingMissing, SettingWrong
from rookery.models.model import Message, Request, complete
from rookery.models.openai import OpenAIModel
from rookery.models.provider import PROVIDERS, model
from rookery.models.scripted import ScriptedModel
from rookery.models.settings import Settings
from tests.servers import serve

NONE = Settings()


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def named(**models: dict[str, object]) -> Settings:
    return Settings.model_validate({"models": models})


@pytest.mark.parametrize(("spec", "name"), [
    ("openai:Qwen3@http://gpu-box:8000/v1", "openai:Qwen3@http://gpu-box:8000/v1"),
    ("openai:Qwen/Qwen3:8b@https://box/v1/", "openai:Qwen/Qwen3:8b@https://box/v1"),
    ("openai:@http://gpu-box:8000/v1", "openai:@http://gpu-box:8000/v1"),
    ("litellm:anthropic/claude-sonnet-4-5", "litellm:anthropic/claude-sonnet-4-5"),
    ("litellm:vertex_ai/claude@20250101", "litellm:vertex_ai/claude@20250101"),
    ("litellm:openai/test@http://box/v1", "litellm:openai/test@http://box/v1"),
])
def test_the_grammar(spec: str, name: str) -> None:
    assert model(spec, settings=NONE).capabilities.name == name


def test_a_model_is_given_back_as_it_is() -> None:
    scripted = ScriptedModel([])
    assert model(scripted) is scripted
    with pytest.raises(SettingWrong, match="timeout_s"):
        model(scripted, timeout_s=3)


@pytest.mark.parametrize(("spec", "message", "hint"), [
    ("openia:gpt-5-mini", "there is no provider 'openia'", "did you mean openai:gpt-5-mini"),
    ("gpt-5-mini", "names no model", "provider:NAME"),
    ("openai:", "the name is missing", "openai:gpt-5-mini"),
    ("openai:q@box:8000/v1", "has no http://", "openai:q@http://box:8000/v1"),
    ("litellm:", "the name is missing", "litellm:anthropic"),
    ("", "no model is given", "ROOKERY_MODEL"),
    ("writr", "names no model", "did you mean writer"),
])
def test_a_name_that_names_nothing(spec: str, message: str, hint: str) -> None:
    with pytest.raises((ModelUnknown, SettingMissing), match=message) as caught:
        model(spec, settings=named(writer={"use": "openai:x@http://h/v1"}))
    assert hint in caught.value.hint


def test_a_missing_key_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingMissing) as caught:
        model("openai:gpt-5-mini", settings=NONE)
    assert "OPENAI_API_KEY" in caught.value.hint
    with pytest.raises(SettingMissing, match="MY_KEY"):
        model("openai:x@http://h/v1", settings=NONE, api_key_env="MY_KEY")
    with pytest.raises(SettingMissing, match="MY_KEY"):
        model("litellm:groq/llama", settings=NONE, api_key_env="MY_KEY")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    built = model("openai:gpt-5-mini", settings=NONE)
    assert built.capabilities.price_usd is not None
    assert built.capabilities.context_tokens is not None


def test_settings_name_models_and_options_win_over_them() -> None:
    writer = {"use": "openai:a@http://h/v1", "max_in_flight": 4, "timeout_s": 9, "usd_per_million_tokens": [1, 2],
              "options": {"endpoint": "completions"}}
    settings = Settings.model_validate({"model": "writer", "models": {"writer": writer}})
    built = model(settings=settings, max_in_flight=8)
    assert isinstance(built, OpenAIModel)
    assert built.capabilities.max_in_flight == 8
    assert built.capabilities.price_usd == (1e-6, 2e-6)
    assert not built.capabilities.tools


def test_wrong_settings_say_where() -> None:
    with pytest.raises(ModelUnknown, match=r"models\.writer\.use"):
        model("writer", settings=named(writer={"use": "nonsense"}))
    with pytest.raises(SettingWrong, match="no option 'timeout'") as caught:
        model("openai:a@http://h/v1", settings=NONE, timeout=3)
    assert caught.value.hint == "did you mean timeout_s?"


def test_settings_are_found_when_none_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / "rookery.toml").write_text('model = "box"\n[models.box]\nuse = "openai:q@http://h/v1"\n')
    assert model().capabilities.name == "openai:q@http://h/v1"
    (tmp_path / "rookery.toml").write_text("modell = 1")
    with pytest.raises(SettingWrong, match="did you mean model"):
        model()


async def test_a_server_is_asked_for_its_only_model() -> None:
    request = Request((Message.of("user", "hi"),))
    async with serve(lambda body: body["model"], models=["only-one"]) as server:
        asked = model(f"openai:@{server.url}", settings=NONE)
        assert [(await complete(asked, request))[0] for _ in range(2)] == ["only-one"] * 2
        await asked.aclose()
    async with serve(models=["a", "b"]) as server:
        asked = model(f"openai:@{server.url}", settings=NONE)
        with pytest.raises(ModelUnknown, match="serves 2 models: a, b") as caught:
            await complete(asked, request)
        assert f"openai:a@{server.url}" in caught.value.hint
        await asked.aclose()


async def test_a_cassette_records_a_model_by_its_name(tmp_path: Path) -> None:
    request = Request((Message.of("user", "hi"),))
    async with serve(lambda body: "from the server") as server:
        settings = named(box={"use": f"openai:test@{server.url}"})
        recorder = model(f"recorded:{tmp_path / 'c.jsonl'}", settings=settings, inner="box", mode="auto")
        await complete(recorder, request)
        await recorder.aclose()
    replay = model(f"recorded:{tmp_path / 'c.jsonl'}", settings=NONE)
    assert (await complete(replay, request))[0] == "from the server"
    assert "(model) at" in replay.capabilities.origin


def test_no_package_of_a_provider_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, os; os.environ['OPENAI_API_KEY'] = 'sk-x'\n"
        "import rookery.testing\n"
        "from rookery.models.provider import model\n"
        "from rookery.models.settings import Settings\n"
        "for spec in ('openai:gpt-5-mini', 'litellm:anthropic/claude-sonnet-4-5'): model(spec, settings=Settings())\n"
        "heavy = {'openai', 'litellm', 'httpx', 'httpx2'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_every_provider_is_a_module_and_a_class() -> None:
    for place in PROVIDERS.values():
        module, _, name = place.partition(":")
        assert module.startswith("rookery.models.")
        assert name.isidentifier()
