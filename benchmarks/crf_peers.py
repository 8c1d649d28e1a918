"""The peers of `benchmarks/crf.py`: one function for each operation of each peer.

Each function takes a `Case` and returns a call without arguments. What a peer's user would build
once (a module, arrays on the device) is built before that call; what he would build for every
batch (torch-struct's edge potentials, probabilities for dynamax) is built inside it.
"""

import dataclasses
import functools
import importlib
import importlib.util
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

BATCH = 32


@dataclasses.dataclass(frozen=True)
class Case:
    """A ragged batch of chains `p` and a second one `q` for divergences, all in numpy.

    `p` and `q` are (emissions [B, T, N], transitions [N, N], start [N], end [N]).
    """

    steps: int
    tags: int
    p: tuple
    q: tuple
    lengths: np.ndarray
    gold: np.ndarray
    k: int = 1

    @property
    def name(self) -> str:
        return f"T{self.steps} N{self.tags}"

    def without_ends(self) -> "Case":
        """The same batch at full lengths and without end scores: all that dynamax can express."""
        emissions, transitions, start, end = self.p
        p = emissions, transitions, start, np.zeros_like(end)
        return dataclasses.replace(self, p=p, lengths=np.full_like(self.lengths, self.steps))


def draw_case(steps: int, tags: int, k: int = 1) -> Case:
    """Standard normal potentials, lengths uniform in [T/2, T]."""
    random = np.random.default_rng(0)

    def chain():
        shapes = (BATCH, steps, tags), (tags, tags), (tags,), (tags,)
        return tuple(random.standard_normal(shape).astype(np.float32) for shape in shapes)

    p, q = chain(), chain()
    lengths = random.integers(steps // 2, steps + 1, BATCH).astype(np.int32)
    lengths[0] = steps  # torch-struct asks for one sequence of full length
    return Case(steps, tags, p, q, lengths, random.integers(0, tags, (BATCH, steps)), k)


def one_a_step(case: Case) -> float:
    return case.steps * case.tags**2 * case.k


@dataclasses.dataclass(frozen=True)
class Peer:
    """One operation of one peer.

    Attributes:
        name: Column of the table.
        build: Case -> call.
        needs: Modules that must be installed.
        compiles: Whether its first call compiles.
        has_lengths: Otherwise it is checked on a batch of full lengths.
        work: Case -> a number that its time is about proportional to.
        memory: Case -> bytes that a call is likely to take.
        check: Which comparison with our result applies.
    """

    name: str
    build: Callable
    needs: tuple[str, ...]
    compiles: bool
    has_lengths: bool
    work: Callable
    memory: Callable
    check: str


PEERS: dict[str, list[Peer]] = {}


def measures(
    operation: str,
    name: str,
    needs: tuple[str, ...] = ("jax",),
    has_lengths: bool = True,
    work: Callable = one_a_step,
    memory: Callable = lambda case: 0,
    check: str = "",
):
    """Registers the decorated builder as the peer `name` of `operation`."""

    def register(build):
        compiles = "torch" not in needs
        peer = Peer(name, build, needs, compiles, has_lengths, work, memory, check or operation)
        PEERS.setdefault(operation, []).append(peer)
        return build

    return register


# --- pytorch-crf --------------------------------------------------------------------------------

PYTORCH_CRF = ("torchcrf", "torch")


def torch_device():
    import torch

    device = "cpu" if jax.default_backend() == "cpu" else "cuda"
    if device == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("torch without CUDA")
    return device


def waiting(call: Callable) -> Callable:
    """Makes a torch call wait for the device, as JAX calls are made to."""
    import torch

    if torch_device() == "cpu":
        return call

    def wait():
        result = call()
        torch.cuda.synchronize()
        return result

    return wait


def torch_crf(case: Case):
    """The module with the case's scores, emissions that want a gradient, and the mask."""
    import torch
    import torchcrf

    emissions, transitions, start, end = (torch.tensor(x, device=torch_device()) for x in case.p)
    module = torchcrf.CRF(case.tags, batch_first=True).to(torch_device())
    module.transitions.data, module.start_transitions.data = transitions, start
    module.end_transitions.data = end
    mask = torch.tensor(np.arange(case.steps) < case.lengths[:, None], device=torch_device())
    return module, emissions.requires_grad_(), mask


def torch_crf_inputs(module, emissions):
    return [emissions, module.transitions, module.start_transitions, module.end_transitions]


@measures("log_z", "pytorch-crf, log Z only", PYTORCH_CRF)
def pytorch_crf_log_z(case):
    """Its private normalizer: not offered to users, but the like-for-like work."""
    import torch

    module, emissions, mask = torch_crf(case)

    def call():
        log_z = module._compute_normalizer(emissions.transpose(0, 1), mask.transpose(0, 1))
        return log_z, torch.autograd.grad(log_z.sum(), torch_crf_inputs(module, emissions))

    return waiting(call)


@measures("log_z", "pytorch-crf, NLL as shipped", PYTORCH_CRF, check="nll")
def pytorch_crf_nll(case):
    import torch

    module, emissions, mask = torch_crf(case)
    tags = torch.tensor(case.gold, device=torch_device())

    def call():
        nll = -module(emissions, tags, mask, reduction="none")
        return nll, torch.autograd.grad(nll.sum(), torch_crf_inputs(module, emissions))

    return waiting(call)


@measures("viterbi", "pytorch-crf", PYTORCH_CRF)
def pytorch_crf_viterbi(case):
    """Lists of tags; it gives no score."""
    import torch

    module, emissions, mask = torch_crf(case)

    def call():
        with torch.no_grad():
            return module.decode(emissions, mask)

    return waiting(call)


# --- torch-struct -------------------------------------------------------------------------------

TORCH_STRUCT = ("torch_struct", "torch")


def a_tree(case: Case) -> float:
    return case.steps * case.tags**3 * case.k**2


def largest_level(copies: Callable[[int], float]) -> Callable:
    """Bytes: so many `copies` of its largest [., N, N, N] array, as measured at small shapes."""

    def memory(case: Case) -> float:
        pairs = 2 ** math.ceil(math.log2(case.steps - 1)) / 2
        return copies(case.k) * 4 * BATCH * pairs * case.tags**3

    return memory


def torch_struct_measures(operation: str, copies: Callable[[int], float]):
    return measures(
        operation, "torch-struct", TORCH_STRUCT, work=a_tree, memory=largest_level(copies)
    )


def leaves(chain, gradient: bool):
    import torch

    return [torch.tensor(x, device=torch_device(), requires_grad=gradient) for x in chain]


def edge_potentials(chain, lengths):
    """[B, T-1, to, from], where start and end scores ride on the first and the last edge."""
    import torch

    emissions, transitions, start, end = chain
    edges = transitions.T + emissions[:, 1:, :, None]
    edges[:, 0] += (start + emissions[:, 0])[:, None, :]
    edges[torch.arange(len(edges)), lengths - 2] += end[:, None]
    return edges


def struct_chain(chain, lengths):
    import torch_struct

    return torch_struct.LinearChainCRF(edge_potentials(chain, lengths), lengths)


def struct_lengths(case):
    import torch

    return torch.tensor(case.lengths, dtype=torch.long, device=torch_device())


def path_of_edges(edges):
    """Tags [..., T] of one-hot edges [..., T-1, to, from], without its Python loop over edges."""
    import torch

    first = edges[..., :1, :, :].sum(-2).argmax(-1)
    return torch.cat([first, edges.sum(-1).argmax(-1)], -1)


@torch_struct_measures("log_z", lambda k: 5)
def torch_struct_log_z(case):
    import torch

    chain, lengths = leaves(case.p, True), struct_lengths(case)

    def call():
        log_z = struct_chain(chain, lengths).partition
        return log_z, torch.autograd.grad(log_z.sum(), chain)

    return waiting(call)


@torch_struct_measures("viterbi", lambda k: 3)
def torch_struct_viterbi(case):
    chain, lengths = leaves(case.p, False), struct_lengths(case)

    def call():
        found = struct_chain(chain, lengths)
        edges = found.argmax.detach()
        return path_of_edges(edges), (edges * found.log_potentials.detach()).sum((1, 2, 3))

    return waiting(call)


@torch_struct_measures("k_best", lambda k: 2.6 * k**2)
def torch_struct_k_best(case):
    chain, lengths = leaves(case.p, False), struct_lengths(case)

    def call():
        found = struct_chain(chain, lengths)
        edges = found.topk(case.k).detach()
        scores = (edges * found.log_potentials.detach()).sum((2, 3, 4))
        return path_of_edges(edges).transpose(0, 1), scores.T

    return waiting(call)


@torch_struct_measures("kl", lambda k: 25)
def torch_struct_kl(case):
    import torch

    p, q, lengths = leaves(case.p, True), leaves(case.q, True), struct_lengths(case)

    def call():
        kl = struct_chain(p, lengths).kl(struct_chain(q, lengths)).sum()
        return kl, torch.autograd.grad(kl, p + q)

    return waiting(call)


@torch_struct_measures("kl_student", lambda k: 25)
def torch_struct_kl_student(case):
    import torch

    p, q, lengths = leaves(case.p, False), leaves(case.q, True), struct_lengths(case)

    def call():
        kl = struct_chain(p, lengths).kl(struct_chain(q, lengths)).sum()
        return kl, torch.autograd.grad(kl, q)

    return waiting(call)


@torch_struct_measures("sample", lambda k: 55)
def torch_struct_sample(case):
    chain, lengths = leaves(case.p, False), struct_lengths(case)
    return waiting(lambda: path_of_edges(struct_chain(chain, lengths).sample((1,))[0]))


# --- dynamax ------------------------------------------------------------------------------------

DYNAMAX = "dynamax†"  # the mark stands for: no lengths, no end scores
dynamax_measures = functools.partial(
    measures, name=DYNAMAX, needs=("dynamax", "jax"), has_lengths=False
)


def import_dynamax():
    """To be called before anything is compiled, once the platform is chosen.

    Its import starts JAX's backend and changes the default precision of products, after which
    every jitted function compiles again.
    """
    if importlib.util.find_spec("dynamax"):
        importlib.import_module("dynamax.hidden_markov_model")


def on_device(*arrays):
    return tuple(jnp.asarray(x) for x in arrays)


@jax.jit
def dynamax_log_z_call(emissions, transitions, start):
    from dynamax.hidden_markov_model import inference

    def total(emissions, transitions, start):
        def one(e):
            filtered = inference.hmm_filter(jnp.exp(start), jnp.exp(transitions), e)
            return filtered.marginal_loglik

        log_z = jax.vmap(one)(emissions)
        return log_z.sum(), log_z

    grad = jax.value_and_grad(total, argnums=(0, 1, 2), has_aux=True)
    (_, log_z), gradients = grad(emissions, transitions, start)
    return log_z, gradients


@dynamax_measures("log_z")
def dynamax_log_z(case):
    """Its filter, with unnormalised potentials as probabilities: faster than its smoother."""
    return functools.partial(dynamax_log_z_call, *on_device(*case.p[:3]))


@jax.jit
def dynamax_viterbi_call(emissions, transitions, start):
    from dynamax.hidden_markov_model import inference

    first, pairs = jnp.exp(start), jnp.exp(transitions)
    return jax.vmap(lambda e: inference.hmm_posterior_mode(first, pairs, e))(emissions)


@dynamax_measures("viterbi")
def dynamax_viterbi(case):
    """The path only; it gives no score."""
    return functools.partial(dynamax_viterbi_call, *on_device(*case.p[:3]))


@jax.jit
def dynamax_sample_call(key, emissions, transitions, start):
    from dynamax.hidden_markov_model import inference

    def one(key, e):
        return inference.hmm_posterior_sample(key, jnp.exp(start), jnp.exp(transitions), e)[1]

    return jax.vmap(one)(jax.random.split(key, len(emissions)), emissions)


@dynamax_measures("sample")
def dynamax_sample(case):
    key = jax.random.key(0)
    return functools.partial(dynamax_sample_call, key, *on_device(*case.p[:3]))
