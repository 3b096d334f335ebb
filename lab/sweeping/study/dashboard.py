"""A sweep's study in a browser, with optuna-dashboard."""

from __future__ import annotations

from lab.errors import LabError, Occupied
from lab.sweeping.study.place import Job
from lab.sweeping.study.storage import open_storage
from lab.sweeping.study.study import open_study


def serve(job: Job, port: int) -> None:
    """Serve the dashboard on this machine until Ctrl-C.

    Raises:
        LabError: If the sweep was never started, or the dashboard is not installed.
        Occupied: If the port is taken.
    """
    open_study(job)
    try:
        from optuna_dashboard import run_server
    except ImportError as error:
        raise LabError("the dashboard is not installed: pip install 'mtp-lab[dashboard]'") from error
    print(f"http://localhost:{port}/dashboard  (Ctrl-C ends it)", flush=True)
    try:
        run_server(open_storage(job.place.storage, job.place.journal), port=port)
    except OSError as error:
        raise Occupied(f"port {port}: {error.strerror}", "port") from error
