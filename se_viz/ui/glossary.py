"""The field's words, each in one or two plain sentences: what the help marks of all pages say."""

from collections.abc import Mapping

WORDS: Mapping[str, str] = {
    "attribution": "A map that shares one number (a logit, the difference of two logits, a gate) "
    "out over pixels, cells of a feature map, or gates.",
    "ablation, exact": "A gate is set to 0 and the network run again; the effect is the fall of "
    "the logit.",
    "baseline": "The picture that an image is compared with: mean colour, black, the blurred "
    "photo, noise.",
    "block": "One squeeze-and-excitation module, together with the feature map that it scales. "
    "SE_4_3 is the third block of stage 4.",
    "cache": "Results kept for equal questions; deleted with the app, or by *Empty the cache* for "
    "downloads.",
    "cell": "One place of a feature map.",
    "channel": "One map of a feature map, with one squeeze and one gate. Numbered from 0.",
    "class": "One name of the network's classifier, with one logit.",
    "completeness error": "What the values of a map miss of the change of the logit that they "
    "should sum to.",
    "control map": "A map that ignores the network: random pixels, random patches, a centred "
    "blob. Scores stand beside the scores of control maps.",
    "dead channel": "A channel that is zero at every place, in every image shown.",
    "deletion, insertion": "Area under the curve of the probability while the pixels of a map are "
    "removed, or come back, in the order of their values.",
    "effect": "How far a logit falls without a channel: estimated by gradient x gate, or measured "
    "by exact ablation.",
    "excitation": "The two small layers and their functions that turn all squeezes of a block "
    "into its gates.",
    "feature map": "The channels before a gate (U) or after it (X~).",
    "gap": "Insertion less deletion; scores are ordered by it.",
    "gate": "The factor s by which one channel is multiplied, for one image. A sigmoid's gate "
    "lies between 0 (shut) and 1 (open).",
    "hook": "A function that PyTorch calls when a module runs. Only `se_viz.gates` attaches hooks "
    "to a model.",
    "image, photo": "What a visitor chose; *input* is the cropped, scaled and normalised tensor.",
    "infidelity": "The fraction of the logit's changes, over random squares, that a map fails to "
    "predict.",
    "logit": "The number of a class before a softmax or a sigmoid makes a probability of it.",
    "pass": "One run of the network, forward or back, for one image.",
    "pre-sigmoid value": "The sum from which the sigmoid makes a gate: 0 gives a gate of 0.5. "
    "Where another function makes the gate, it is called the pre-activation.",
    "recalibration": "Each channel is multiplied by its gate; the paper's third step, scale.",
    "reduction ratio": "r: the excitation's first layer makes C/r hidden units of C channels.",
    "saturated": "A gate at an end of its range, where its function hardly reacts.",
    "sensitivity": "The greatest change of a map when the image changes by at most 1 in 255.",
    "squeeze": "z: one number for each channel, the mean of its map; in some blocks another "
    "summary.",
    "stage": "All blocks of one stride: maps of stage k have 1/2^k of the image's side. The first "
    "layers of an SE-ResNet halve the side twice before its first block, so its stages begin at 2.",
    "stride": "How many pixels of the image's side one cell of a map stands for: 4 in stage 2, 32 "
    "in stage 5.",
    "superpixel, patch": "A connected group of pixels of like colour.",
}
"""Each word with its meaning in Markdown, as `docs/glossary.md` has it."""


def explain(*words: str, more: str = "") -> str:
    """Return the text of a help mark: what the words mean, and what else it has to say."""
    meanings = [f"**{word.capitalize()}**: {WORDS[word]}" for word in words]
    return "\n\n".join([*meanings, more] if more else meanings)
