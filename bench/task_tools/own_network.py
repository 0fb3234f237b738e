"""A network that a user names in words: `timm:resnet18` with a file of weights, or a function of a Python file."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import module_from_spec
from pathlib import Path
from pickle import UnpicklingError
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.errors import RequestError
from bench.core.files import module_spec
from bench.core.nearest import unknown

Transform = Callable[[Any], Tensor]  # a PIL image -> (C, H, W)
TIMM = "timm:"
KINDS = "timm:NAME, or FILE.py:FUNCTION,"
PREFIXES = ("module.", "_orig_mod.")  # of the keys of state dicts: DataParallel's, torch.compile's
NESTED = ("state_dict", "model_state_dict", "model")  # keys under which checkpoints keep the state dict
SHOWN = 2  # keys of weights that do not fit, of each kind
SHORT = 70  # characters of another library's message


def named_network(model: str, weights: Path | None = None) -> tuple[nn.Module, Transform | None]:
    """The network of `timm:NAME` or `FILE.py:FUNCTION`, and the transform that the function returned with it.

    Raises RequestError where it cannot be made, where the weights do not fit, and for a timm network without weights.
    """
    if model.startswith(TIMM):
        return _of_timm(model, weights), None
    if not Path(model.rpartition(":")[0]).suffix == ".py":
        raise RequestError(_no_kind(model))
    network, transform = _of_function(model)
    if weights is not None:
        fit(network, read_state(weights), weights, model)
    return network, transform


def timm_transform(network: nn.Module, size: int | None) -> Transform | None:
    """The transform with which timm evaluates the network; None for a network that is not timm's."""
    if getattr(network, "pretrained_cfg", None) is None:
        return None
    from timm.data import create_transform, resolve_model_data_config

    settings = resolve_model_data_config(network, args={} if size is None else {"img_size": size})
    return create_transform(**settings, is_training=False)


def read_state(path: Path) -> dict[str, Tensor]:
    """The weights in a .safetensors file or a state dict of torch.save, by name. No code in the file is run."""
    if not path.is_file():
        raise RequestError(f"--weights {path}: no such file; a .safetensors file or a saved state dict is needed")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an archive of another kind, which then raises
            state = _read(path)
    except Exception as error:  # what a damaged or foreign file raises depends on its content
        reason = "not tensors" if isinstance(error, UnpicklingError) else short(error)
        raise RequestError(
            f"--weights {path}: not weights alone, or damaged ({reason}); a .safetensors file, or "
            "torch.save(model.state_dict(), FILE), is needed"
        ) from error
    while isinstance(state, Mapping) and not any(isinstance(value, Tensor) for value in state.values()):
        inside = next((state[key] for key in NESTED if key in state), None)
        if inside is None:
            break
        state = inside
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise RequestError(
            f"--weights {path}: it holds no state dict; torch.save(model.state_dict(), FILE) writes one that can be read"
        )
    return _without_prefixes(dict(state))


def fit(network: nn.Module, state: Mapping[str, Tensor], path: Path, name: str) -> None:
    """Loads the weights. Raises RequestError with the first keys that are missing, unexpected or of another shape."""
    wanted = network.state_dict()
    shapes = [
        f"{key} is {_shape(state[key])} instead of {_shape(wanted[key])}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    loaded = None if shapes else network.load_state_dict(dict(state), strict=False)
    missing = [key for key in wanted if key not in state] if loaded is None else loaded.missing_keys
    unexpected = [key for key in state if key not in wanted] if loaded is None else loaded.unexpected_keys
    kinds = {"": shapes, "missing ": missing, "unexpected ": unexpected}
    wrong = "; ".join(what + _first(keys) for what, keys in kinds.items() if keys)
    if wrong:
        raise RequestError(f"--weights {path} does not fit {name}: {wrong}; weights of this network are needed")


def short(error: BaseException) -> str:
    """An error's type and the start of its message, in one line."""
    lines = str(error).split("\n")
    text = f"{type(error).__name__}: {lines[0]}".rstrip(": .")
    return text if len(text) <= SHORT else f"{text[: SHORT - 3].rstrip()}..."


def _of_timm(model: str, weights: Path | None) -> nn.Module:
    import timm
    from timm.models import get_pretrained_cfg, is_model

    name = model.removeprefix(TIMM)
    architecture = name.split(".")[0]
    if ":" in name or not is_model(architecture):  # hf-hub:... would be downloaded
        raise RequestError(
            f"--model: {unknown('network', architecture, timm.list_models(), of='timm', listing='timm.list_models()')}"
        )
    if weights is None:
        raise RequestError(
            f"--model {model} without weights is a network of random numbers, whose explanations mean nothing; give its "
            "weights with --weights FILE (.safetensors, or a saved state dict)"
        )
    state = read_state(weights)
    settings: dict[str, Any] = {}
    classifier = getattr(get_pretrained_cfg(architecture), "classifier", None)
    first = classifier if isinstance(classifier, str) or not classifier else classifier[0]
    if first and f"{first}.weight" in state:
        settings["num_classes"] = len(state[f"{first}.weight"])
    network = timm.create_model(name, pretrained=False, **settings)
    fit(network, state, weights, model)
    return network


def _of_function(model: str) -> tuple[nn.Module, Transform | None]:
    """What the function of `FILE.py:FUNCTION` returns: a module, or a module and a transform."""
    file, _, name = model.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise RequestError(f"--model {model}: there is no file {path}; the path of a Python file is needed")
    with _imports_from(path.resolve().parent):
        module = _module(path, model)
        functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        if name not in functions:
            raise RequestError(f"--model: {unknown('function', name, functions, of=str(path))}")
        function = getattr(module, name)
        try:
            inspect.signature(function).bind()
        except TypeError as error:
            raise RequestError(
                f"--model {model}: {name} takes arguments ({short(error)}); a function that needs none is needed"
            ) from error
        try:
            made = function()
        except (Exception, SystemExit) as error:
            raise RequestError(f"--model {model}: {name}() failed: {short(error)}") from error
    network, transform = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(network, nn.Module) or not (transform is None or callable(transform)):
        raise RequestError(
            f"--model {model}: {name}() returned {type(made).__name__}; a torch.nn.Module is needed, or a pair "
            "(module, transform)"
        )
    return network, transform


def _module(path: Path, model: str) -> ModuleType:
    spec = module_spec(f"bench_own_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise RequestError(f"--model {model}: {path} could not be loaded: {short(error)}") from error
    return module


@contextmanager
def _imports_from(folder: Path) -> Iterator[None]:
    """Files beside the user's file can be imported, as where it is run as a script."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def _no_kind(model: str) -> str:
    if model.endswith(".py"):
        return f"--model {model} names no function; {model}:build is needed, where build() returns the model"
    from timm.models import is_model

    if is_model(model.split(".")[0]):
        return f"--model {model}: {KINDS} is needed; did you mean 'timm:{model}'?"
    return f"--model {model}: {KINDS} is needed"


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _without_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES * 2:
        if state and all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _first(keys: list[str]) -> str:
    more = f", ... ({len(keys)} in all)" if len(keys) > SHOWN else ""
    return ", ".join(keys[:SHOWN]) + more


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "scalar"
