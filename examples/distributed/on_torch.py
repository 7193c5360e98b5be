"""Several processes with `torch.distributed`, one for each device.

    python examples/distributed/on_torch.py                             # one process
    torchrun --nproc-per-node 2 examples/distributed/on_torch.py        # one for each GPU

`torch.distributed` is all that has to be set up: `fit` then averages gradients through
`DistributedDataParallel`, and each process reads its own part of every batch of an array.
"""

import os

os.environ["KERAS_BACKEND"] = "torch"

import torch
import torch.distributed as dist
import training


def main():
    """Joins the other processes, then trains as in one."""
    given = training.arguments(__doc__).parse_args()
    count, here = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    if count > 1:
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    model = training.build(given.quick)
    out = given.out if count == 1 else given.out.with_name(f"{given.out.name}-{here}")
    results = training.run(model, out, given.quick)
    print(f"{count} processes, losses {results['losses']}")
    if count > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
