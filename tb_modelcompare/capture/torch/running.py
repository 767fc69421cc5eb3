"""Runs a module with an eye on each call: as torch.fx traces it, or with hooks on its leaves."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.fx

from tb_modelcompare.capture.torch.functions import tensors
from tb_modelcompare.errors import ModelFileError
from tb_modelcompare.graph.naming import unique_name

# What a user's forward can raise when it is called with tracing stand-ins.
_UNTRACEABLE = (
    torch.fx.proxy.TraceError,
    TypeError,
    ValueError,
    RuntimeError,
    AttributeError,
    LookupError,
    AssertionError,
    NotImplementedError,
)


@dataclass(frozen=True)
class Call:
    """A call while the module runs.

    Attributes
    ----------
    name, op : str
    inputs : tuple of str
        The names of earlier calls.
    value : tensor
    output : int
        Which of the call's outputs `value` is.
    module : torch.nn.Module or None
        What is called; None if it is a function.
    given : tuple of tensor
        What it is called with.
    path, turn : str, int
        Of a module: where it is, and how often it was called before.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    value: torch.Tensor
    output: int = 0
    module: torch.nn.Module | None = None
    given: tuple[torch.Tensor, ...] = ()
    path: str = ""
    turn: int = 0


Visit = Callable[[Call], None]


@dataclass(frozen=True)
class Run:
    """How a module is run with an eye on each call.

    Attributes
    ----------
    module : torch.nn.Module
        What is run.
    watch : callable (items, visit)
    functions : callable (items, names) → mapping of name to tensors
        What calls of functions give, by code that torch.fx writes of the graph.
    unseen : tuple of str
        Paths of the modules inside that cannot be watched.
    """

    module: torch.nn.Module
    watch: Callable[[torch.Tensor, Visit], None]
    functions: Callable[[torch.Tensor, Collection[str]], Mapping[str, list[torch.Tensor]]]
    unseen: tuple[str, ...] = ()


def run_of(module: torch.nn.Module) -> Run:
    """The way to run a module: traced, or with hooks where its control flow forbids.

    Raises
    ------
    ModelFileError
        If it takes more than one input.
    """
    try:
        return _traced(module)
    except ModelFileError:
        raise
    except _UNTRACEABLE:
        return _hooked(module)


class _Tracer(torch.fx.Tracer):  # type: ignore[misc]
    """Traces into what torch.compile has compiled."""

    def call_module(self, m: torch.nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        if hasattr(m, "_orig_mod"):
            return m._orig_mod(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)


def _traced(module: torch.nn.Module) -> Run:
    traced = torch.fx.GraphModule(module, _Tracer().trace(module))
    modules = dict(traced.named_modules())
    names: dict[torch.fx.Node, str] = {}
    turns: dict[torch.fx.Node, int] = {}
    taken, called = {"input"}, Counter[str]()
    image = [node for node in traced.graph.nodes if node.op == "placeholder"]
    if len([node for node in image if not node.args]) != 1:
        raise ModelFileError(
            f"{type(module).__name__} takes {len(image)} inputs and a probe is one image; wrap "
            f"it in a module of one image, or use add_activations"
        )

    class Interpreter(torch.fx.Interpreter):  # type: ignore[misc]
        visit: Visit
        seen: set[str]

        def run_node(self, n: torch.fx.Node) -> Any:
            given = tuple(tensors(self.fetch_args_kwargs_from_env(n)))
            result = super().run_node(n)
            values = list(tensors(result))
            if values and n in names:
                child = modules.get(str(n.target)) if n.op == "call_module" else None
                inputs = dict.fromkeys(s for i in n.all_input_nodes for s in self.sources(i))
                self.seen.add(names[n])
                call = Call(names[n], _op(n, child), tuple(inputs), values[0], given=given)
                if child is not None:
                    call = replace(call, module=child, path=str(n.target), turn=turns[n])
                _visit_all(self.visit, call, values)
            return result

        def sources(self, n: torch.fx.Node) -> list[str]:
            """The calls whose values reach `n`, which may be no call itself (an index, a size)."""
            if n in names:
                return [names[n]] if names[n] in self.seen else []
            if n.op == "placeholder":
                return ["input"]
            if n.op == "call_function" and n.target is not getattr:
                return [s for i in n.all_input_nodes for s in self.sources(i)]
            return []

    for node in traced.graph.nodes:
        if node.op in ("call_module", "call_function", "call_method") and not _is_access(node):
            names[node] = unique_name(_fx_name(node), taken)
            turns[node] = called[str(node.target)]
            called[str(node.target)] += 1

    def run(images: torch.Tensor, visit: Visit) -> None:
        interpreter = Interpreter(traced)
        interpreter.visit, interpreter.seen = visit, set()
        interpreter.run(images)

    def functions(
        images: torch.Tensor, wanted: Collection[str]
    ) -> Mapping[str, list[torch.Tensor]]:
        graph = torch.fx.Graph()
        copies: dict[torch.fx.Node, torch.fx.Node] = {}
        kept: dict[str, torch.fx.Node] = {}
        for node in traced.graph.nodes:
            if node.op != "output":
                copies[node] = graph.node_copy(node, copies.__getitem__)
            if names.get(node) in wanted:
                kept[names[node]] = graph.call_function(copied, (copies[node],))
        graph.output(tuple(kept.values()))
        results = torch.fx.GraphModule(traced, graph)(images) if kept else ()
        return dict(zip(kept, results, strict=True))

    return Run(traced, run, functions)


def copied(value: Any) -> list[torch.Tensor]:
    """Copies of all tensors of an output, as an operation in place may follow."""
    return [tensor.clone() for tensor in tensors(value)]


def _hooked(module: torch.nn.Module) -> Run:
    leaves = {name: child for name, child in module.named_modules() if not list(child.children())}
    scripted = [n for n, child in leaves.items() if isinstance(child, torch.jit.ScriptModule)]

    def run(images: torch.Tensor, visit: Visit) -> None:
        taken, called = {"input"}, Counter[str]()
        # Tensors are kept until the end, so that no two have the same id.
        made: list[tuple[torch.Tensor, str]] = [(images, "input")]
        last = "input"

        def hook(path: str, child: torch.nn.Module, inputs: Any, output: Any) -> None:
            nonlocal last
            values = list(tensors(output))
            if not values:
                return
            given = tuple(tensors(inputs))
            sources = tuple(
                dict.fromkeys(n for tensor, n in made if any(tensor is one for one in given))
            )
            name = unique_name(_plain(path) or type(child).__name__, taken)
            call = Call(
                name,
                type(child).__name__,
                sources or (last,),
                values[0],
                module=child,
                given=given,
                path=path,
                turn=called[path],
            )
            called[path] += 1
            _visit_all(visit, call, values)
            made.extend((value, name) for value in values)
            last = name

        with watching(leaves, hook):
            module(images)

    return Run(module, run, lambda images, wanted: {}, tuple(scripted))


@contextlib.contextmanager
def watching(
    modules: Mapping[str, torch.nn.Module],
    hook: Callable[[str, torch.nn.Module, Any, Any], None],
) -> Iterator[None]:
    """Call `hook(path, module, inputs, output)` whenever one of `modules` has been called.

    TorchScript modules, which cannot be watched, are passed over.
    """

    def called(path: str) -> Callable[..., None]:
        return lambda child, args, kwargs, output: hook(path, child, (args, kwargs), output)

    with contextlib.ExitStack() as stack:
        for path, child in modules.items():
            if not isinstance(child, torch.jit.ScriptModule):
                handle = child.register_forward_hook(called(path), with_kwargs=True)
                stack.callback(handle.remove)
        yield


def _visit_all(visit: Visit, call: Call, values: Sequence[torch.Tensor]) -> None:
    """The call by its first output, and the others as calls that follow from it."""
    visit(call)
    for i, value in enumerate(values[1:], start=1):
        visit(replace(call, name=f"{call.name}:{i}", inputs=(call.name,), value=value, output=i))


def _is_access(node: torch.fx.Node) -> bool:
    name = getattr(node.target, "__name__", str(node.target))
    return node.op != "call_module" and name in ("getitem", "getattr", "size", "dim")


def _fx_name(node: torch.fx.Node) -> str:
    if node.op == "call_module":
        return _plain(str(node.target))
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    scope = _plain(stack[-1][0]) if stack else ""
    return f"{scope}.{node.name}" if scope else node.name


def _plain(path: str) -> str:
    """A module's path without the names of wrappers: of torch.compile, and of adapters (PEFT)."""
    own = [part for part in path.split(".") if part != "_orig_mod"]
    return ".".join(own).removeprefix("base_model.model.")


def _op(node: torch.fx.Node, called: torch.nn.Module | None) -> str:
    if called is not None:
        return type(called).__name__
    return str(getattr(node.target, "__name__", node.target))
