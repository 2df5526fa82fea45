from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import pytest
from pydantic import Field, SecretStr, field_validator

from tier_runtime.settings import (
    Rule,
    SettingDoc,
    SettingsError,
    TierSettings,
    describe,
    load,
)
from tier_runtime.startup import StartupError


class ExampleSettings(TierSettings):
    port: int = Field(description="TCP port to listen on.")
    timeout_seconds: float = Field(default=5.0, gt=0, description="Seconds to wait.")
    mode: Literal["grpc", "http"] = Field(default="grpc", description="Transport.")
    strict: bool = Field(default=False, description="Whether to be strict.")
    origins: tuple[str, ...] = Field(default=(), description="Allowed origins.")
    ports: frozenset[int] | None = Field(default=None, description="More ports.")
    home: Path = Field(default=Path("x"), description="Folder.")
    database_url: str = Field(default="sqlite://", description="Where the data is.")
    jwt_secret: SecretStr | None = Field(default=None, min_length=8, description="Signing key.")
    token_secret: SecretStr = Field(default=SecretStr("default-secret"), description="Key.")

    @field_validator("token_secret")
    @classmethod
    def _talks_too_much(cls, value: SecretStr) -> SecretStr:
        if "bad" in value.get_secret_value():
            raise ValueError(f"this is bad: {value.get_secret_value()}")
        return value

    def _talks_too_much_too(self) -> str | None:
        if self.strict and self.jwt_secret:
            return f"forbids JWT_SECRET {self.jwt_secret.get_secret_value()}"
        return None

    def _is_in_a_hurry(self) -> str | None:
        return "is too short for MODE" if self.timeout_seconds < 1 and self.mode == "http" else None

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(("strict", "jwt_secret"), _talks_too_much_too),
        Rule(("timeout_seconds", "mode"), _is_in_a_hurry),
    )


def faults(environ: dict[str, str], env_file: Path | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(ExampleSettings, environ, env_file)
    assert str(caught.value) == "\n".join(caught.value.faults)
    return list(caught.value.faults)


def test_values_come_from_upper_case_variables_and_have_their_types() -> None:
    settings = load(
        ExampleSettings,
        {
            "PORT": "8080",
            "TIMEOUT_SECONDS": "0.5",
            "STRICT": "true",
            "ORIGINS": "https://a.example, https://b.example,",
            "PORTS": "1,2",
            "HOME": "/srv",
            "LOG_LEVEL": "DEBUG",
            "UNRELATED": "x",
        },
    )
    assert settings.port == 8080
    assert settings.timeout_seconds == 0.5
    assert settings.strict is True
    assert settings.origins == ("https://a.example", "https://b.example")
    assert settings.ports == frozenset({1, 2})
    assert settings.home == Path("/srv")
    assert settings.log_level == "debug"


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(ExampleSettings, {"PORT": "1", "TIMEOUT_SECONDS": ""}).timeout_seconds == 5.0
    assert faults({"PORT": ""}) == ["PORT: is required."]


def test_every_fault_is_named_at_once_by_its_variable() -> None:
    assert faults({"TIMEOUT_SECONDS": "0", "MODE": "carrier pigeon", "PORTS": "1,x"}) == [
        "MODE: Input should be 'grpc' or 'http'.",
        "PORT: is required.",
        "PORTS: Input should be a valid integer, unable to parse string as an integer.",
        "TIMEOUT_SECONDS: Input should be greater than 0.",
    ]


def test_faults_of_files_and_of_values_are_named_together(tmp_path: Path) -> None:
    assert faults({"JWT_SECRET_FILE": str(tmp_path / "none")}) == [
        f"JWT_SECRET_FILE: cannot read {tmp_path / 'none'}: No such file or directory.",
        "PORT: is required.",
    ]


def test_a_fault_of_a_file_alone_is_enough(tmp_path: Path) -> None:
    environ = {"PORT": "1", "JWT_SECRET_FILE": str(tmp_path)}
    assert faults(environ) == [f"JWT_SECRET_FILE: cannot read {tmp_path}: Is a directory."]


def test_no_value_is_told_in_a_fault() -> None:
    told = faults({"PORT": "hunter2", "TOKEN_SECRET": "bad-secret", "JWT_SECRET": "short"})
    assert [line.partition(":")[0] for line in told] == ["JWT_SECRET", "PORT", "TOKEN_SECRET"]
    assert not any(value in line for line in told for value in ("hunter2", "bad-secret", "short,"))


def test_a_fault_of_a_rule_tells_no_secret_either() -> None:
    assert faults({"PORT": "1", "STRICT": "1", "JWT_SECRET": "very secret"}) == [
        "STRICT: forbids JWT_SECRET **********."
    ]


def test_every_broken_rule_is_named_beside_the_bad_and_missing_values() -> None:
    environ = {"STRICT": "1", "JWT_SECRET": "very secret", "TIMEOUT_SECONDS": "0.5", "MODE": "http"}
    assert faults({**environ, "PORTS": "x"}) == [
        "PORT: is required.",
        "PORTS: Input should be a valid integer, unable to parse string as an integer.",
        "STRICT: forbids JWT_SECRET **********.",
        "TIMEOUT_SECONDS: is too short for MODE.",
    ]


def test_a_rule_is_not_asked_about_a_value_that_is_bad_itself(tmp_path: Path) -> None:
    environ = {"PORT": "1", "STRICT": "1", "JWT_SECRET_FILE": str(tmp_path)}
    assert faults({**environ, "TIMEOUT_SECONDS": "soon", "MODE": "http"}) == [
        f"JWT_SECRET_FILE: cannot read {tmp_path}: Is a directory.",
        "TIMEOUT_SECONDS: Input should be a valid number, unable to parse string as a number.",
    ]


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_can_come_from_a_file_without_its_last_newline(
    tmp_path: Path, ending: str
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(f" two\nlines {ending}".encode())
    settings = load(ExampleSettings, {"PORT": "1", "JWT_SECRET_FILE": str(file)})
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.get_secret_value() == " two\nlines "


@pytest.mark.parametrize(
    ("content", "fault"), [(b"\n", "is empty."), (b"\xff\xfe", "is not UTF-8 text.")]
)
def test_a_secret_file_with_nothing_usable_is_a_fault(
    tmp_path: Path, content: bytes, fault: str
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    told = faults({"PORT": "1", "JWT_SECRET_FILE": str(file)})
    assert told == [f"JWT_SECRET_FILE: {file} {fault}"]


def test_a_secret_and_its_file_at_once_is_a_fault(tmp_path: Path) -> None:
    assert faults({"PORT": "1", "JWT_SECRET": "x" * 9, "JWT_SECRET_FILE": str(tmp_path)}) == [
        "JWT_SECRET: give either JWT_SECRET or JWT_SECRET_FILE, not both."
    ]


def test_only_secrets_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("1")
    assert faults({"PORT_FILE": str(tmp_path / "port")}) == ["PORT: is required."]


def test_the_environment_wins_over_the_env_file(tmp_path: Path) -> None:
    secret, env_file = tmp_path / "secret", tmp_path / ".env"
    secret.write_text("from the file\n")
    env_file.write_text(f"PORT=1\nMODE=http\nJWT_SECRET_FILE={secret}\nORIGINS=$PORT\nHOME\n")
    settings = load(ExampleSettings, {"PORT": "2", "JWT_SECRET": "from the env"}, env_file)
    assert (settings.port, settings.mode, settings.origins) == (2, "http", ("$PORT",))
    assert settings.jwt_secret == SecretStr("from the env")


def test_by_default_the_process_environment_and_its_env_file_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORT", "3")
    monkeypatch.delenv("MODE", raising=False)
    (tmp_path / ".env").write_text("MODE=http\n")
    settings = load(ExampleSettings)
    assert (settings.port, settings.mode) == (3, "http")


def test_constructing_reads_neither_environment_nor_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "3")
    assert ExampleSettings(port=4).port == 4


def test_repr_shows_no_secret_and_no_password_in_a_url() -> None:
    settings = ExampleSettings(
        port=1,
        database_url="mysql+pymysql://arcana:hunter2@db:3306/arcana",
        jwt_secret=SecretStr("very secret"),
    )
    shown = repr(settings) + str(settings)
    assert "hunter2" not in shown
    assert "very secret" not in shown
    assert "default-secret" not in shown
    assert "arcana:[redacted]@db:3306/arcana" in shown


def test_settings_errors_end_a_program_like_any_startup_error() -> None:
    assert issubclass(SettingsError, StartupError)


def test_describe_tells_all_that_the_documentation_needs() -> None:
    docs = {doc.env_name: doc for doc in describe(ExampleSettings)}
    assert list(docs)[:4] == ["LOG_LEVEL", "LOG_JSON", "METRICS_BIND", "PORT"]
    assert docs["PORT"] == SettingDoc("PORT", "integer", None, "TCP port to listen on.", False)
    assert docs["TIMEOUT_SECONDS"].type_name == "number"
    assert docs["TIMEOUT_SECONDS"].default == "5.0"
    assert docs["MODE"].type_name == "`grpc` or `http`"
    assert docs["STRICT"] == SettingDoc(
        "STRICT", "boolean", "false", "Whether to be strict.", False
    )
    assert docs["LOG_JSON"].default == "true"
    assert docs["ORIGINS"].type_name == docs["PORTS"].type_name == "comma-separated list"
    assert docs["ORIGINS"].default is None
    assert docs["HOME"].type_name == "path"
    assert docs["DATABASE_URL"].type_name == "text"
    assert docs["JWT_SECRET"] == SettingDoc("JWT_SECRET", "secret", None, "Signing key.", True)
    assert "default-secret" not in str(docs["TOKEN_SECRET"])


def test_describe_shows_a_list_as_it_is_written() -> None:
    class ListSettings(TierSettings):
        words: list[str] = Field(default=["a", "b"], description="Words.")

    assert describe(ListSettings)[-1].default == "a,b"


def test_a_setting_without_a_description_is_refused() -> None:
    class TersSettings(TierSettings):
        size: int = 1

    with pytest.raises(ValueError, match=r"TersSettings\.size has no description"):
        describe(TersSettings)
