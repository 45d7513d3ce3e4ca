"""The known models: one TOML file each, named as the model is; nearfield.catalog.card
reads them.
"""
