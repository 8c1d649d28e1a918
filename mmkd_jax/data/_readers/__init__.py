"""Readers, one layout a file; `mmkd_jax.data` re-exports them."""
