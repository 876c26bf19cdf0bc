"""What pages share; the only Streamlit import of the package."""
