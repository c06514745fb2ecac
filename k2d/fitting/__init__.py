"""What the stages that train share: new models, trainings, the metric of checkpoints, saving."""
