"""Networks of sound, grey images and arrays: files become inputs, and gates are shown of them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.io import wavfile
from torch import nn

from se_viz import Network, capture_gates, load_network
from se_viz.__main__ import main
from se_viz.attribution.pixels import attribute
from se_viz.errors import InputError, NetworkError
from se_viz.experiments import analyse, analyse_together
from se_viz.images import list_samples, open_image
from se_viz.networks import list_networks
from se_viz.networks.config import CONFIG
from tests.support.own_code import write_net

CAT = list_samples()[0].path

CODE = '''
import numpy as np
import torch
from torch import nn
from torchvision.ops import SqueezeExcitation


class Gate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.down, self.up = nn.Linear(channels, 4), nn.Linear(4, channels)

    def forward(self, x):
        gate = torch.sigmoid(self.up(torch.relu(self.down(x.mean(2)))))
        return x * gate[:, :, None]


def sound():
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 16, 3, 2), SqueezeExcitation(16, 4), nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 3))


def wave():
    torch.manual_seed(0)
    layers = [nn.Conv1d(1, 16, 9, 4), Gate(16), nn.AdaptiveAvgPool1d(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 3))


def halves(file):
    """Return the file's bytes, from 0 to 1, in a picture of 8 x 8."""
    values = np.frombuffer(file.read(64).ljust(64), np.uint8)
    return values.reshape(1, 8, 8) / np.float32(255)


def small(file):
    return torch.zeros(1, 4, 4)


def broken(file):
    raise KeyError("lost")
'''


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with code, two sounds and an array."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(CONFIG, raising=False)
    write_net(tmp_path, "ears.py", CODE)
    values = np.random.default_rng(0).uniform(-0.9, 0.9, (2, 16_000)).astype(np.float32)
    Path("sounds").mkdir()
    wavfile.write("sounds/a.wav", 16_000, values[0])
    wavfile.write("sounds/b.wav", 8000, values[1])
    np.save("x.npy", values[:1, :100])
    path = [*sys.path]
    yield tmp_path
    sys.path[:] = path


@pytest.fixture
def network() -> Network:
    """A network of spectrograms."""
    return load_network("ears.py:sound", "cpu", preprocess="log-mel", input="1x32x50")


def test_a_sound_is_analysed(network: Network):
    """Gates and answer are those of a plain pass of the input that the file becomes."""
    inputs = network.prepare("sounds/a.wav")
    assert inputs.shape == (1, 1, 32, 50)
    with torch.inference_mode(), capture_gates(network.model) as records:
        logits = network.model(inputs)
    analysis = analyse(network, inputs)
    assert torch.equal(analysis.logits, logits[0])
    assert torch.equal(analysis.records[0].gate, records[0].gate)
    assert torch.equal(network.prepare(Path("sounds/a.wav").read_bytes()), inputs)
    both = analyse_together(network, [inputs, network.prepare("sounds/b.wav")])
    torch.testing.assert_close(both[0].logits, analysis.logits)


def test_the_card_says_what_the_network_sees(network: Network):
    """Pages, tables and bundles have nothing else to tell by."""
    card = network.card
    assert (card.shape, card.preprocess, network.sees_photos) == ((1, 32, 50), "log-mel", False)
    assert (card.mean, card.std) == ((), ())
    photos = load_network("ears.py:sound", "cpu", preprocess="grey", input="1x24x24").card
    assert (photos.shape, photos.preprocess) == ((1, 24, 24), "grey")


def test_a_photo_is_refused_by_a_network_that_sees_none(network: Network):
    """A page that is about photos says so in a sentence."""
    photo = open_image(CAT)
    for look in (network.crop, network.preprocess, lambda image: analyse(network, image)):
        with pytest.raises(NetworkError, match=r"sees no photos: log-mel makes its inputs, of the"):
            look(photo)


def test_a_model_in_python_takes_a_callable():
    """It is given an open file, and may return an array, with or without a batch of one."""

    def read(file) -> np.ndarray:
        return np.frombuffer(file.read(64), np.uint8).reshape(1, 1, 8, 8) / np.float32(255)

    network = Network.from_model(model(), input_size=(1, 8, 8), preprocess=read)
    expected = np.frombuffer(CAT.read_bytes()[:64], np.uint8).reshape(1, 1, 8, 8) / np.float32(255)
    np.testing.assert_array_equal(network.prepare(CAT).numpy(), expected)
    assert network.card.preprocess == "read"


def test_an_input_is_normalised_where_numbers_are_given():
    """A number a channel, as of photos."""
    plain = load_network("ears.py:sound", "cpu", preprocess="grey", input="1x24x24")
    options = {"input_size": (1, 24, 24), "preprocess": "grey", "mean": [0.4], "std": [0.2]}
    network = Network.from_model(model(), **options)
    expected = (plain.prepare(CAT) - 0.4) / 0.2
    torch.testing.assert_close(network.prepare(CAT), expected)
    with pytest.raises(NetworkError, match=r"and an input 1 channels\. Give a number for each"):
        Network.from_model(model(), **{**options, "mean": [0.4, 0.4]})
    with pytest.raises(NetworkError, match="Normalise there, and leave them out"):
        Network.from_model(model(), **{**options, "preprocess": lambda file: None})


def model() -> nn.Module:
    """Return a new model of one channel."""
    return load_network("ears.py:sound", "cpu", preprocess="grey", input="1x24x24").model


WAYS = {
    "ears.py:sound --preprocess log-mel --input 1x32x50": "sounds/a.wav",
    "ears.py:sound --preprocess log-mel:rate=8000,hop=80 --input 1x32x50": "sounds/b.wav",
    "ears.py:wave --preprocess waveform --input 1x2000": "sounds/a.wav",
    "ears.py:sound --preprocess grey --input 1x24x24": str(CAT),
    "ears.py:wave --preprocess array --input 1x100": "x.npy",
    "ears.py:sound --preprocess ears.py:halves --input 1x8x8": str(CAT),
}


@pytest.mark.parametrize(("words", "file"), WAYS.items(), ids=WAYS)
def test_gates_of_a_file_that_is_no_photo(words: str, file: str):
    """`se_viz gates file.wav --network file.py:f --preprocess log-mel`, and every other way."""
    command = ["gates", file, "--network", *words.split(), "--device", "cpu", "--out", "g.csv"]
    assert main(command) == 0
    table = pd.read_csv("g.csv")
    assert len(table) == 16
    assert table["gate"].between(0, 1).all()


def test_a_folder_is_searched_for_the_files_that_the_network_reads(
    capsys: pytest.CaptureFixture[str],
):
    """Sounds, and not the pictures or notes beside them; a broken one is left out and named."""
    Path("sounds/notes.txt").write_text("x")
    Path("sounds/c.wav").write_bytes(b"RIFF")
    command = ["health", "sounds", "--network", "ears.py:sound", "--preprocess", "log-mel"]
    assert main([*command, "--input", "1x32x50", "--device", "cpu"]) == 1
    output, errors = capsys.readouterr()
    assert output.startswith("ears.sound, 2 images: ")
    assert "sounds/c.wav: The file is no WAV file that can be read." in errors


def test_a_listed_network_of_sound(capsys: pytest.CaptureFixture[str]):
    """The list says once what the command line says each time."""
    Path("se_viz.toml").write_text(
        '[networks.ears]\nmake = "ears.py:sound"\ninput = "1x32x50"\n'
        'preprocess = "log-mel:hop=80"\n'
    )
    card = list_networks()[0]
    assert (card.name, card.shape, card.preprocess) == ("ears", (1, 32, 50), "log-mel:hop=80")
    assert main(["gates", "sounds", "--network", "ears", "--device", "cpu"]) == 0
    assert capsys.readouterr().out.count("SE_1_1") == 2
    Path("se_viz.toml").write_text(
        '[networks.ears]\nmake = "ears.py:sound"\npreprocess = "logmel"\n'
    )
    assert main(["networks", "ears"]) == 2
    assert main(["gates", "sounds", "--network", "ears"]) == 2
    assert "se_viz.toml: networks.ears.preprocess: There is no way 'logmel'" in (
        capsys.readouterr().err
    )


REFUSED = {
    "evaluate --preprocess array --input 1x100": "ears.py:wave sees no photos (array), and "
    "`se_viz evaluate` is about photos. Use `se_viz gates`, `health`, `attribute`, `score` or ",
    "score x.npy --preprocess array --input 1x100": "x.npy: Scores compare maps of two dimensions",
    "counterfactuals x.npy --preprocess array --input 1x100": "There is no other image to take ",
    "gates x.npy --input 1x100": "The input 1x100 of ears.py:wave is no square of three colours, "
    "which is what photos become here. Name what makes it of a file, e.g. preprocess waveform, ",
    "gates x.npy --preprocess array --input 1x101": "x.npy: The file becomes 1x100, and "
    "ears.py:wave takes 1x101. Choose another file, or name its shape as input.",
    "gates x.npy --preprocess ears.py:broken --input 1x100": "x.npy: ears.py:broken failed on ",
    "gates x.npy --preprocess ears.py:small --input 1x100": "x.npy: The file becomes 1x4x4, and ",
    "gates x.npy --preprocess none.py:small --input 1x100": "none.py cannot be read: No such file",
    "gates x.npy --preprocess arry --input 1x100": "There is no way 'arry' to make an input. ",
    "health --preprocess array --input 1x100": "The samples are photos, and array makes the ",
}


@pytest.mark.parametrize(("words", "sentence"), REFUSED.items(), ids=REFUSED)
def test_what_cannot_become_an_input_is_one_sentence(
    words: str, sentence: str, capsys: pytest.CaptureFixture[str]
):
    """It says what was found, what is needed and what to do next."""
    assert main([*words.split(), "--network", "ears.py:wave", "--device", "cpu"]) == 2
    assert capsys.readouterr().err.startswith(f"se_viz: {sentence}")


def test_maps_of_a_sound_are_the_librarys(tmp_path: Path):
    """Of two files: numbers, pictures on the grid of the input, and a table."""
    words = ["attribute", "sounds", "--network", "ears.py:sound", "--device", "cpu"]
    words += ["--preprocess", "log-mel:hop=80", "--input", "1x32x50", "--methods", "saliency"]
    assert main([*words, "--out", str(tmp_path / "maps")]) == 0
    network = load_network("ears.py:sound", "cpu", preprocess="log-mel:hop=80", input="1x32x50")
    for file in sorted(Path("sounds").iterdir()):
        inputs = network.prepare(file)
        best = int(network.model(inputs).argmax())
        with np.load(tmp_path / "maps" / f"{file.stem}.saliency.npz") as arrays:
            expected = attribute(network, inputs, best, "saliency").map
            np.testing.assert_allclose(arrays["values"], expected.numpy(), rtol=1e-5)
        with Image.open(tmp_path / "maps" / f"{file.stem}.saliency.png") as picture:
            assert picture.width * 32 == picture.height * 50


def test_sounds_lend_each_other_their_gates(tmp_path: Path):
    """No sample does: a photo is no sound."""
    words = ["counterfactuals", "sounds", "--network", "ears.py:sound", "--device", "cpu"]
    words += ["--preprocess", "log-mel:hop=80", "--input", "1x32x50", "--kinds", "other"]
    assert main([*words, "--out", str(tmp_path / "table.csv")]) == 0
    table = pd.read_csv(tmp_path / "table.csv")
    files = {file.name for file in Path("sounds").iterdir()}
    assert {Path(name).name for name in table["lender"]} == files
    assert {Path(name).name for name in table["image"]} == files
    assert not any(table["image"].to_numpy() == table["lender"].to_numpy())


def test_a_model_of_another_input_is_refused_with_its_shape():
    """The shape is what people get wrong first."""
    with pytest.raises(NetworkError, match="does not run on one input of the shape 2x32x50"):
        load_network("ears.py:sound", "cpu", preprocess="array", input="2x32x50")


def test_an_array_of_another_shape_is_refused_in_python(network: Network):
    """Bytes of a page come the same way."""
    with pytest.raises(InputError, match="is no WAV file that can be read"):
        network.prepare(Path("x.npy").read_bytes())
