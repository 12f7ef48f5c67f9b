"""The processes of torchrun, one a GPU, that train one model; without torchrun, one alone."""
import os

import torch
import torch.distributed as dist


class Ranks:
    def __init__(self):
        self.rank, self.count, local = (int(os.environ.get(name, default)) for name, default in (('RANK', 0), ('WORLD_SIZE', 1), ('LOCAL_RANK', 0)))
        if self.count == 1:
            return
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(local)
        dist.init_process_group('cpu:gloo,cuda:nccl' if cuda else 'gloo')

    def say(self, *words):
        """Prints once."""
        if self.rank == 0:
            print(*words, flush=True)

    def agree(self, value):
        """The first process's number."""
        if self.count == 1:
            return value
        number = torch.tensor([float(value)], dtype=torch.float64)
        dist.broadcast(number, 0)
        return number.item()

    def share(self, count):
        """This process's range of so many."""
        return [count * rank // self.count for rank in (self.rank, self.rank + 1)]

    def exchange(self, rows):
        """Every process's share of the rows, for all of them."""
        for rank in range(self.count if self.count > 1 else 0):
            start, end = (len(rows) * r // self.count for r in (rank, rank + 1))
            dist.broadcast(rows[start:end], rank)

    def mean(self, tensors):
        """Replaces tensors by their mean over the processes."""
        if self.count == 1:
            return
        flat = torch.cat([t.flatten() for t in tensors])
        dist.all_reduce(flat)
        flat /= self.count
        torch._foreach_copy_(tensors, [part.view_as(t) for part, t in zip(flat.split([t.numel() for t in tensors]), tensors)])
