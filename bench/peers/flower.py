"""Train the peers' job with Flower in real processes: a SuperLink and three SuperNodes on loopback, without TLS.

    PEERS/bin/python bench/peers/flower.py DATA

PEERS is an environment with `flwr[simulation]` and torch (README.md); DATA a folder with `mnist`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from same_job import CLIENTS
from stamps import gaps, write_digits

HERE, BIN = Path(__file__).resolve().parent, Path(sys.executable).parent
LINK, FIRST_NODE = 18500, 18510
_LONGEST_S = 900


def main(data: Path) -> None:
    """Run it and print what it cost."""
    with tempfile.TemporaryDirectory(prefix="peer-flower-") as made:
        folder = Path(made)
        for name in ("data", "stamps", "home"):
            (folder / name).mkdir()
        write_digits(data, folder / "data")
        app = shutil.copytree(HERE / "flower_app", folder / "app")
        shutil.copy(HERE / "same_job.py", app)
        (folder / "home" / "config.toml").write_text(
            f'[superlink]\ndefault = "here"\n\n[superlink.here]\naddress = "127.0.0.1:{LINK}"\ninsecure = true\n'
        )
        around = os.environ | {
            "FLWR_HOME": str(folder / "home"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "PEER_DATA": str(folder / "data"),
            "PEER_STAMPS": str(folder / "stamps"),
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
        }
        began = time.monotonic()
        running = [
            _started(folder, around, "superlink", "--insecure", "--disable-runtime-dependency-installation",
                     "--port", str(LINK))
        ]  # fmt: skip
        try:
            time.sleep(5)
            for client in range(CLIENTS):
                running.append(
                    _started(folder, around, "supernode", "--insecure", "--superlink", f"127.0.0.1:{LINK}",
                             "--port", str(FIRST_NODE + client),
                             "--node-config", f"partition-id={client} num-partitions={CLIENTS}")
                )  # fmt: skip
            time.sleep(3)
            _run(folder, around, app)
            while len(list((folder / "stamps").iterdir())) < 15 and time.monotonic() - began < _LONGEST_S:
                time.sleep(0.5)
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait(timeout=60)
        told = {"peer": f"Flower {version('flwr')}", "torch": version("torch"), "load": os.getloadavg()[0]}
        print(json.dumps(told | gaps(folder / "stamps"), indent=2))


def _started(folder: Path, around: dict[str, str], what: str, *words: str) -> subprocess.Popen[bytes]:
    with (folder / f"{what}.log").open("ab") as log:
        return subprocess.Popen([BIN / f"flower-{what}", *words], env=around, stdout=log, stderr=log)


def _run(folder: Path, around: dict[str, str], app: Path) -> None:
    found = subprocess.run(
        [BIN / "flwr", "run", str(app), "here"], env=around, capture_output=True, text=True, check=False
    )
    if found.returncode:
        logs = "\n".join(file.read_text()[-2000:] for file in folder.glob("*.log"))
        raise SystemExit(f"{found.stdout}\n{found.stderr}\n{logs}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
