"""How checkpoints are measured."""

from k2d.decode.options import Options
from k2d.stages.measuring import Held, measure_on


def test_checkpoints_are_heard_without_a_beam_and_else_as_in_use(monkeypatch):
    from k2d.decode import longform

    asked = []

    def decode(recogniser, sources, options, is_loop=None):
        asked.append((recogniser, options))
        return iter(())

    monkeypatch.setattr(longform, "decode_recordings", decode)
    measure = measure_on(Held((), {"a": "你好 hello"}), Options(beam=3, mode="joint", ctc_weight=0.4))
    assert measure("the model") == 1.0  # nothing heard: every token is missing
    assert asked == [("the model", Options(beam=1, mode="joint", ctc_weight=0.4))]
