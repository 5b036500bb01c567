"""The job of `same_job.py` as a Flower app: federated averaging, no evaluation."""

from __future__ import annotations

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from same_job import CLIENTS, ROUNDS, new_net, train

client = ClientApp()
server = ServerApp()


@client.train()
def one_pass(message: Message, context: Context) -> Message:
    """Train what came, and send it back."""
    net = new_net()
    net.load_state_dict(message.content["arrays"].to_torch_state_dict())
    number = int(message.content["config"]["server-round"])
    count, loss = train(net, int(context.node_config["partition-id"]), number)
    told = MetricRecord({"loss": loss, "num-examples": count})
    content = RecordDict({"arrays": ArrayRecord(net.state_dict()), "metrics": told})
    return Message(content=content, reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    """Average over all rounds."""
    plan = FedAvg(fraction_evaluate=0.0, min_train_nodes=CLIENTS, min_available_nodes=CLIENTS)
    plan.start(
        grid=grid,
        initial_arrays=ArrayRecord(new_net().state_dict()),
        train_config=ConfigRecord(),
        num_rounds=ROUNDS,
    )
