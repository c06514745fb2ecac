"""Training: what a sample is (pool, windows, bucketing, augment, batches), one step (learner), what is learnt
(supervised), and a whole training that survives being killed (engine, checkpoints, callbacks, records).

Every sample and every random number is a function of (seed, phase, step, position), never of workers or of what ran
before: data do not repeat, and a resumed training goes on exactly.
"""
