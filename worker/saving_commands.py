"""The commands `worker backup` and `worker restore`: translate the call, do it, say what came of it."""

from pathlib import Path
from typing import Annotated

import typer

from smear.settings import load_settings
from worker.terminal import SOME_FAILED, Json, err, out, print_json, refuse


# Each command imports what it alone needs, as in worker/cli.py. (ruff's PLC0415 is off for this file.)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; nothing is overwritten.")],
    as_json: Json = False,
) -> None:
    """Save the SQLite database to a file, also while the service runs. Exit code 1 if its audit is broken."""
    from worker.saving import backup as save

    saved = save(load_settings(), file)
    if as_json:
        print_json(saved.to_object())
    else:
        audit = "an earlier version's, its audit is verified when it is restored"
        if saved.audit is not None:
            audit = f"{saved.audit.lines} lines of audit, the last one's hash is {saved.audit.head}"
        out.print(f"{saved.file}: {saved.size_bytes} bytes; {audit}", highlight=False, soft_wrap=True)
    if saved.audit is not None and saved.audit.problem is not None:
        err.print(f"saved, but its audit is broken: {saved.audit.problem}", highlight=False, soft_wrap=True)
        raise typer.Exit(SOME_FAILED)


def restore(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="What `worker backup` wrote.")] = None,
    renew: Annotated[
        bool, typer.Option("--renew", help="After pg_restore, instead of FILE: end what was open, claimed, signed in.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Also where the backup's audit is broken.")] = False,
    as_json: Json = False,
) -> None:
    """Bring a backup back while the service is stopped. The replaced database is kept under another name."""
    from worker.saving import BrokenAudit, renew_in_place
    from worker.saving import restore as bring_back

    if (file is None) != renew:
        refuse("name the file to restore, or say --renew after the database was brought back by other means")
    settings = load_settings()
    if file is None:
        renewed = renew_in_place(settings)
        told = {"revisions": renewed.revisions, "claims_ended": renewed.claims_ended}
        said = f"renewed: {renewed.revisions} revisions"
        sessions = renewed.sessions_ended
    else:
        try:
            restored = bring_back(settings, file, force=force)
        except BrokenAudit as error:
            err.print(f"worker: {error}", highlight=False, soft_wrap=True)
            raise typer.Exit(SOME_FAILED) from None
        told, sessions = restored.to_object(), restored.renewed.sessions_ended
        said = f"restored to {restored.file}: {restored.renewed.revisions} revisions"
        said += f"; the replaced database is {restored.aside}" if restored.aside is not None else ""
    if as_json:
        print_json(told | {"sessions_ended": sessions})
    else:
        out.print(f"{said}; {sessions} sessions ended: all users sign in again", highlight=False, soft_wrap=True)
