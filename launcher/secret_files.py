"""The secrets of a deployment, each made once and kept in a file of whoever reads it.

A folder holds one folder for each reader, so that each can be given its own and nothing else: a
volume of a container, or a Secret. What is there stays, so that this can run at each start.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from launcher.accounts import make_password
from tier_runtime.addresses import Address
from tier_runtime.secrets import read_or_create_secret
from tier_runtime.startup import StartupError

# Where the compose file has them.
DATABASE = "mysql:3306/arcana"
REDIS = "redis:6379/0"

_PASSWORD_BYTES = 32
_TOKEN_BYTES = 48
# The servers run as users of their own, which are not known here. What keeps their files from
# others is that nobody else is given the folder.
_FOR_OTHER_USERS = 0o444


@dataclass(frozen=True, slots=True)
class Stores:
    """Where MySQL and Redis will be.

    Attributes:
        database: host:port/name; the name is made of letters, digits and underscores.
        redis: host:port/number.
    """

    database: str = DATABASE
    redis: str = REDIS

    def __post_init__(self) -> None:
        # What is made of it is kept, so that a mistake would be kept too.
        name = _behind_address(self.database)
        if not name.replace("_", "a").isalnum() or not name.isascii():
            raise StartupError(f"{self.database!r} is not host:port/name of a database.")
        if not _behind_address(self.redis).isdecimal():
            raise StartupError(f"{self.redis!r} is not host:port/number of a Redis.")

    def database_url(self, user: str) -> bytes:
        """Give a URL of the database, with a new password."""
        return f"mysql+pymysql://{user}:{_password()}@{self.database}?charset=utf8mb4".encode()

    def redis_url(self, user: str) -> bytes:
        """Give a URL of Redis, with a new password."""
        return f"redis://{user}:{_password()}@{self.redis}".encode()


def make_secrets(
    folder: Path, stores: Stores, make_signing_key: Callable[[], bytes]
) -> dict[str, bool]:
    """Make every secret that is missing.

    The folder gets, for each reader:

    - `repository`: `database_url`, of a user that reads and writes rows, and `redis_url`.
    - `migrate`: `database_url`, of a user that may change tables too.
    - `worker`: `redis_url`, of a user that knows the broker's keys only.
    - `service`: `token_secret`. `auth`: `jwt_signing_key.pem`, for who signs access tokens.
    - `controller`: `download_secret`. `admin`: the first admin's `password`.
    - `mysql`: `root_password`, and `accounts.sql`, which makes those users. `redis`: `users.acl`.

    Returns:
        the files, as reader/name, and whether each was made now.

    Raises:
        StartupError: a file cannot be read or made.
    """
    made: dict[str, bool] = {}

    def keep(name: str, make: Callable[[], bytes], mode: int | None = None) -> str:
        path = folder / name
        made[name] = not path.exists()
        content = read_or_create_secret(path, make).decode()
        if mode is not None:
            # Also where it was made before: who made it may have been ended in between.
            _allow(path, mode)
        return content

    tier = keep("repository/database_url", lambda: stores.database_url("arcana"))
    migrations = keep("migrate/database_url", lambda: stores.database_url("arcana_migrate"))
    cache = keep("repository/redis_url", lambda: stores.redis_url("repository"))
    broker = keep("worker/redis_url", lambda: stores.redis_url("worker"))
    keep("auth/jwt_signing_key.pem", make_signing_key)
    keep("service/token_secret", _token)
    keep("controller/download_secret", _token)
    keep("admin/password", lambda: make_password().encode())
    keep("mysql/root_password", lambda: _password().encode(), _FOR_OTHER_USERS)
    keep("mysql/accounts.sql", lambda: accounts_sql(tier, migrations).encode(), _FOR_OTHER_USERS)
    keep("redis/users.acl", lambda: users_acl(cache, broker).encode(), _FOR_OTHER_USERS)
    return made


def accounts_sql(tier_url: str, migrations_url: str) -> str:
    """Give the statements that make the two users of the database, by their URLs."""
    rows = "SELECT, INSERT, UPDATE, DELETE"
    tables = f"{rows}, CREATE, ALTER, DROP, INDEX, REFERENCES"
    return "".join(
        f"CREATE USER '{user.username}'@'%' IDENTIFIED BY '{user.password}';\n"
        f"GRANT {rights} ON `{_one_database(user.path)}`.* TO '{user.username}'@'%';\n"
        for user, rights in ((urlsplit(tier_url), rows), (urlsplit(migrations_url), tables))
    )


def users_acl(repository_url: str, worker_url: str) -> str:
    """Give the users of Redis, by their URLs: a file that `aclfile` names.

    Whoever has not signed in may ask whether it lives, for health checks. Nobody may do what
    concerns others or the whole server: SWAPDB and FLUSHDB know no keys, KEYS and SORT stop
    everybody, MIGRATE takes keys elsewhere. Only the broker has channels.
    """
    users = ((urlsplit(repository_url), "arcana:*"), (urlsplit(worker_url), "arcana:broker:*"))
    return "user default on nopass resetkeys resetchannels -@all +ping\n" + "".join(
        f"user {user.username} on >{user.password} ~{keys} resetchannels &arcana:broker:* "
        "+@all -@admin -@dangerous\n"
        for user, keys in users
    )


def _behind_address(place: str) -> str:
    """Return what follows host:port/; empty where that is not how it begins."""
    bind, _, rest = place.partition("/")
    try:
        return rest if Address.parse(bind).port else ""
    except ValueError:
        return ""


def _one_database(path: str) -> str:
    # In a GRANT an underscore stands for any letter.
    return path.removeprefix("/").replace("_", r"\_")


def _allow(path: Path, mode: int) -> None:
    try:
        if path.stat().st_mode & mode != mode:
            path.chmod(mode)
    except OSError as error:
        raise StartupError(f"Cannot let others read {path}: {error.strerror}.") from error


def _password() -> str:
    # Letters, digits, "-" and "_": nothing that a URL, SQL or an ACL would read otherwise.
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def _token() -> bytes:
    return secrets.token_urlsafe(_TOKEN_BYTES).encode()
