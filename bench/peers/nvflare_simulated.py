"""Train the peers' job with NVFlare's simulator: one process for the server, one for each of three clients.

    PEERS/bin/python bench/peers/nvflare_simulated.py DATA

PEERS is an environment with `nvflare` and torch (README.md); DATA a folder with `mnist`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from nvflare.app_opt.pt.recipes.fedavg import FedAvgRecipe
from nvflare.recipe import SimEnv
from same_job import CLIENTS, ROUNDS, new_net
from stamps import gaps, write_digits

HERE = Path(__file__).resolve().parent


def main(data: Path) -> None:
    """Run it and print what it cost."""
    with tempfile.TemporaryDirectory(prefix="peer-nvflare-") as made:
        folder = Path(made)
        for name in ("data", "stamps"):
            (folder / name).mkdir()
        write_digits(data, folder / "data")
        os.environ |= {
            "PEER_DATA": str(folder / "data"),
            "PEER_STAMPS": str(folder / "stamps"),
            "PYTHONPATH": str(HERE),
            "OMP_NUM_THREADS": "1",
        }
        os.chdir(HERE)
        recipe = FedAvgRecipe(
            name="peers",
            min_clients=CLIENTS,
            num_rounds=ROUNDS,
            model=new_net(),
            train_script="nvflare_client.py",
        )
        recipe.execute(SimEnv(num_clients=CLIENTS, num_threads=CLIENTS, workspace_root=str(folder / "work")))
        told = {
            "peer": f"NVFlare {version('nvflare')}",
            "torch": version("torch"),
            "load": os.getloadavg()[0],
        }
        print(json.dumps(told | gaps(folder / "stamps"), indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
