"""Tables and maps to figures; the only Plotly import."""
