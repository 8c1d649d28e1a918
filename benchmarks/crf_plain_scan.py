"""A plain log-space `lax.scan` with autodiff: the linear-chain CRF that most JAX users write.

Registered as one more peer of `benchmarks/crf.py`.
"""

import functools

import jax
import jax.numpy as jnp
from crf_peers import BATCH, measures, on_device
from jax.scipy.special import logsumexp

PLAIN = "plain scan"


def live_steps(lengths, steps):
    """[T-1, B]: whether steps 1.. lie inside each sequence."""
    return jnp.arange(1, steps)[:, None] < lengths


def forward(chain, lengths):
    """Log-space messages alpha [T, B, N]; behind a sequence's end the last one is kept."""
    emissions, transitions, start, _ = chain
    emissions = jnp.swapaxes(emissions, 0, 1)

    def step(alpha, at):
        emission, live = at
        moved = logsumexp(alpha[:, :, None] + transitions, axis=1) + emission
        alpha = jnp.where(live[:, None], moved, alpha)
        return alpha, alpha

    first = start + emissions[0]
    last, rest = jax.lax.scan(step, first, (emissions[1:], live_steps(lengths, len(emissions))))
    return last, jnp.concatenate([first[None], rest])


def log_z(chain, lengths):
    return logsumexp(forward(chain, lengths)[0] + chain[3], axis=-1)


@jax.jit
def log_z_and_gradients(chain, lengths):
    def total(chain):
        values = log_z(chain, lengths)
        return values.sum(), values

    (_, values), gradients = jax.value_and_grad(total, has_aux=True)(chain)
    return values, gradients


@measures("log_z", PLAIN)
def plain_log_z(case):
    return functools.partial(log_z_and_gradients, on_device(*case.p), jnp.asarray(case.lengths))


@jax.jit
def viterbi(chain, lengths):
    """Back-pointers kept on the way there, followed on the way back."""
    emissions, transitions, start, end = chain
    emissions = jnp.swapaxes(emissions, 0, 1)
    stay = jnp.arange(transitions.shape[0])

    def there(best, at):
        emission, live = at
        scores = best[:, :, None] + transitions
        moved = scores.max(axis=1) + emission
        pointers = jnp.where(live[:, None], scores.argmax(axis=1), stay)
        return jnp.where(live[:, None], moved, best), pointers

    def back(tag, pointers):
        before = jnp.take_along_axis(pointers, tag[:, None], axis=1)[:, 0]
        return before, tag

    live = live_steps(lengths, len(emissions))
    best, pointers = jax.lax.scan(there, start + emissions[0], (emissions[1:], live))
    best += end
    first, rest = jax.lax.scan(back, best.argmax(axis=-1), pointers, reverse=True)
    return jnp.concatenate([first[None], rest]).T, best.max(axis=-1)


@measures("viterbi", PLAIN)
def plain_viterbi(case):
    return functools.partial(viterbi, on_device(*case.p), jnp.asarray(case.lengths))


@functools.partial(jax.jit, static_argnums=2)
def k_best(chain, lengths, k):
    """The k best of all N·K candidates at every step, by `lax.top_k`."""
    emissions, transitions, start, end = chain
    emissions = jnp.swapaxes(emissions, 0, 1)
    batch, tags = emissions.shape[1:]
    stay = jnp.arange(tags * k).reshape(tags, k)

    def there(best, at):  # best [B, N, K]
        emission, live = at
        candidates = best.reshape(batch, 1, tags * k) + jnp.repeat(transitions.T, k, axis=1)
        moved, pointers = jax.lax.top_k(candidates, k)
        live = live[:, None, None]
        best = jnp.where(live, moved + emission[:, :, None], best)
        return best, jnp.where(live, pointers, stay)

    def back(state, pointers):  # state [B, K] numbers tag and rank in one
        before = jnp.take_along_axis(pointers.reshape(batch, tags * k), state, axis=1)
        return before, state // k

    first = jnp.full((batch, tags, k), -jnp.inf).at[:, :, 0].set(start + emissions[0])
    live = live_steps(lengths, len(emissions))
    best, pointers = jax.lax.scan(there, first, (emissions[1:], live))
    scores, state = jax.lax.top_k((best + end[:, None]).reshape(batch, tags * k), k)
    state, rest = jax.lax.scan(back, state, pointers, reverse=True)
    paths = jnp.concatenate([state[None] // k, rest])
    return jnp.moveaxis(paths, 0, -1), scores


@measures("k_best", PLAIN)
def plain_k_best(case):
    return functools.partial(k_best, on_device(*case.p), jnp.asarray(case.lengths), case.k)


def kl(p, q, lengths):
    """Sum over the batch of KL(p || q), by the gradient of log Z as expected counts."""
    counts = jax.grad(lambda chain: log_z(chain, lengths).sum())(p)
    dots = [jnp.sum(c * (x - y)) for c, x, y in zip(counts, p, q, strict=True)]
    return log_z(q, lengths).sum() - log_z(p, lengths).sum() + sum(dots)


@jax.jit
def kl_and_gradients(p, q, lengths):
    value, (by_p, by_q) = jax.value_and_grad(kl, argnums=(0, 1))(p, q, lengths)
    return value, by_p + by_q


@jax.jit
def kl_and_student_gradients(p, q, lengths):
    return jax.value_and_grad(kl, argnums=1)(p, q, lengths)


def twice_differentiated(case):
    """Bytes: some [T, B, N, N] arrays live through the gradient of a gradient."""
    return 4 * KL_COPIES * case.steps * BATCH * case.tags**2


KL_COPIES = 7.2  # as XLA reports it at small shapes


@measures("kl", PLAIN, memory=twice_differentiated)
def plain_kl(case):
    chains = on_device(*case.p), on_device(*case.q)
    return functools.partial(kl_and_gradients, *chains, jnp.asarray(case.lengths))


@measures("kl_student", PLAIN)
def plain_kl_student(case):
    chains = on_device(*case.p), on_device(*case.q)
    return functools.partial(kl_and_student_gradients, *chains, jnp.asarray(case.lengths))


@jax.jit
def sample(key, chain, lengths):
    """Forward filtering, backward sampling with `jax.random.categorical`."""
    last, alphas = forward(chain, lengths)
    transitions, end = chain[1], chain[3]
    keys = jax.random.split(key, len(alphas))
    tag = jax.random.categorical(keys[-1], last + end)

    def back(tag, at):
        alpha, key, live = at
        drawn = jax.random.categorical(key, alpha + transitions.T[tag])
        return jnp.where(live, drawn, tag), tag

    live = live_steps(lengths, len(alphas))
    first, rest = jax.lax.scan(back, tag, (alphas[:-1], keys[:-1], live), reverse=True)
    return jnp.concatenate([first[None], rest]).T


@measures("sample", PLAIN)
def plain_sample(case):
    arguments = jax.random.key(0), on_device(*case.p), jnp.asarray(case.lengths)
    return functools.partial(sample, *arguments)
