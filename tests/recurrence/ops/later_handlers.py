"""Handlers that say they are of a later version of XLA, made of a Python function: run by test_xla.py."""

import ctypes
import json
from ctypes import POINTER, Structure, c_int, c_size_t, c_void_p
from types import SimpleNamespace

import jax.numpy as jnp

from sunhwan.recurrence.ops import xla


class Version(Structure):
    _fields_ = [("size", c_size_t), ("extension", c_void_p), ("major", c_int), ("minor", c_int)]


class Metadata(Structure):
    _fields_ = [("size", c_size_t), ("version", Version)]


class MetadataExtension(Structure):
    _fields_ = [("size", c_size_t), ("kind", c_int), ("next", c_void_p), ("metadata", POINTER(Metadata))]


class CallFrame(Structure):
    _fields_ = [("size", c_size_t), ("extension", POINTER(MetadataExtension))]


@ctypes.CFUNCTYPE(c_void_p, POINTER(CallFrame))
def handler(frame):
    version = frame.contents.extension.contents.metadata.contents.version
    version.major, version.minor = 0, 99
    return None


class Library(SimpleNamespace):
    def __init__(self, path):
        super().__init__(sunhwan_xla_forward=handler, sunhwan_xla_backward=handler)


ctypes.CDLL, load = Library, ctypes.CDLL
xla.native.reason = lambda: None
reason = xla.reason()
ctypes.CDLL = load
print(json.dumps({"reason": reason, "jax computes": float(jnp.arange(4).sum())}))
