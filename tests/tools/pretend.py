"""A second device that any build of torch has: its tensors lie in main memory, and meet no others.

    with pretended() as device: model.to(device); ...

An operation on a tensor of the device and on one that is not there raises, as CUDA does, and so does `.numpy()`; only
numbers (tensors without dimensions), copies and moves may cross. Everything is computed by the ordinary operations of
the CPU, so results are those of the CPU. It shows placement, and nothing of speed, memory or another rounding.
"""
import contextlib, functools
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = 'pretend'
MOVES = ('aten._to_copy.default', 'aten.copy_.default', 'aten.copy.default')


@functools.cache
def device():
    "The device; torch is told of it once a process."
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend
    _setup_privateuseone_for_python_backend(NAME)
    return torch.device(NAME, 0)


class OnDevice(torch.Tensor):
    "A tensor of the device, around the CPU's tensor with its numbers."
    @staticmethod
    def __new__(cls, held):
        told = dict(strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=device())
        out = torch.Tensor._make_wrapper_subclass(cls, held.shape, **told)
        out.held = held
        return out

    @property
    def data(self): return OnDevice(self.held.detach())

    @data.setter
    def data(self, other):
        torch.Tensor.data.__set__(self, other)
        self.held = other.held

    def tolist(self): return self.held.tolist()
    def __repr__(self): return f'OnDevice({self.held})'

    @classmethod
    def __torch_dispatch__(cls, f, types, args=(), kwargs=None): return carried_out(f, args, kwargs or {})


def plain(x): return x.held if isinstance(x, OnDevice) else x


def carried_out(f, args, kwargs):
    "The result of an operation, on the device where its tensors are there; raises where they are in two places."
    tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
    here = [t for t in tensors if isinstance(t, OnDevice)]
    there = [t for t in tensors if not isinstance(t, OnDevice) and t.dim()]
    if here and there and str(f) not in MOVES:
        raise RuntimeError(f'Expected all tensors to be on the same device: {f} of {NAME}:0 and {there[0].device}')
    to, stays = kwargs.get('device'), bool(here)
    if to is not None:
        stays = torch.device(to).type == NAME
        if stays: kwargs = {**kwargs, 'device': torch.device('cpu')}
    out = f(*tree_map(plain, args), **tree_map(plain, kwargs))
    mine = {id(t.held): t for t in here}          # what is changed in place, or written to, is the same tensor after
    there = {id(t) for t in tensors}
    wrap = lambda x: mine.get(id(x)) if id(x) in mine else x if id(x) in there or not stays else OnDevice(x)
    return tree_map(lambda x: wrap(x) if isinstance(x, torch.Tensor) else x, out)


class _Operations(TorchDispatchMode):
    "Makes new tensors of the device where they are asked for."
    def __torch_dispatch__(self, f, types, args=(), kwargs=None): return carried_out(f, args, kwargs or {})


class _Made(TorchFunctionMode):
    "Makes tensors of numbers on the CPU first: torch fills them without asking a mode."
    def __torch_function__(self, f, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if f not in (torch.tensor, torch.as_tensor) or 'device' not in kwargs: return f(*args, **kwargs)
        to = kwargs['device']
        return f(*args, **{k: v for k, v in kwargs.items() if k != 'device'}).to(to)


@contextlib.contextmanager
def pretended():
    "The device, for a while; modules that are moved keep their tied parameters."
    import torch.__future__ as how
    before = how.get_swap_module_params_on_conversion()
    how.set_swap_module_params_on_conversion(True)
    try:
        with _no_inference_mode(), _Operations(), _Made(): yield device()
    finally: how.set_swap_module_params_on_conversion(before)


@contextlib.contextmanager
def _no_inference_mode():
    "Inference mode hands operations over whole, which tensors of this kind cannot bear: no gradients does as well."
    off = lambda mode: setattr(mode, 'off', torch.no_grad()) or mode.off.__enter__()
    on = lambda mode, *error: mode.off.__exit__(*error)
    with mock.patch.multiple(torch.inference_mode, __enter__=off, __exit__=on): yield
