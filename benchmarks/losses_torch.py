"""The losses as a PyTorch user writes them: the peers of `benchmarks/losses.py`.

Each function mirrors the loss of its name in `mmkd_jax.losses`: what is to be trained comes first,
as one tensor or a tuple of them, and one value an example is returned. A chain is the tuple
(emissions [B, T, N], transitions [N, N], start [N], end [N]).

CRFs are written as pytorch-crf and the released code of the structured paper write them: log-space
messages in a Python loop over the steps, differentiated by autograd.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F


def with_gradient(loss: Callable, student, rest: tuple, threads: int) -> Callable:
    """A call without arguments: the loss, and its gradient by the student's tensors."""
    for tensor in student if isinstance(student, tuple) else (student,):
        tensor.requires_grad_()

    def call():
        torch.set_num_threads(threads)
        values = loss(student, *rest)
        found = values.detach(), torch.autograd.grad(values.sum(), student)
        if values.is_cuda:
            torch.cuda.synchronize()
        return found

    return call


# --- Tokens, words, sentences, structure --------------------------------------------------------


def token_alignment(student, targets, where):
    """Projects the chosen positions only, `where` [B, P] among those that were gathered."""
    hidden, table, bias = student
    logits = F.linear(hidden[where], table, bias)
    each = F.cross_entropy(logits, targets[where], reduction="none")
    zeros = torch.zeros(where.shape, device=where.device)
    return mean_where(zeros.masked_scatter(where, each), where)


def word_alignment(student, teacher, masked, valid):
    scores = torch.einsum("bid,bjd->bij", teacher, student)
    log_p = scores.masked_fill(~valid[:, None, :], -torch.inf).log_softmax(-1)
    return mean_where(-log_p.diagonal(dim1=1, dim2=2), masked & valid)


def mean_where(values, where):
    return values.masked_fill(~where, 0).sum(1) / where.sum(1).clamp(min=1)


def sentence_alignment(student, teacher):
    return 2 - 2 * F.cosine_similarity(student, teacher, dim=-1)


def structure_alignment(student, teacher, temperature):
    def log_similarities(vectors):
        unit = F.normalize(vectors, dim=-1)
        return (unit @ unit.T / temperature).log_softmax(-1)

    log_q, log_p = log_similarities(student), log_similarities(teacher)
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1)


# --- Chains -------------------------------------------------------------------------------------


def inside_of(chain, lengths):
    """[B, T]: whether a step lies inside its sequence."""
    return torch.arange(chain[0].shape[1], device=lengths.device) < lengths[:, None]


def forward_messages(chain, inside):
    """Log-space alpha, [B, N] for each step; behind a sequence's end the last one is kept."""
    emissions, transitions, start, _ = chain
    messages = [start + emissions[:, 0]]
    for step in range(1, emissions.shape[1]):
        before = messages[-1]
        moved = torch.logsumexp(before[:, :, None] + transitions, dim=1) + emissions[:, step]
        messages.append(torch.where(inside[:, step, None], moved, before))
    return messages


def backward_messages(chain, inside):
    """Log-space beta, [B, N] for each step."""
    emissions, transitions, _, end = chain
    messages = [end.expand_as(emissions[:, 0])]
    for step in range(emissions.shape[1] - 1, 0, -1):
        after = messages[-1]
        moved = torch.logsumexp(transitions + (emissions[:, step] + after)[:, None], dim=2)
        messages.append(torch.where(inside[:, step, None], moved, after))
    return messages[::-1]


def log_partition(chain, inside):
    return torch.logsumexp(forward_messages(chain, inside)[-1] + chain[3], dim=1)


def scores(chain, paths, inside):
    """[B, K] of paths [B, K, T]."""
    emissions, transitions, start, end = chain
    paths = paths.clamp(min=0)  # the padding is -1
    unary = emissions.gather(2, paths.mT).mT * inside[:, None]
    pairs = transitions[paths[:, :, :-1], paths[:, :, 1:]] * inside[:, None, 1:]
    ends = (inside.sum(1) - 1)[:, None, None].expand(-1, paths.shape[1], 1)
    last = paths.gather(2, ends)[:, :, 0]
    return unary.sum(2) + pairs.sum(2) + start[paths[:, :, 0]] + end[last]


# --- Structured losses --------------------------------------------------------------------------


def crf_nll(student, lengths, tags):
    return crf_top_k(student, lengths, tags[:, None])


def crf_top_k(student, lengths, paths):
    """Uniform over the paths, all of which exist."""
    inside = inside_of(student, lengths)
    return log_partition(student, inside) - scores(student, paths, inside).mean(1)


def crf_kl(student, lengths, teacher, temperature):
    """The teacher's expected counts are the gradient of its log Z, one chain a sentence."""
    student, teacher = ([x / temperature for x in chain] for chain in (student, teacher))
    inside = inside_of(student, lengths)
    emissions, *shared = teacher
    alone = [emissions, *(x.expand(len(emissions), *x.shape) for x in shared)]
    alone = [x.detach().requires_grad_() for x in alone]
    log_z = log_partition(alone, inside)
    counts = torch.autograd.grad(log_z.sum(), alone)
    differences = [theirs - mine for theirs, mine in zip(teacher, student, strict=True)]
    gain = sum((c * d).flatten(1).sum(1) for c, d in zip(counts, differences, strict=True))
    return temperature**2 * (gain - log_z.detach() + log_partition(student, inside))


def crf_posterior(student, lengths, teacher, temperature):
    inside = inside_of(student, lengths)

    def unnormalised(chain):
        alpha, beta = forward_messages(chain, inside), backward_messages(chain, inside)
        return torch.stack(alpha, 1) + torch.stack(beta, 1)

    return emission_kl(unnormalised(student), unnormalised(teacher), inside, temperature)


def emission_kl(student, teacher, where, temperature):
    log_q, log_p = ((x / temperature).log_softmax(-1) for x in (student, teacher))
    kl = F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1)
    return temperature**2 * (kl * where).sum(1)
