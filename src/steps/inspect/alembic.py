"""Tells which migrations of a release are pending. Reads the scripts only: env.py is not run, no database is asked.

Arguments: alembic.ini and the revisions the database is at. Each answer is a line of JSON after a mark, because
migration scripts are modules, and may print what they like while they are read.
"""

import hashlib
import json
import os
import re
import sys
import warnings

# What may commit in the middle of a migration. To name too many is safe: it only costs a copy of the database.
OUTSIDE = re.compile(r"autocommit|isolation_level|concurrently|vacuum|create_engine|\bcommit\b", re.I)
# The same for env.py, which holds for all of them.
OUTSIDE_ENV = re.compile(r"autocommit|isolation_level|transactional_ddl", re.I)


def tell(**answer):
    print("tsh-agent:" + json.dumps(answer), flush=True)


def source(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def digest(path):
    """Of the text, whatever its line ends are."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read().replace(b"\r\n", b"\n")).hexdigest()


def places(scripts, ini):
    """All that the answer was read from. Empty where compiled scripts count, or where Alembic does not tell."""
    folders = [] if scripts.sourceless else getattr(scripts, "_version_locations", [])
    return [os.path.relpath(place) for place in [ini, "pyproject.toml", *folders]] if folders else []


def look(ini, current):
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    warnings.filterwarnings("error", message="Revision .* (is present more than once|is not present)")
    scripts = ScriptDirectory.from_config(Config(ini))
    files = list(scripts.walk_revisions())
    known = {script.revision for script in files}
    # First, and the newest last: should there be too many lines, the oldest are the ones that are lost.
    for script in reversed(files):
        tell(kind="script", revision=script.revision, file=os.path.relpath(script.path), sha256=digest(script.path))
    heads = list(scripts.get_heads())
    tell(kind="heads", revisions=heads)
    tell(kind="places", paths=places(scripts, ini))
    unknown = [revision for revision in current if revision not in known]
    if unknown:
        tell(kind="unknown", revisions=unknown)
        return
    everywhere = bool(OUTSIDE_ENV.search(source(scripts.env_py_location)))
    pending = scripts.iterate_revisions(tuple(heads) or "base", tuple(current) or "base", inclusive=False)
    for script in reversed([script for script in pending if script.revision not in current]):
        tell(
            kind="pending",
            revision=script.revision,
            title=" ".join((script.doc or "").split())[:200],
            nontransactional=everywhere or bool(OUTSIDE.search(source(script.path))),
        )


try:
    look(sys.argv[1], sys.argv[2:])
except Exception as error:
    tell(kind="broken", why=" ".join(f"{type(error).__name__}: {error}".split())[:1000])
