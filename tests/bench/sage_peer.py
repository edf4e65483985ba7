"""GraphSAGE in mini-batches as PyTorch Geometric's users write it: NeighborLoader and two SAGEConv. The peer of
`embed --method sage --batch`.

    sage_peer.py EDGES FEATURES.npy LABELS [--batch 1024] [--fanout 10,10] [--hidden 128] [--epochs 4] [--workers 0]

EDGES and LABELS: node TAB node and node TAB label; FEATURES has its node ids in FEATURES.ids.txt. Prints one JSON object: seconds
of each epoch (loading, training), and mean losses.
"""
import argparse
import json
import time

import numpy
import torch
from torch_geometric.data import Data
from torch_geometric.loader import NeighborLoader
from torch_geometric.nn import SAGEConv


class Sage(torch.nn.Module):
    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        self.layers = torch.nn.ModuleList([SAGEConv(inputs, hidden), SAGEConv(hidden, outputs)])

    def forward(self, batch):
        x, arcs = batch.x, batch.edge_index
        for i, layer in enumerate(self.layers):
            x = layer(x, arcs)
            if i == 0:
                x = x.relu()
        return x[:batch.batch_size]


def read(options):
    names = open(options.features.removesuffix(".npy") + ".ids.txt").read().split("\n")
    place = {name: i for i, name in enumerate(names) if name}
    ends = [line.rstrip("\n").split("\t") for line in open(options.edges)]
    arcs = torch.tensor([[place[a] for a, _ in ends], [place[b] for _, b in ends]])
    labels = torch.zeros(len(place), dtype=torch.long)
    for line in open(options.labels):
        node, label = line.rstrip("\n").split("\t")
        labels[place[node]] = int(label)
    return Data(x=torch.from_numpy(numpy.load(options.features)), edge_index=torch.cat([arcs, arcs.flip(0)], dim=1), y=labels)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("edges")
    parser.add_argument("features")
    parser.add_argument("labels")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--fanout", default="10,10")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--lr", type=float, default=0.003)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    data = read(options)
    loader = NeighborLoader(data, num_neighbors=[int(word) for word in options.fanout.split(",")], batch_size=options.batch,
                            shuffle=True, num_workers=options.workers, persistent_workers=options.workers > 0)
    model = Sage(data.x.size(1), options.hidden, int(data.y.max()) + 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)
    seconds, losses = [], []
    for _ in range(options.epochs):
        start, total = time.perf_counter(), 0.0
        for batch in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(batch), batch.y[:batch.batch_size])
            loss.backward()
            optimizer.step()
            total += loss.item() * batch.batch_size
        seconds.append(time.perf_counter() - start)
        losses.append(total / data.num_nodes)
    print(json.dumps({"seconds": seconds, "losses": losses, "nodes": data.num_nodes, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
