"""Settings: which models there are and where the log is; from arguments, then ``ROOKERY_*``, then TOML files."""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from rookery.errors import SettingMissing, SettingWrong

PREFIX = "ROOKERY_"


class ModelSettings(BaseModel):
    """One named model, ``[models.NAME]`` in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    use: str
    """What it stands for: ``provider:NAME[@BASE_URL]``."""
    base_url: str | None = None
    api_key: SecretStr | None = None
    """The key itself; better is ``api_key_env``, which keeps it out of files."""
    api_key_env: str | None = None
    """The environment variable that holds the key."""
    max_in_flight: int | None = None
    """Calls at a time."""
    timeout_s: float | None = None
    """Longest wait for the next piece of a reply."""
    context_tokens: int | None = None
    usd_per_million_tokens: tuple[float, float] | None = None
    """Price of a million prompt tokens and of a million completion tokens."""
    options: dict[str, Any] = {}
    """Passed to the model's class as they are."""

    def arguments(self) -> dict[str, Any]:
        """What is set, as options of the model's class."""
        plain = self.model_dump(exclude_none=True, exclude={"use", "options", "api_key", "usd_per_million_tokens"})
        if self.api_key is not None:
            plain["api_key"] = self.api_key.get_secret_value()
        if self.usd_per_million_tokens is not None:
            plain["price_usd"] = tuple(price / 1_000_000 for price in self.usd_per_million_tokens)
        return plain | self.options


class Settings(BaseModel):
    """All that can be set outside of a program; the same names in Python, ``ROOKERY_*`` and TOML."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = None
    """The default model: a name under ``models`` or ``provider:NAME[@BASE_URL]``."""
    log: Path | None = None
    """The file of the log; a relative path in a TOML file counts from that file's folder."""
    models: dict[str, ModelSettings] = {}


def load_settings(
    *,
    path: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    **arguments: Any,
) -> Settings:
    """The settings in force: ``arguments``, then ``ROOKERY_*``, then TOML files, merged key by key.

    Files: ``path`` or ``ROOKERY_CONFIG`` if given, and then no other; else ``rookery.toml`` in the working directory, then
    ``~/.config/rookery/config.toml``. In the environment two underscores go one level down:
    ``ROOKERY_MODELS__WRITER__USE`` is ``use`` of ``[models.writer]``.

    :raises SettingMissing: when the file named by ``path`` or ``ROOKERY_CONFIG`` does not exist.
    :raises SettingWrong: with all faults and their places, when a file is no TOML, a key is unknown or a value does not fit.
    """
    env = os.environ if env is None else env
    data: dict[str, Any] = {}
    for file in _files(path, env, cwd or Path.cwd()):
        data = _merged(data, _read(file))
    data = _merged(_from_environment(env), data)
    data = _merged({key: value for key, value in arguments.items() if value is not None}, data)
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise SettingWrong("settings do not fit:\n" + "\n".join(_complaints(error))) from None  # the cause would show the values


def _files(path: str | Path | None, env: Mapping[str, str], cwd: Path) -> Iterator[Path]:
    named = path or env.get(PREFIX + "CONFIG")
    if named:
        file = Path(named).expanduser()
        if not file.is_file():
            place = "path" if path else PREFIX + "CONFIG"
            raise SettingMissing(f"the settings file {file} does not exist", hint=f"create it or correct {place}")
        yield file
        return
    home = env.get("XDG_CONFIG_HOME") or (f"{env['HOME']}/.config" if env.get("HOME") else "")
    candidates = [cwd / "rookery.toml"] + ([Path(home) / "rookery" / "config.toml"] if home else [])
    yield from (file for file in candidates if file.is_file())


def _read(file: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingWrong(f"{file} is not a TOML file: {error}", hint="see the settings page of the documentation") from error
    except OSError as error:
        raise SettingWrong(f"{file} cannot be read: {error.strerror}") from error
    if isinstance(data.get("log"), str):
        data["log"] = str(file.parent / Path(data["log"]).expanduser())
    return data


def _from_environment(env: Mapping[str, str]) -> dict[str, Any]:
    """``ROOKERY_*`` as nested data. Other names pass, unless one is so near to a setting that it must be a slip."""
    data: dict[str, Any] = {}
    known = [name.upper() for name in Settings.model_fields]
    for variable, text in env.items():
        if not variable.startswith(PREFIX) or variable == PREFIX + "CONFIG":
            continue
        first, *rest = variable.removeprefix(PREFIX).split("__")
        if first not in known or (first == "MODELS") != bool(rest):
            near = difflib.get_close_matches(first, [*known, "CONFIG"], n=1, cutoff=0.75)
            if near:
                example = "MODELS__NAME__USE" if near[0] == "MODELS" else near[0]
                raise SettingWrong(f"{variable} sets nothing", hint=f"did you mean {PREFIX}{example}?")
            continue
        place = data
        for part in (first, *rest[:-1]):
            place = place.setdefault(part.lower(), {}) if rest else place
        place[(rest[-1] if rest else first).lower()] = _value(text)
    return data


def _value(text: str) -> Any:
    """Text as it is; JSON where it is a list or a table."""
    if text[:1] in "[{" and text:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _merged(first: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(then)
    for key, value in first.items():
        below = merged.get(key)
        merged[key] = _merged(value, below) if isinstance(value, Mapping) and isinstance(below, Mapping) else value
    return merged


def _complaints(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_input=False, include_url=False):
        path = ".".join(str(part) for part in fault["loc"])
        if fault["type"] != "extra_forbidden":
            yield f"  {path}: {fault['msg']}"
            continue
        fields = Settings.model_fields if len(fault["loc"]) == 1 else ModelSettings.model_fields
        near = difflib.get_close_matches(str(fault["loc"][-1]), list(fields), n=1)
        yield f"  {path}: no such setting" + (f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(fields)}")
