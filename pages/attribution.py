"""Where did it look?: attributions of one class, beside each other, by stage, and through the
gates.
"""

from se_viz.ui.asking import get_analysis
from se_viz.ui.by_stage import show_stages
from se_viz.ui.frame import enter, require_choices
from se_viz.ui.session import keys
from se_viz.ui.side_by_side import show_attributions
from se_viz.ui.through_gates import show_paths
from se_viz.ui.widgets import choose_option, choose_target

enter(__file__)

choices = require_choices()
analysis = get_analysis(choices)
target, baseline = choose_target(choices, analysis)

views = {
    "Side by side": show_attributions,
    "Stage by stage": show_stages,
    "Through the gates": show_paths,
}
view = choose_option("View", {name: name for name in views}, key=keys.ATTRIBUTION_VIEW)
views[view](choices, analysis, target, baseline)
