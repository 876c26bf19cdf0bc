"""Change the gates: pick channels, change their gates by hand, and see what the network makes of
it.
"""

from se_viz.ui.asking import get_analysis
from se_viz.ui.frame import enter, require_choices
from se_viz.ui.surgery import show_surgery

enter(__file__)

choices = require_choices()
show_surgery(choices, get_analysis(choices))
