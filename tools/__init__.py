"""Commands for those who publish the book; nothing in ``lib`` or in a page needs them."""
