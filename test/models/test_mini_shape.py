"""The mini recipe with random weights: a student has half its teacher's size and a third of its operators."""

import pytest

from k2d.core.layout import PROJECT_ROOT

pytestmark = pytest.mark.slow

N_TOKENS = 50


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Teacher and student with the recipe's shape and a vocabulary of its size."""
    import torch

    from k2d.config import load_config
    from k2d.models.espnet_s2t.loading import new_s2t
    from k2d.models.espnet_s2t.pieces import pieces_of, train_pieces
    from k2d.models.espnet_s2t.training_config import read_config
    from k2d.models.espnet_s2t.vocabulary import layout_of, special_symbols, token_list
    from k2d.models.student import chosen_layers, shrink

    torch.set_num_threads(1)
    experiment = load_config(PROJECT_ROOT / "conf" / "mini.yaml", [])
    config = read_config(PROJECT_ROOT / experiment.teacher.model)
    config["normalize"] = None
    window = layout_of(config).window
    symbols = special_symbols(window, ["zho"])
    n_characters = experiment.tokens.vocab_size - len(symbols) - 256 - 5
    texts = [
        "".join(chr(0x4E00 + n) for n in range(at, min(at + 20, n_characters))) for at in range(0, n_characters, 20)
    ]
    size = experiment.tokens.vocab_size
    model = train_pieces(texts, symbols, vocab_size=size - 1, model_type="char", split_han=False)
    pieces = tmp_path_factory.mktemp("shape") / "bpe.model"
    pieces.write_bytes(model)
    teacher = new_s2t(config, token_list(pieces_of(model), window, ["zho"]), pieces, seed=1)
    assert abs(len(teacher.codec.tokens) - size) < 5
    teacher.network.eval()
    student = experiment.student
    layers = chosen_layers(student.decoder_layers, student.n_decoder_layers, teacher.n_decoder_layers)
    return teacher, shrink(teacher, layers)


def test_a_student_is_half_the_size(pair):
    teacher, student = (sum(each.n_parameters().values()) for each in pair)
    assert teacher >= 2 * student


def test_a_student_needs_a_third_of_the_operators_for_one_window_of_fifty_tokens(pair):
    """Encoder, prompt and fifty cached steps. For one window, operators are so small that their number matters most."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    from k2d.models.interface import Request

    class Operators(TorchDispatchMode):
        n = 0

        def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
            self.n += 1
            return operator(*args, **(kwargs or {}))

    speech_BN = 0.1 * torch.randn(1, pair[0].window.n_samples)

    def decode(recogniser):
        with torch.no_grad():
            started = recogniser.start(recogniser.encode(speech_BN), Request(("zho",)))
            token_R = started.logits_RV.argmax(-1)
            for _ in range(N_TOKENS):
                token_R = started.decoding.step(token_R).argmax(-1)

    n_operators = []
    for recogniser in pair:
        with Operators() as operators:
            decode(recogniser)
        n_operators.append(operators.n)
    assert n_operators[0] >= 3 * n_operators[1]
