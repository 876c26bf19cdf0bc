"""The attribution methods that change the picture and look at the logit alone, as rows of data."""

from collections.abc import Iterator

from se_viz.attribution.catalogue.method import Method

SHAP = "Lundberg and Lee, arXiv 1705.07874"
"""Where the methods of the Shapley kind were published."""
TOGETHER = 8
"""Images in one pass, for methods that do not say."""
_WINDOW = 32
_STRIDE = 16
_PATCHES = {"superpixels": 40, "seed": 0}


def list_perturbing() -> Iterator[Method]:
    """Yield the rows, the methods on squares first."""
    yield Method(
        "occlusion",
        "Occlusion",
        "Zeiler and Fergus, arXiv 1311.2901",
        "How far the logit falls when a square is painted as in the baseline, averaged over the "
        "squares that hold the pixel.",
        "Occlusion",
        channels="mean",
        kind="occlusion",
        baseline=True,
        piece="perturbations_per_eval",
        options={
            "sliding_window_shapes": (3, _WINDOW, _WINDOW),
            "strides": (3, _STRIDE, _STRIDE),
            "perturbations_per_eval": TOGETHER,
        },
    )
    for key, title, source, looks_for, algorithm, complete, repeats, options in _PATCHED:
        yield Method(
            key,
            title,
            source,
            looks_for,
            algorithm,
            channels="mean",
            kind="superpixel",
            complete=complete,
            baseline=key != "feature_permutation",
            piece="perturbations_per_eval",
            repeats=repeats,
            options={"perturbations_per_eval": TOGETHER, **_PATCHES, **options},
        )


_PATCHED = (
    (
        "feature_ablation",
        "Feature Ablation",
        "Zeiler and Fergus, arXiv 1311.2901",
        "How far the logit falls when one patch of like colour is painted as in the baseline.",
        "FeatureAblation",
        False,
        ("superpixels",),
        {},
    ),
    (
        "feature_permutation",
        "Feature Permutation",
        "Fisher et al., arXiv 1801.01489",
        "How far the logit falls when one patch is exchanged for what lies there in the same "
        "photo, moved around.",
        "FeaturePermutation",
        False,
        ("superpixels", "donors"),
        {"donors": 4},
    ),
    (
        "shapley",
        "Shapley Value Sampling",
        "Castro et al., Comput. Oper. Res. 36 (2009)",
        "What a patch adds to the logit, averaged over random orders in which patches appear on "
        "the baseline.",
        "ShapleyValueSampling",
        True,
        ("superpixels", "n_samples"),
        {"n_samples": 8},
    ),
    (
        "lime",
        "Lime",
        "Ribeiro et al., arXiv 1602.04938",
        "The weights of a sparse linear model that imitates the logit while random halves of the "
        "patches are shown.",
        "Lime",
        False,
        ("n_samples",),
        {"n_samples": 200, "alpha": 0.001},
    ),
    (
        "kernel_shap",
        "KernelShap",
        SHAP,
        "Shapley values of the patches, from a linear model fitted to random sets of them and to "
        "what each leaves out.",
        "KernelShap",
        True,
        ("n_samples",),
        {"n_samples": 400},
    ),
)
