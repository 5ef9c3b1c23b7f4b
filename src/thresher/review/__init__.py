"""The local web page where people check labels (needs ``thresher[review]``), and examples made of corrections."""
