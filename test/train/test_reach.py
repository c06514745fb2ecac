"""Parts that a loss does not depend on are frozen, and an objective with a wrong list of parts fails at step 1."""

import pytest

from k2d.config.training import Augment, Phase, Running
from k2d.core.errors import K2DError, UsageError
from k2d.core.stamp import Recipe

pytestmark = pytest.mark.slow

PHASE = Phase(steps=2, batch_size=2, ctc_weight=1.0, augment=Augment(gain_db=0.0, noise=0.0, echo=0.0))


def train(fake, folder, *, reach=None, recogniser=None, ngpu=0):
    """Train the tiny recogniser by CTC alone, with an objective that lists the parts it depends on."""
    from k2d.train.batches import StepBatches
    from k2d.train.engine import PhasePlan, Setting, train
    from k2d.train.supervised import SupervisedLoss

    recogniser = recogniser or fake.FakeRecogniser(seed=1)
    objective = SupervisedLoss(recogniser, PHASE)
    objective.reach = reach or objective.reach
    plan = PhasePlan(
        "one", PHASE, "all", objective, lambda share, _: StepBatches(fake.material(), PHASE, (1, 0), share)
    )
    setting = Setting(folder, seed=1, ngpu=ngpu, n_workers=0)
    return train(recogniser, [plan], Running(), setting, recipe=Recipe("test", 1, {}, {}))


def test_a_weight_that_should_learn_and_gets_no_gradient_is_named(fake, tmp_path):
    """Also in one process, which could continue without it."""
    from k2d.train.trainable import BY_CTC, BY_TOKENS, Reach

    message = r"step 1: decoder.embed.weight, decoder.rnn.weight_ih_l0, decoder.rnn.weight_hh_l0 and 4 more should"
    with pytest.raises(K2DError, match=message):
        train(fake, tmp_path, reach=Reach(BY_CTC | BY_TOKENS))
    assert not list(tmp_path.rglob("*.pt"))


def test_layers_skipped_at_random_are_refused_with_two_processes(fake, tmp_path):
    from k2d.train.trainable import BY_CTC, BY_TOKENS, Reach

    class Skipping(fake.FakeRecogniser):
        skips_layers = True

    with pytest.raises(UsageError, match=r"leaves out layers at random .* set the rate to 0, or train on one GPU"):
        train(fake, tmp_path, recogniser=Skipping(), ngpu=2)
    record = train(fake, tmp_path, recogniser=Skipping(), reach=Reach(BY_CTC | BY_TOKENS))
    assert record.phases["one"].steps == 2


def test_unused_layers_are_frozen_and_can_be_used_later(tmp_path):
    """The layers between the first ones and the last are frozen. The next phase may use them all."""
    from models_made import made_recogniser

    from k2d.train.trainable import let_learn

    recogniser = made_recogniser(tmp_path)

    def learning():
        return [all(p.requires_grad for p in layer.parameters()) for layer in recogniser.decoder_layers()]

    decoder = recogniser.network.decoder
    let_learn(recogniser, {"decoder"}, 2)
    assert learning() == [True, False, True]
    assert not any(p.requires_grad for p in decoder.output_layer.parameters())
    let_learn(recogniser, {"decoder", "output_layer"})
    assert learning() == [True, True, True]
    assert all(p.requires_grad for p in decoder.parameters())
    assert not any(p.requires_grad for p in recogniser.network.encoder.parameters())


def test_parts_of_espnets_networks(tmp_path):
    """Each weight is in one part, a head that conditions the encoder learns with it, and skipped layers are noticed."""
    from models_made import made_recogniser

    recogniser = made_recogniser(tmp_path)
    encoder = recogniser.network.encoder
    modules = [module for modules in recogniser.parts().values() for module in modules]
    owned = [id(parameter) for module in modules for parameter in module.parameters()]
    assert sorted(owned) == sorted(id(parameter) for parameter in recogniser.network.parameters())
    assert recogniser.parts()["ctc_head"] == [recogniser.network.ctc]
    encoder.interctc_use_conditioning = True
    assert recogniser.parts()["ctc_head"] == []
    assert recogniser.network.ctc in recogniser.parts()["encoder"]
    assert not recogniser.skips_layers
    encoder.layer_drop_rate = 0.1
    assert recogniser.skips_layers
