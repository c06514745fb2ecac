"""Shared by the stages that train models: new models, trainings, the metric of checkpoints, saving."""
