from io import BytesIO

import numpy as np
import torch

from se_viz.attribution.question.files import npz_bytes
from se_viz.attribution.question.records import Attribution


def test_a_file_holds_every_map_with_what_it_answers():
    """One row a map in every array; what a method does not have is empty or no number."""
    values = torch.arange(12.0).reshape(3, 4)
    whole = Attribution(
        method="integrated_gradients",
        target=2,
        map=values,
        signed=True,
        seconds=1.5,
        completeness_error=0.25,
        explained=4.0,
        stage=None,
        against=0,
        baseline="black",
    )
    part = Attribution(
        method="grad_cam",
        target=1,
        map=-values,
        signed=False,
        seconds=0.5,
        completeness_error=None,
        explained=None,
        stage=5,
    )
    with np.load(
        BytesIO(npz_bytes([whole, part], ["ant", "bee", "cat"])), allow_pickle=False
    ) as file:
        assert np.array_equal(file["maps"], np.stack([values, -values]))
        assert file["maps"].dtype == np.float32
        assert file["method"].tolist() == ["integrated_gradients", "grad_cam"]
        assert file["title"].tolist() == ["Integrated Gradients", "Grad-CAM"]
        assert file["target"].tolist() == ["cat", "bee"]
        assert file["against"].tolist() == ["ant", ""]
        assert file["baseline"].tolist() == ["black", ""]
        assert file["seconds"].tolist() == [1.5, 0.5]
        assert np.array_equal(file["completeness_error"], [0.25, np.nan], equal_nan=True)
        assert np.array_equal(file["explained"], [4.0, np.nan], equal_nan=True)
        assert np.array_equal(file["stage"], [np.nan, 5], equal_nan=True)
