"""`make run`: migrate, then start the Procfile's processes and restart whatever dies, for ever.

supervisord does the supervising, inside this process; the Procfile stays the one list of processes.
"""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from supervisor import events
from supervisor.medusa import asyncore_25 as asyncore
from supervisor.options import ServerOptions
from supervisor.states import SupervisorStates
from supervisor.supervisord import Supervisor
from supervisor.xmlrpc import SupervisorTransport

from smear import bundle as bundles
from smear import extras
from smear.installation import remember
from smear.plain import PlainError
from smear.settings import Settings, load_settings, private_folder
from worker.batch import bundle_folder
from worker.broker import server_program
from worker.ending import out_of_memory_kills
from worker.engines.face import EngineUnavailable
from worker.engines.to_compile import lacking_packages, precisions_to_compile
from worker.install import prepare


#: A process that dies at once is started again after this long at the most.
BACK_OFF_SECONDS: Final = 2.0
#: What a worker needs to end a slide, with room (the must is 30 s).
STOP_SECONDS: Final = 25
LOG_BYTES: Final = "5MB"
LOG_BACKUPS: Final = 3
#: Processes that do their work once a start: they are not started again when they end.
ONCE: Final = frozenset({"compile"})
#: A report of how a worker ended may take this long once everything stops.
REPORT_SECONDS: Final = 5.0
#: Processes that claim slides.
WORKERS: Final = frozenset({"worker"})


class WatchfulOptions(ServerOptions):  # type: ignore[misc]
    """supervisord's window on the system, which reports how workers end: only their parent can tell a crash from a
    kill, and a slide whose worker is known to be dead need not wait for its lease.
    """

    def __init__(self, project: Path) -> None:
        super().__init__()
        self._project, self._memory_kills = project, out_of_memory_kills()
        self._reports: list[subprocess.Popen[bytes]] = []

    def waitpid(self) -> tuple[int | None, int | None]:
        """As supervisord's: the next child that has ended, with its wait status."""
        pid, status = super().waitpid()
        process = self.pidhistory.get(pid) if pid else None
        # Told to stop, all ends at once: what is left to take back then, the lease takes back after the next start.
        running = self.mood == SupervisorStates.RUNNING
        if process is not None and process.config.name in WORKERS and status and running:
            self._report(pid, status)
        return pid, status

    def end_reports(self) -> None:
        """Let what is being reported come to its end, but nothing outlive us for long."""
        for report in self._reports:
            try:
                report.wait(REPORT_SECONDS)
            except subprocess.TimeoutExpired:
                report.kill()
                report.wait()

    def _report(self, pid: int, status: int) -> None:
        before, self._memory_kills = self._memory_kills, out_of_memory_kills()
        # In a process of its own: the database may be away, and supervising goes on meanwhile.
        command = [sys.executable, "-c", "from worker.cli import main; main()", "died"]
        command += ["--pid", str(pid), "--status", str(status)]
        command += ["--out-of-memory"] if self._memory_kills > before else []
        self._reports = [report for report in self._reports if report.poll() is None]
        with contextlib.suppress(OSError):  # then the lease runs out
            self._reports.append(
                subprocess.Popen(command, cwd=self._project, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - our own argument list
            )


class ForeverSupervisor(Supervisor):  # type: ignore[misc]
    """supervisord that never gives up on a process, and shows what the processes say."""

    def runforever(self) -> None:
        """Supervisor clears its subscribers before it gets here, so ours are put in now."""
        events.subscribe(events.ProcessStateBackoffEvent, _never_give_up)
        events.subscribe(events.ProcessLogEvent, _show)
        # This is how supervisord ends its loop once all its processes have stopped.
        with contextlib.suppress(asyncore.ExitNow):
            super().runforever()


def _never_give_up(event: Any) -> None:
    # supervisord waits a second longer after each failure and then stops trying.
    process = event.process
    process.backoff = 1
    process.delay = min(process.delay, process.laststart + BACK_OFF_SECONDS)


def _show(event: Any) -> None:
    data = event.data.decode("utf-8", "replace") if isinstance(event.data, bytes) else str(event.data)
    name = event.process.config.name
    for line in data.splitlines():
        print(f"{name:8} | {line}", flush=True)  # noqa: T201 - this is the terminal of `make run`


def read_procfile(path: Path) -> dict[str, str]:
    """Name -> command line of every process; blank lines and comments are left out."""
    processes = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.match(r"([A-Za-z0-9_-]+):\s*(\S.*)$", line)
        if match and not line.startswith("#"):
            processes[match[1]] = match[2]
    return processes


def folder_variables(settings: Settings, project: Path) -> dict[str, str]:
    """The folders that supervisord's configuration names. In that file a % in a path would begin a variable, and
    a # or ; after a space a comment, which no quoting prevents.
    """
    return {
        "SUPERVISED_RUN": str(settings.socket_folder),
        "SUPERVISED_LOGS": str(settings.var / "logs"),
        "SUPERVISED_PROJECT": str(project),
        "SUPERVISED_BIN": shlex.quote(str(Path(sys.executable).parent)),  # part of command lines
    }


def supervisor_configuration(processes: dict[str, str], settings: Settings) -> str:
    """Supervisord's configuration for these processes. It names folders by variables, which `folder_variables` sets."""
    executables = Path(sys.executable).parent

    def quoted(path: str) -> str:
        return shlex.quote(path).replace("%", "%%")

    socket = str(settings.socket_folder / "supervisor.sock").replace("%", "%%")
    sections = [
        f"""[supervisord]
nodaemon=true
silent=true
logfile=%(ENV_SUPERVISED_LOGS)s/supervisor.log
logfile_maxbytes={LOG_BYTES}
logfile_backups={LOG_BACKUPS}
pidfile=%(ENV_SUPERVISED_RUN)s/supervisor.pid
childlogdir=%(ENV_SUPERVISED_LOGS)s
umask=077

[unix_http_server]
file=%(ENV_SUPERVISED_RUN)s/supervisor.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{socket}
"""
    ]
    for priority, (name, command) in enumerate(processes.items()):
        program, _, arguments = command.partition(" ")
        ours = (executables / program).exists()
        found = f"%(ENV_SUPERVISED_BIN)s/{program}" if ours else quoted(shutil.which(program) or program)
        sections.append(
            f"""[program:{name}]
command={_dying_with_us()}{found} {arguments.replace("%", "%%")}
directory=%(ENV_SUPERVISED_PROJECT)s
priority={priority}
autorestart={"false" if name in ONCE else "true"}
startsecs={0 if name in ONCE else 1}
startretries=1000000
stopsignal=TERM
stopwaitsecs={STOP_SECONDS}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_events_enabled=true
stdout_logfile=%%(ENV_SUPERVISED_LOGS)s/{name}.log
stdout_logfile_maxbytes={LOG_BYTES}
stdout_logfile_backups={LOG_BACKUPS}
environment=PYTHONUNBUFFERED="1"
"""
        )
    return "\n".join(sections)


def _dying_with_us() -> str:
    """What makes a process end when its supervisor is killed: else a second `make run` would start a second set."""
    setpriv = shutil.which("setpriv")  # of util-linux, on every Debian
    return f"{shlex.quote(setpriv)} --pdeathsig TERM -- ".replace("%", "%%") if setpriv else ""


def already_running(settings: Settings) -> bool:
    """Whether a supervisor of this WNET_VAR answers on its socket."""
    transport = SupervisorTransport(None, None, f"unix://{settings.socket_folder / 'supervisor.sock'}")
    try:
        transport.request("localhost", "/RPC2", b"<methodCall><methodName>supervisor.getPID</methodName></methodCall>")
    except OSError:
        return False
    finally:
        transport.close()
    return True


def main() -> int:
    """Read the settings, prepare the installation, say where things are, supervise."""
    try:
        settings = load_settings(recorded=False)
        for source in settings.sources:
            source.root.mkdir(parents=True, exist_ok=True)
        os.umask(0o077)  # what we keep holds barcodes; the drop folder is the analyser's
        settings.var.mkdir(parents=True, exist_ok=True)
        run = private_folder(settings.socket_folder)
        if already_running(settings):
            print(f"already running on {settings.var}")  # noqa: T201
            return 0
        if settings.embedded_broker:
            server_program()
        prepare(settings)
        _check_chosen_precision(settings)
        remember(settings)
        # Whatever is recorded later, our processes keep to this state.
        os.environ["WNET_VAR"] = str(settings.var)
    except (PlainError, OSError) as error:
        print(f"cannot start: {error}", file=sys.stderr)  # noqa: T201
        return 2
    project = Path(__file__).resolve().parents[1]
    (settings.var / "logs").mkdir(exist_ok=True)
    configuration = run / "supervisor.conf"
    configuration.write_text(supervisor_configuration(read_procfile(project / "Procfile"), settings), encoding="utf-8")
    os.environ.update(folder_variables(settings, project))
    _say_where(settings)
    options = WatchfulOptions(project)
    options.realize(["-n", "-c", os.fspath(configuration)])
    options.first, options.test = True, False
    ForeverSupervisor(options).main()
    options.end_reports()
    return 0


def _check_chosen_precision(settings: Settings) -> None:
    """Raise EngineUnavailable where the chosen precision needs a compiled form that nothing here could make.

    The service would start and no slide would ever be classified.
    """
    if not settings.compile or settings.precision not in {"bf16", "int8"}:
        return
    try:
        served = bundles.load(bundle_folder(settings))
    except PlainError:
        return  # `worker status` names it, and the page can take another bundle
    if lacking := lacking_packages(precisions_to_compile(settings, served)):
        raise EngineUnavailable(
            f"WNET_PRECISION={settings.precision} needs a compiled form, which takes packages that are not installed "
            f"({', '.join(lacking)}): {extras.install_line('engines')}"
        )


def _say_where(settings: Settings) -> None:
    drops = "\n".join(f"  {source.name}: {source.root}" for source in settings.sources)
    print(  # noqa: T201
        f"""W-Net Worker. For Research Use Only. Not for use in diagnostic procedures.
Drop slides (a folder of cell pictures each) into
{drops}
See what comes out with `worker results`, what is going on with `worker status` (in {Path(sys.executable).parent}).
State and logs: {settings.var}. Stop with Ctrl-C.""",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
