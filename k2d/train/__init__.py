"""Training: samples (pool, windows, bucketing, augment, batches; chunk_* for students), one step (learner), the losses
(supervised, distillation), and a whole training that can be interrupted (engine, checkpoints, callbacks, records).

Every sample and every random number is a function of (seed, phase, step, position). It does not depend on workers or on
earlier steps. So a resumed training gives the same weights as one that was never stopped.
"""
