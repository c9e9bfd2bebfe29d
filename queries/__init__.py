"""Everything that knows SQL. Imports no Streamlit."""
