"""Settings: arguments before the environment before files, slips named, secrets unseen."""

from __future__ import annotations

from pathlib import Path

import pytest

from rookery.errors import SettingMissing, SettingWrong
from rookery.models.settings import Settings, load_settings


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_nothing_set_is_all_defaults(tmp_path: Path) -> None:
    assert load_settings(env={}, cwd=tmp_path) == Settings()


def test_arguments_win_over_the_environment_and_that_over_files(tmp_path: Path) -> None:
    home = tmp_path / "home"
    below = 'model = "home"\nlog = "home.db"\n[models.writer]\nuse = "openai:a"\ntimeout_s = 5'
    write(home / ".config" / "rookery" / "config.toml", below)
    write(tmp_path / "rookery.toml", 'model = "project"\n[models.writer]\nuse = "openai:b"\n[models.judge]\nuse = "openai:c"')
    env = {"HOME": str(home)}
    settings = load_settings(env=env, cwd=tmp_path)
    assert settings.model == "project"
    assert settings.log == home / ".config" / "rookery" / "home.db"
    assert (settings.models["writer"].use, settings.models["writer"].timeout_s) == ("openai:b", 5.0)
    env |= {"ROOKERY_MODEL": "environment", "ROOKERY_MODELS__WRITER__TIMEOUT_S": "7", "ROOKERY_LOG": "here.db"}
    settings = load_settings(env=env, cwd=tmp_path)
    assert (settings.model, settings.log) == ("environment", Path("here.db"))
    assert (settings.models["writer"].use, settings.models["writer"].timeout_s) == ("openai:b", 7.0)
    assert load_settings(env=env, cwd=tmp_path, model="argument").model == "argument"
    assert load_settings(env=env, cwd=tmp_path, model=None).model == "environment"


def test_a_named_file_is_the_only_one(tmp_path: Path) -> None:
    write(tmp_path / "rookery.toml", 'model = "project"')
    named = write(tmp_path / "other.toml", 'log = "a.db"')
    settings = load_settings(env={"ROOKERY_CONFIG": str(named)}, cwd=tmp_path)
    assert (settings.model, settings.log) == (None, tmp_path / "a.db")
    assert load_settings(path=named, env={}, cwd=tmp_path) == settings
    with pytest.raises(SettingMissing, match="does not exist") as caught:
        load_settings(env={"ROOKERY_CONFIG": str(tmp_path / "none.toml")})
    assert "ROOKERY_CONFIG" in caught.value.hint


def test_all_slips_are_told_at_once_with_the_nearest_name(tmp_path: Path) -> None:
    text = 'modle = "x"\n[models.writer]\nuse = "openai:a"\nbase_ur = "y"\nmax_in_flight = "many"\n[models.empty]'
    write(tmp_path / "rookery.toml", text)
    with pytest.raises(SettingWrong) as caught:
        load_settings(env={}, cwd=tmp_path)
    told = str(caught.value)
    assert "modle: no such setting; did you mean model" in told
    assert "models.writer.base_ur: no such setting; did you mean base_url?" in told
    assert "models.writer.max_in_flight: " in told
    assert "models.empty.use: " in told


def test_a_slip_in_the_environment_is_told_and_strangers_pass() -> None:
    with pytest.raises(SettingWrong, match="ROOKERY_MODLE sets nothing") as caught:
        load_settings(env={"ROOKERY_MODLE": "x"})
    assert "ROOKERY_MODEL" in caught.value.hint
    with pytest.raises(SettingWrong, match="ROOKERY_MODELS sets nothing"):
        load_settings(env={"ROOKERY_MODELS": "x"})
    assert load_settings(env={"ROOKERY_SOMETHING_OF_YOURS": "1", "HOME": ""}, cwd=Path("nowhere")) == Settings()


def test_a_file_that_is_no_toml_names_the_place(tmp_path: Path) -> None:
    file = write(tmp_path / "rookery.toml", "model = ")
    with pytest.raises(SettingWrong, match="is not a TOML file") as caught:
        load_settings(env={}, cwd=tmp_path)
    assert str(file) in str(caught.value)


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    text = (
        '[models.writer]\nuse = "openai:a"\napi_key = "sk-very-secret"\nusd_per_million_tokens = [0.25, 2.0]\n'
        'options = {endpoint = "completions"}'
    )
    settings = load_settings(path=write(tmp_path / "a.toml", text), env={})
    assert "very-secret" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.models["writer"].arguments() == {
        "api_key": "sk-very-secret", "price_usd": (0.25e-6, 2e-6), "endpoint": "completions",
    }
    write(tmp_path / "b.toml", '[models.writer]\napi_key = ["sk-very-secret"]')
    with pytest.raises(SettingWrong) as caught:
        load_settings(path=tmp_path / "b.toml", env={})
    assert "very-secret" not in str(caught.value)


def test_lists_in_the_environment_are_json() -> None:
    env = {"ROOKERY_MODELS__A__USE": "openai:x", "ROOKERY_MODELS__A__USD_PER_MILLION_TOKENS": "[1, 2]"}
    assert load_settings(env=env, cwd=Path("nowhere")).models["a"].usd_per_million_tokens == (1.0, 2.0)
