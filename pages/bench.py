"""Design a block: another squeeze, gate function or reduction ratio for the blocks there are, and
what the network makes of it without training.
"""

from se_viz.ui.asking import get_analysis
from se_viz.ui.bench import show_bench
from se_viz.ui.frame import enter, require_choices

enter(__file__)

choices = require_choices()
show_bench(choices, get_analysis(choices))
