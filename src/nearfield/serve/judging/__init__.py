"""The page on which people judge what systems found."""
