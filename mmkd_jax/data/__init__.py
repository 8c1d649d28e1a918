"""Data: the sample corpus, in `mmkd_jax.data.sample`."""
