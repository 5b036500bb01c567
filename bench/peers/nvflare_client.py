"""A client of the peers' job in NVFlare: started by the simulator, once a site."""

from __future__ import annotations

import nvflare.client as flare
import torch
from same_job import new_net, train


def main() -> None:
    """Train what comes, until no more comes."""
    flare.init()
    client = int(flare.get_site_name().rpartition("-")[2]) - 1
    net = new_net()
    while flare.is_running():
        came = flare.receive()
        net.load_state_dict({name: torch.as_tensor(value) for name, value in came.params.items()})
        count, loss = train(net, client, int(came.current_round))
        weights = {name: value.numpy() for name, value in net.state_dict().items()}
        flare.send(
            flare.FLModel(params=weights, metrics={"loss": loss}, meta={"NUM_STEPS_CURRENT_ROUND": count})
        )


if __name__ == "__main__":
    main()
